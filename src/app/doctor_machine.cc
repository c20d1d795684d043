// The real machine behind `nora doctor`. Namespaces are tried, not guessed: a child enters them, makes what the demo makes, and ends.
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "app/doctor.h"
#include "base/files.h"

namespace nora::app {
namespace {

constexpr std::size_t small_file_bytes = 64 * 1024;

bool write_text(const char* path, const std::string& text) {
  int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return good;
}

// Runs a program without a shell, output thrown away; true when it ends with 0 in time.
bool runs(std::initializer_list<const char*> words) {
  std::vector<char*> argv;
  for (auto w : words) argv.push_back(const_cast<char*>(w));
  argv.push_back(nullptr);
  pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0), ::dup2(null, 1), ::dup2(null, 2);
    ::alarm(probe_timeout_ms / 1000);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// In the child: one byte per answer to the parent, then the errno text if entering failed.
void probe_in_child(int out) {
  ::alarm(probe_timeout_ms / 1000);
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  const int flags = CLONE_NEWNET | CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER);
  std::string answer;
  if (::unshare(flags) != 0) {
    answer = "x" + errno_text(errno);
  } else {
    if (uid != 0) {
      write_text("/proc/self/setgroups", "deny");
      write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
      write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
    }
    answer = "e";
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (runs({"ip", "link", "add", "nora-a", "type", "veth", "peer", "name", "nora-b"})) answer += 'v';
    if (int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER); fd >= 0) answer += 'n', ::close(fd);
    if (int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); fd >= 0) answer += 'p', ::close(fd);
    if (int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); fd >= 0) answer += '6', ::close(fd);
    if (::mount("overlay", "/usr", "overlay", MS_RDONLY, "lowerdir=/etc:/usr") == 0) answer += 'o';
  }
  [[maybe_unused]] auto n = ::write(out, answer.data(), answer.size());
}

class RealMachine : public Machine {
 public:
  bool root() override { return ::geteuid() == 0; }

  std::optional<std::string> read(std::string_view path) override {
    std::ifstream in{std::string(path)};
    if (!in) return {};
    std::string text(small_file_bytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
  }

  std::optional<std::string> program(std::string_view name) override {
    const char* path = std::getenv("PATH");
    std::string folders = (path ? path : "/usr/bin:/bin") + std::string(":/usr/sbin:/sbin:/usr/local/sbin");
    for (std::size_t at = 0; at <= folders.size();) {
      auto end = std::min(folders.find(':', at), folders.size());
      std::string full = folders.substr(at, end - at) + "/" + std::string(name);
      if (::access(full.c_str(), X_OK) == 0) return full;
      at = end + 1;
    }
    return {};
  }

  std::string version_of(const std::string& path) override {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {};
    pid_t child = ::fork();
    if (child == 0) {
      int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, 0), ::dup2(pipe[1], 1), ::dup2(null, 2);
      ::alarm(probe_timeout_ms / 1000);
      ::execl(path.c_str(), path.c_str(), "--version", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(pipe[1]);
    std::string text = child > 0 ? read_pipe(pipe[0], child) : "";
    ::close(pipe[0]);
    return text.substr(0, text.find('\n'));
  }

  NamespaceProbe try_namespaces() override {
    NamespaceProbe probe;
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
      probe.error = errno_text(errno);
      return probe;
    }
    std::fflush(nullptr);
    pid_t child = ::fork();
    if (child == 0) {
      probe_in_child(pipe[1]);
      ::_exit(0);
    }
    ::close(pipe[1]);
    std::string answer = child > 0 ? read_pipe(pipe[0], child) : "x" + errno_text(errno);
    ::close(pipe[0]);
    if (answer.starts_with('e')) {
      auto has = [&](char c) { return answer.find(c, 1) != answer.npos; };
      probe.entered = true;
      probe.veth = has('v'), probe.netfilter = has('n'), probe.packet_socket = has('p'), probe.overlay = has('o'), probe.ipv6 = has('6');
      probe.more_than_one_uid = root();
    } else {
      probe.error = answer.empty() ? "the probe was killed" : answer.substr(1);
    }
    return probe;
  }

  ClockState clock() override {
    timex t{};
    ClockState state;
    int rc = ::adjtimex(&t);
    state.synchronised = rc >= 0 && rc != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
    state.error_us = t.maxerror;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    state.now = {now.tv_sec * 1'000'000 + now.tv_nsec / 1000};
    return state;
  }

  std::optional<std::int64_t> free_bytes(std::string_view folder) override {
    struct statvfs s{};
    if (::statvfs(std::string(folder).c_str(), &s) != 0) return {};
    return static_cast<std::int64_t>(s.f_bavail) * static_cast<std::int64_t>(s.f_frsize);
  }

  std::int64_t open_files_max() override {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max == RLIM_INFINITY ? INT64_MAX : static_cast<std::int64_t>(limit.rlim_max);
  }

  bool folder_has(std::string_view folder, std::string_view name_start) override {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (entry.path().filename().string().starts_with(name_start)) return true;
    return false;
  }

 private:
  // Reads to the end or to the limit, then collects the child.
  static std::string read_pipe(int fd, pid_t child) {
    std::string text;
    std::array<char, 4096> part{};
    while (text.size() < small_file_bytes) {
      pollfd p{fd, POLLIN, 0};
      if (::poll(&p, 1, probe_timeout_ms) <= 0) {
        ::kill(child, SIGKILL);
        break;
      }
      auto n = ::read(fd, part.data(), part.size());
      if (n <= 0) break;
      text.append(part.data(), static_cast<std::size_t>(n));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return text;
  }
};

}  // namespace

Machine& this_machine() {
  static RealMachine machine;  // stateless
  return machine;
}

}  // namespace nora::app
