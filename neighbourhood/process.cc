#include "neighbourhood/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/files.h"
#include "neighbourhood/namespaces.h"

namespace nora::neighbourhood {
namespace {

using Clock = std::chrono::steady_clock;

bool write_file(const char* path, std::string_view text) {
  Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// In the child, between fork and exec. A failure is told on stderr, which is the server's log by then.
[[noreturn]] void become(const Command& c) {
  auto give_up = [&](const char* step) {
    ::dprintf(2, "nora: could not start %s: %s: %s\n", c.argv[0].c_str(), step, std::strerror(errno));
    ::_exit(127);
  };
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!c.netns.empty() && !join_netns(c.netns)) give_up("network namespace");
  if (!c.hostname.empty() && (::unshare(CLONE_NEWUTS) != 0 || ::sethostname(c.hostname.data(), c.hostname.size()) != 0)) give_up("host name");
  // Without the change of directory a relative path in a server's configuration would mean the caller's tree.
  if (::chdir(c.directory.empty() ? "/" : c.directory.c_str()) != 0) give_up("working directory");
  // After the change of directory: the run's own directory may itself lie below /tmp.
  if (c.private_tmp && (::unshare(CLONE_NEWNS) != 0 || ::mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") != 0)) give_up("own /tmp");
  for (auto [here, there] : c.pass_fds)
    if (::dup2(here, there) < 0) give_up("pass a descriptor");
  if (c.plain_user) {
    std::string uid = fmt::format("1000 {} 1", ::geteuid()), gid = fmt::format("1000 {} 1", ::getegid());
    if (::unshare(CLONE_NEWUSER) != 0 || !write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", uid) ||
        !write_file("/proc/self/gid_map", gid))
      give_up("user namespace");
  }
  std::vector<std::string> env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent", "TZ=UTC", "MIBS="};
  env.insert(env.end(), c.env.begin(), c.env.end());
  std::vector<char*> argv, envp;
  for (const auto& a : c.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (const auto& e : env) envp.push_back(const_cast<char*>(e.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  ::execvpe(argv[0], argv.data(), envp.data());
  give_up("execute");
  ::_exit(127);
}

int status_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

Result<pid_t> spawn(const Command& c) {
  if (c.argv.empty()) return fail(Code::usage, "no program to start");
  pid_t pid = ::fork();
  if (pid < 0) return fail(Code::environment, "fork: " + errno_text(errno));
  if (pid > 0) return pid;
  ::setsid();
  int in = ::open("/dev/null", O_RDWR);
  int out = c.log.empty() ? in : ::open(c.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(in, 0);
  ::dup2(out < 0 ? in : out, 1);
  ::dup2(out < 0 ? in : out, 2);
  become(c);
}

Result<Finished> run(const Command& c, std::string_view input, std::chrono::milliseconds deadline) {
  if (c.argv.empty()) return fail(Code::usage, "no program to run");
  int in[2], out[2], err[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
    return fail(Code::environment, "pipe: " + errno_text(errno));
  pid_t pid = ::fork();
  if (pid < 0) return fail(Code::environment, "fork: " + errno_text(errno));
  if (pid == 0) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    become(c);
  }
  Fd to(in[1]), from(out[0]), from_err(err[0]);
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  Finished done;
  auto until = Clock::now() + deadline;
  auto previous = ::signal(SIGPIPE, SIG_IGN);
  if (!input.empty()) ::fcntl(to.get(), F_SETFL, O_NONBLOCK);
  if (input.empty()) to = Fd();
  bool open_out = true, open_err = true;
  while (open_out || open_err) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) {
      done.timed_out = true;
      ::kill(-pid, SIGKILL);
      break;
    }
    pollfd fds[3] = {{open_out ? from.get() : -1, POLLIN, 0}, {open_err ? from_err.get() : -1, POLLIN, 0}, {to ? to.get() : -1, POLLOUT, 0}};
    if (::poll(fds, 3, static_cast<int>(left)) < 0 && errno != EINTR) break;
    auto take = [](pollfd& p, bool& open, std::string& into) {
      if (!(p.revents & (POLLIN | POLLHUP | POLLERR))) return;
      char buffer[65536];
      ssize_t n = ::read(p.fd, buffer, sizeof buffer);
      if (n <= 0) open = n < 0 && errno == EINTR;
      else if (into.size() < max_output_bytes) into.append(buffer, static_cast<std::size_t>(n));
    };
    take(fds[0], open_out, done.out);
    take(fds[1], open_err, done.err);
    if (to && (fds[2].revents & (POLLOUT | POLLERR))) {
      ssize_t n = ::write(to.get(), input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (input.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) to = Fd();
    }
  }
  ::signal(SIGPIPE, previous);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  done.code = status_code(status);
  return done;
}

bool alive(pid_t pid) {
  int status = 0;
  if (pid <= 0 || ::waitpid(pid, &status, WNOHANG) == pid) return false;
  return ::kill(pid, 0) == 0;
}

void end(pid_t pid, std::chrono::milliseconds grace) {
  if (pid <= 0) return;
  ::kill(-pid, SIGTERM);
  auto until = Clock::now() + grace;
  while (Clock::now() < until) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(-pid, SIGKILL);  // children that ignored it, and the leader if it did
  ::waitpid(pid, nullptr, 0);
}

}  // namespace nora::neighbourhood
