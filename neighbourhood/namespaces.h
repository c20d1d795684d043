// The demo's own corner of the kernel: user, mount, network, process, host-name and IPC namespaces, entered once per run.
// Used by `nora demo` and by nora-neighbour. Works as root and, where user namespaces are allowed, as an ordinary user (who is
// then root only inside). Single-threaded: enter() forks, and named_netns() switches the calling process to and fro.
//
// Everything that is started inside dies with its first process: the kernel kills a process namespace whose init is gone, and
// that init gets SIGKILL when the process that called enter() dies, however it dies. So nothing is left behind on the host.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace nora::neighbourhood {

struct SandboxOptions {
  std::filesystem::path root;   // where unpack.sh put the stand-in servers (the directory with usr/ and etc/)
  std::filesystem::path state;  // an existing directory of this run; enter() makes state/etc (passwd, hosts, resolv.conf)
};

// Runs body() in new namespaces, as a child of their init, and returns its exit code (128 + signal when it was killed).
// Inside, the stand-in servers are seen at their ordinary paths: overlays on /usr and /etc (read only), a tmpfs on /run.
// Errors: environment, with the switch to turn when namespaces or overlays are refused.
Result<int> enter(const SandboxOptions& options, const std::function<int()>& body);

// Makes one network namespace and binds it to /run/netns/NAME, so that `ip -n NAME` and `ip netns exec NAME` work.
// Before any interface exists it sets what keeps an idle link silent: IPv6 off until it is asked for, and then without
// autoconfiguration, duplicate-address detection and link-local addresses. Only inside enter().
Status make_netns(const std::string& name);
// Joins the calling process to it (a forked child does this before it executes a server).
Status join_netns(const std::string& name);
// Writes a value below /proc/sys in that namespace, from a child process. Errors: failed, with the path.
Status set_sysctls(const std::string& netns, const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace nora::neighbourhood
