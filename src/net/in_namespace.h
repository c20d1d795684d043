// Test support: runs a piece of a test in a child with its own user and network namespace (no root needed where user namespaces are allowed).
// Used by tests of net, law, survey and sense only; single-threaded callers (it forks).
#pragma once

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

namespace nora::net {

inline constexpr int no_namespace = 90;  // user namespaces are not allowed here
inline constexpr int no_setup = 91;      // the setup command failed: iproute2 missing

// May this process load eBPF? Root of the first user namespace may.
inline bool first_root() {
  std::ifstream map("/proc/self/uid_map");
  unsigned long from = 1, to = 1, n = 0;
  return ::geteuid() == 0 && map >> from >> to >> n && from == 0 && to == 0 && n == 4294967295ul;
}

// Makes the namespaces, runs `setup` by the shell, then `body`; returns its exit code. `own_user` false: a network namespace alone, for first_root().
inline int in_namespace(const std::string& setup, const std::function<int()>& body, bool own_user = true) {
  const pid_t child = ::fork();
  if (child == 0) {
    const uid_t uid = ::getuid();
    const gid_t gid = ::getgid();
    if (::unshare((own_user ? CLONE_NEWUSER : 0) | CLONE_NEWNET) != 0) ::_exit(no_namespace);
    if (own_user) {
      std::ofstream("/proc/self/setgroups") << "deny";
      std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
      std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
    }
    if (std::system(("set -e; " + setup).c_str()) != 0) ::_exit(no_setup);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

}  // namespace nora::net
