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

// Makes the namespaces, runs `setup` by the shell, then `body`; returns its exit code.
inline int in_namespace(const std::string& setup, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const uid_t uid = ::getuid();
    const gid_t gid = ::getgid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(no_namespace);
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
    if (std::system(("set -e; " + setup).c_str()) != 0) ::_exit(no_setup);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

}  // namespace nora::net
