#include "neighbourhood/namespaces.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/files.h"

namespace nora::neighbourhood {
namespace {

namespace fs = std::filesystem;

Status system_error(std::string_view what, std::string fix = {}) {
  return fail(Code::environment, fmt::format("{}: {}", what, errno_text(errno)), std::move(fix));
}

Status write_text(const std::string& path, std::string_view text) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return system_error("write " + path);
  return {};
}

// Who exists inside: the ordinary system files of the host are hidden, so that no server finds an account of this machine.
Status write_etc(const fs::path& dir) {
  std::error_code ec;
  fs::create_directories(dir, ec);
  const std::pair<const char*, const char*> files[] = {
      {"passwd", "root:x:0:0:root:/root:/bin/sh\nnora:x:1000:1000:nora:/tmp:/bin/sh\nftp:x:1001:1001:ftp:/tmp:/bin/false\n"
                 "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
      {"group", "root:x:0:\nnora:x:1000:\nftp:x:1001:\ntty:x:5:\nlp:x:7:\nlpadmin:x:101:\nutmp:x:43:\nnogroup:x:65534:\n"},
      {"shadow", "root:*:19000:0:99999:7:::\nnora:*:19000:0:99999:7:::\n"},
      {"hosts", "127.0.0.1 localhost\n::1 localhost\n"},
      {"nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
      {"resolv.conf", "nameserver 192.0.2.53\noptions timeout:1 attempts:1\n"},
  };
  for (auto [name, text] : files) NORA_CHECK(replace_file(dir / name, text));
  return {};
}

Status overlay(const std::string& lower, const char* target) {
  if (::mount("overlay", target, "overlay", MS_RDONLY, ("lowerdir=" + lower).c_str()) != 0)
    return system_error(fmt::format("overlay on {}", target), "Needs Linux 5.11 or later; run `nora doctor`");
  return {};
}

Status mount_everything(const SandboxOptions& o) {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return system_error("make mounts private");
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return system_error("mount /proc", "A container that masks /proc forbids this; run the demo outside it");
  NORA_CHECK(write_etc(o.state / "etc"));
  NORA_CHECK(overlay((o.root / "usr").string() + ":/usr", "/usr"));
  NORA_CHECK(overlay((o.state / "etc").string() + ":" + (o.root / "etc").string() + ":/etc", "/etc"));
  if (::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64m") != 0) return system_error("tmpfs on /run");
  for (auto dir : {"/run/netns", "/run/lock", "/run/nora"}) ::mkdir(dir, 0755);
  return {};
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The first process of the namespace: starts the body, reaps orphans, ends with the body.
int init_process(const SandboxOptions& options, const std::function<int()>& body, int error_pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (auto ok = mount_everything(options); !ok) {
    auto text = ok.error().text();
    [[maybe_unused]] auto n = ::write(error_pipe, text.data(), text.size());
    return 6;
  }
  ::close(error_pipe);
  pid_t main = ::fork();
  if (main < 0) return 6;
  if (main == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int code = body();
    ::fflush(nullptr);
    ::_exit(code);
  }
  // An init without handlers ignores SIGINT and SIGTERM; the body decides when the run ends.
  for (;;) {
    int status = 0;
    pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == main) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno == ECHILD) return 1;
  }
}

}  // namespace

namespace {

// A signal handler can reach nothing but a static: the process whose end ends the whole world.
volatile pid_t world_holder = 0;
void end_world(int) {
  if (world_holder > 0) ::kill(world_holder, SIGTERM);
}

// While it lives, a SIGTERM or SIGHUP to the caller (a closed terminal, a service manager) ends the world instead of the caller, which then
// cleans up behind it.
class EndWorldOnTerm {
 public:
  explicit EndWorldOnTerm(pid_t holder) {
    world_holder = holder;
    struct sigaction act{};
    act.sa_handler = end_world;
    ::sigaction(SIGTERM, &act, &term_);
    ::sigaction(SIGHUP, &act, &hup_);
  }
  ~EndWorldOnTerm() {
    ::sigaction(SIGTERM, &term_, nullptr);
    ::sigaction(SIGHUP, &hup_, nullptr);
    world_holder = 0;
  }
  EndWorldOnTerm(const EndWorldOnTerm&) = delete;
  EndWorldOnTerm& operator=(const EndWorldOnTerm&) = delete;

 private:
  struct sigaction term_{}, hup_{};
};

}  // namespace

Result<int> enter(const SandboxOptions& options, const std::function<int()>& body) {
  for (const auto& path : {options.root, options.state})
    if (path.string().find_first_of(":,") != std::string::npos)
      return fail(Code::usage, fmt::format("the path {} has a ':' or ','; an overlay mount cannot use it", path.string()));
  if (!fs::exists(options.root / "usr/sbin"))
    return fail(Code::environment, fmt::format("no stand-in servers in {}", options.root.string()), "Run `make deps`");
  int error_pipe[2];
  if (::pipe2(error_pipe, O_CLOEXEC) != 0) return pass(system_error("pipe").error());

  ::fflush(nullptr);  // what is buffered belongs to the caller alone
  // A middle process, so that the caller itself stays outside and can clean up and report.
  pid_t middle = ::fork();
  if (middle < 0) return pass(system_error("fork").error());
  if (middle == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGINT, SIG_IGN);
    ::close(error_pipe[0]);
    auto give_up = [&](const Status& why) {
      auto text = why.error().text();
      [[maybe_unused]] auto n = ::write(error_pipe[1], text.data(), text.size());
      ::_exit(6);
    };
    uid_t uid = ::geteuid();
    gid_t gid = ::getegid();
    int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
    if (uid != 0) flags |= CLONE_NEWUSER;
    if (::unshare(flags) != 0)
      give_up(system_error("this machine refuses namespaces", uid != 0 ? "Run `nora doctor`, or run the demo with sudo" : ""));
    if (uid != 0) {
      // An ordinary user may map one id only, and only after giving up setgroups (user_namespaces(7)).
      for (auto [path, text] : {std::pair<std::string, std::string>{"/proc/self/setgroups", "deny"},
                                {"/proc/self/uid_map", fmt::format("0 {} 1", uid)},
                                {"/proc/self/gid_map", fmt::format("0 {} 1", gid)}})
        if (auto ok = write_text(path, text); !ok) give_up(ok);
    }
    pid_t init = ::fork();
    if (init < 0) give_up(system_error("fork"));
    if (init == 0) {
      ::signal(SIGINT, SIG_DFL);
      ::_exit(init_process(options, body, error_pipe[1]));
    }
    ::close(error_pipe[1]);
    ::_exit(wait_for(init));
  }
  EndWorldOnTerm end_on_term(middle);
  ::close(error_pipe[1]);
  std::string error;
  char buffer[1024];
  for (ssize_t n; (n = ::read(error_pipe[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0) error.append(buffer, static_cast<std::size_t>(n));
  ::close(error_pipe[0]);
  int code = wait_for(middle);
  if (!error.empty()) return fail(Code::environment, error);
  return code;
}

Status make_netns(const std::string& name) {
  pid_t child = ::fork();
  if (child < 0) return system_error("fork");
  if (child == 0) {
    auto path = "/run/netns/" + name;
    Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    if (!file || ::unshare(CLONE_NEWNET) != 0 || ::mount("/proc/self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) ::_exit(1);
    const std::pair<const char*, const char*> quiet[] = {
        {"/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"},   {"/proc/sys/net/ipv6/conf/default/accept_dad", "0"},     {"/proc/sys/net/ipv6/conf/default/accept_ra", "0"},
        {"/proc/sys/net/ipv6/conf/default/autoconf", "0"},       {"/proc/sys/net/ipv6/conf/default/router_solicitations", "0"},
        {"/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1"},  {"/proc/sys/net/ipv4/conf/default/rp_filter", "0"},
        {"/proc/sys/net/ipv4/conf/all/rp_filter", "0"},          {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
        {"/proc/sys/net/ipv4/conf/default/send_redirects", "0"}, {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
        // Servers run as an ordinary user inside (one uid is not enough for daemons that change theirs) and still bind port 80.
        {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
    };
    for (auto [key, value] : quiet)
      if (!write_text(key, value)) ::_exit(2);
    ::_exit(0);
  }
  if (int code = wait_for(child); code != 0)
    return fail(Code::environment, fmt::format("could not make the network namespace {} (step {})", name, code), "Run `nora doctor`");
  return {};
}

Status join_netns(const std::string& name) {
  Fd fd(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::setns(fd.get(), CLONE_NEWNET) != 0) return system_error("join the network namespace " + name);
  return {};
}

Status set_sysctls(const std::string& netns, const std::vector<std::pair<std::string, std::string>>& values) {
  pid_t child = ::fork();
  if (child < 0) return system_error("fork");
  if (child == 0) {
    if (!join_netns(netns)) ::_exit(1);
    for (const auto& [key, value] : values)
      if (!write_text("/proc/sys/" + key, value)) ::_exit(2);
    ::_exit(0);
  }
  if (wait_for(child) != 0) return fail(Code::environment, fmt::format("could not set {} in {}", values.empty() ? "" : values[0].first, netns));
  return {};
}

}  // namespace nora::neighbourhood
