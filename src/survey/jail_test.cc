// The jail: planted misbehaviour inside it dies by SIGSYS, and honest work goes on.
#include "survey/jail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "survey/parse_wire.h"
#include "survey/parse_worker.h"

namespace nora::survey {
namespace {

// Runs `act` in a jailed child. Returns the wait status.
int jailed(const std::function<void()>& act) {
  int pair[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  pid_t child = fork();
  if (child == 0) {
    warm_up_parsers();
    if (!enter_jail(pair[1])) _exit(77);
    act();
    _exit(0);
  }
  close(pair[0]);
  close(pair[1]);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}
void expect_killed(const char* what, const std::function<void()>& act) {
  int status = jailed(act);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << what << ": wait status " << status;
}

TEST(Jail, PlantedMisbehaviourDiesBySigsys) {
  expect_killed("open", [] { syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); });
  expect_killed("socket", [] { syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); });
  expect_killed("unix socket", [] { syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0); });
  expect_killed("exec", [] {
    char* const none[] = {nullptr};
    syscall(SYS_execve, "/bin/true", none, none);
  });
  expect_killed("fork", [] { syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); });
  expect_killed("kill", [] { syscall(SYS_kill, 1, 0); });
  expect_killed("ptrace", [] { syscall(SYS_ptrace, 0, 0, 0, 0); });
  expect_killed("connect", [] { syscall(SYS_connect, 3, nullptr, 0); });
  expect_killed("executable memory", [] { syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); });
  expect_killed("another descriptor", [] { syscall(SYS_write, 1, "x", 1); });
  expect_killed("clock", [] { syscall(SYS_clock_settime, 0, nullptr); });
}

TEST(Jail, LandlockAloneOpensNothing) {
  pid_t child = fork();
  if (child == 0) {
    auto abi = shut_files();
    if (!abi) _exit(1);
    if (*abi == 0) _exit(0);  // a kernel without Landlock
    if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES) _exit(2);
    if (open("/tmp", O_RDONLY | O_DIRECTORY) != -1) _exit(3);
    if (mkdir("/tmp/nora-landlock-test", 0700) == 0) _exit(4);
    if (*abi >= 4) {
      int s = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_port = htons(1);
      a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a) != -1 || errno != EACCES) _exit(5);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Jail, HonestWorkGoesOn) {
  int status = jailed([] {
    Bytes big(100'000);
    for (auto& b : big) b = 7;
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

#ifndef NORA_SANITIZED
TEST(Jail, MemoryIsBounded) {
  int status = jailed([] {
    try {
      for (;;) {
        auto* block = new Bytes(8u << 20, 1);
        if (block->empty()) return;
      }
    } catch (const std::bad_alloc&) {
      _exit(42);
    }
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42) << status;
}
#endif

// Parses through the real loop in a jailed child, large and small items mixed.
TEST(Jail, TheWorkerParsesInside) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  pid_t child = fork();
  if (child == 0) {
    close(pair[0]);
    warm_up_parsers();
    if (!enter_jail(pair[1])) _exit(77);
    _exit(run_parse_worker(pair[1]));
  }
  close(pair[1]);
  constexpr int items = 300;
  std::thread writer([fd = pair[0]] {
    for (int i = 0; i < items; ++i) {
      auto body = std::string("HTTP/1.1 200 OK\r\nServer: s\r\n\r\n<title>t</title>") + std::string(static_cast<std::size_t>(i) * 200, '<');
      auto bytes = encode(WireItem{static_cast<std::uint64_t>(i), {"http", "203.0.113.7", 80, {to_bytes(body)}}});
      std::size_t at = 0;
      while (at < bytes.size()) {
        auto n = write(fd, bytes.data() + at, bytes.size() - at);
        if (n <= 0) return;
        at += static_cast<std::size_t>(n);
      }
    }
    shutdown(fd, SHUT_WR);
  });
  Bytes buffer;
  int got = 0;
  std::uint8_t chunk[65536];
  for (ssize_t n; (n = read(pair[0], chunk, sizeof chunk)) > 0;) {
    buffer.insert(buffer.end(), chunk, chunk + n);
    FrameReader frames(buffer);
    while (auto body = frames.next()) {
      auto result = decode_result(*body);
      ASSERT_TRUE(result);
      EXPECT_EQ(result->id, static_cast<std::uint64_t>(got++));
      ASSERT_NE(result->parsed.find("html_title"), nullptr);
    }
    ASSERT_FALSE(frames.malformed());
    buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(frames.used()));
  }
  writer.join();
  close(pair[0]);
  EXPECT_EQ(got, items);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace nora::survey
