// The n-th call that changes a file fails, dies, or dies half-way: for every n until none is left. Whatever happens, the log opens
// afterwards, every leaf that was acknowledged is there, and the whole verifies. The calls are intercepted at link time (--wrap).
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdarg>

#include "law/audit_verify.h"
#include "law/test_audit.h"

namespace {
enum class Fault { none, fails, dies, dies_half_way };
// Of this process; set in a forked child only.
struct {
  Fault fault = Fault::none;
  int at = 0, calls = 0;
} point;

// True: this call is to fail with errno set.
bool hit(int error) {
  if (point.fault == Fault::none || ++point.calls != point.at) return false;
  if (point.fault == Fault::dies) ::kill(::getpid(), SIGKILL);
  errno = error;
  return true;
}
}  // namespace

extern "C" {
ssize_t __real_pwrite(int, const void*, size_t, off_t);
ssize_t __real_write(int, const void*, size_t);
int __real_fdatasync(int);
int __real_fsync(int);
int __real_rename(const char*, const char*);
int __real_ftruncate(int, off_t);
int __real_mkdir(const char*, mode_t);
int __real_unlink(const char*);
int __real_open(const char*, int, ...);

ssize_t __wrap_pwrite(int fd, const void* p, size_t n, off_t at) {
  if (!hit(ENOSPC)) return __real_pwrite(fd, p, n, at);
  if (point.fault == Fault::dies_half_way) {
    (void)__real_pwrite(fd, p, n / 2, at);
    ::kill(::getpid(), SIGKILL);
  }
  return -1;
}
ssize_t __wrap_write(int fd, const void* p, size_t n) {
  if (!hit(ENOSPC)) return __real_write(fd, p, n);
  if (point.fault == Fault::dies_half_way) {
    (void)__real_write(fd, p, n / 2);
    ::kill(::getpid(), SIGKILL);
  }
  return -1;
}
int __wrap_fdatasync(int fd) { return hit(EIO) ? -1 : __real_fdatasync(fd); }
int __wrap_fsync(int fd) { return hit(EIO) ? -1 : __real_fsync(fd); }
int __wrap_rename(const char* a, const char* b) { return hit(EIO) ? -1 : __real_rename(a, b); }
int __wrap_ftruncate(int fd, off_t n) { return hit(EIO) ? -1 : __real_ftruncate(fd, n); }
int __wrap_mkdir(const char* p, mode_t m) { return hit(ENOSPC) ? -1 : __real_mkdir(p, m); }
int __wrap_unlink(const char* p) { return hit(EIO) ? -1 : __real_unlink(p); }
int __wrap_open(const char* p, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  if ((flags & (O_WRONLY | O_RDWR)) != 0 && hit(ENOSPC)) return -1;
  return __real_open(p, flags, mode);
}
}

namespace nora::law {
namespace {

struct Faults : AuditTest {
  Snapshot start;
  int acknowledged = -1;  // the number of the last act that the child was told of
  int hits = 0;

  // Runs `act` in a child with a fault at the n-th call; false when the child needed fewer calls. `act` tells acts by telling(i).
  template <class F>
  bool trial(Fault fault, int n, F&& act) {
    restore(dir, start);
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      point.fault = fault;
      point.at = n;
      act([&](int i) { (void)__real_write(ends[1], &i, sizeof i); });
      ::_exit(point.calls >= n ? 1 : 0);
    }
    ::close(ends[1]);
    acknowledged = -1;
    for (int i; ::read(ends[0], &i, sizeof i) == sizeof i;) acknowledged = std::max(acknowledged, i);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    const bool reached = WIFSIGNALED(status) || WEXITSTATUS(status) == 1;
    hits += reached;
    return reached;
  }
  void check_log(const std::string& where) {
    auto log = open();
    ASSERT_TRUE(log) << where << ": " << log.error().text();
    const auto report = audit_check(dir, key.public_key(), {});
    ASSERT_TRUE(report) << where << ": " << report.error().text();
    const auto entries = *audit_read(dir, 0, report->state.size);
    int last = -1;
    for (const auto& e : entries)
      if (e.kind == "list") last = std::max(last, static_cast<int>(json::int_or(e.data, "number", -1)));
    EXPECT_GE(last, acknowledged) << where << ": an acknowledged leaf is lost";
    ASSERT_TRUE(log->append("list", data(9999))) << where;
    ASSERT_TRUE(audit_check(dir, key.public_key(), {})) << where;
  }
};

TEST_F(Faults, AppendOverTheEdgeOfATile) {
  { ASSERT_TRUE(open()->append_all("list", acts(0, 253))); }
  start = snapshot(dir);
  for (const Fault fault : {Fault::fails, Fault::dies, Fault::dies_half_way}) {
    for (int n = 1;; ++n) {
      const bool reached = trial(fault, n, [&](auto&& tell) {
        auto log = open();
        if (!log) return;
        for (int i = 253; i < 258; ++i)
          if (log->append("list", data(i))) tell(i);
        if (log->append_all("list", acts(258, 600))) tell(599);
      });
      if (!reached) break;
      check_log("fault " + std::to_string(static_cast<int>(fault)) + " at " + std::to_string(n));
      if (HasFatalFailure()) return;
      ASSERT_LT(n, 1000);
    }
  }
  EXPECT_GT(hits, 150);
  std::printf("%d faults\n", hits);
}

TEST_F(Faults, TheFirstOpen) {
  start = {};
  for (const Fault fault : {Fault::fails, Fault::dies, Fault::dies_half_way})
    for (int n = 1; trial(fault, n, [&](auto&& tell) {
           auto log = open();
           if (log && log->append("list", data(1))) tell(1);
         });
         ++n) {
      check_log("fault " + std::to_string(static_cast<int>(fault)) + " at " + std::to_string(n));
      if (HasFatalFailure()) return;
    }
  EXPECT_GT(hits, 30);
}

TEST_F(Faults, MovingTheFirstLayout) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("{\"at\":\"2026-11-25T00:00:00Z\",\"kind\":\"list\",\"data\":{\"number\":" + std::to_string(i) + "}}");
  write_first_layout(dir, key, fake.random, texts);
  start = snapshot(dir);
  for (const Fault fault : {Fault::fails, Fault::dies, Fault::dies_half_way})
    for (int n = 1; trial(fault, n, [&](auto&&) { (void)open(); }); ++n) {
      acknowledged = 299;  // nothing of it may be lost
      check_log("fault " + std::to_string(static_cast<int>(fault)) + " at " + std::to_string(n));
      if (HasFatalFailure()) return;
    }
  EXPECT_GT(hits, 40);
}

// Whatever happens, a leaf is either whole or shredded, and after the next open every order has been carried out.
TEST_F(Faults, Shredding) {
  { ASSERT_TRUE(open()->append_all("list", acts(0, 300))); }
  start = snapshot(dir);
  for (const Fault fault : {Fault::fails, Fault::dies, Fault::dies_half_way})
    for (int n = 1; trial(fault, n, [&](auto&& tell) {
           auto log = open();
           if (log && log->shred({{1, 2, 299}, std::nullopt, "", "x"})) tell(0);
         });
         ++n) {
      const bool told = acknowledged == 0;
      acknowledged = -1;
      check_log("fault " + std::to_string(static_cast<int>(fault)) + " at " + std::to_string(n));
      if (HasFatalFailure()) return;
      const auto shredded = audit_check(dir, key.public_key(), {})->shredded;
      EXPECT_TRUE(shredded == 3 || (shredded == 0 && !told)) << shredded;
    }
  EXPECT_GT(hits, 30);
}

}  // namespace
}  // namespace nora::law
