#include "survey/jail.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"

namespace nora::survey {
namespace {

Status limit(int what, rlim_t value) {
  struct rlimit r{value, value};
  if (setrlimit(static_cast<__rlimit_resource>(what), &r) != 0) return fail(Code::environment, "setrlimit: " + errno_text(errno));
  return {};
}

// As the kernel reads it (ABI 4 and later); the headers of an older system end after the first member. The kernel takes a longer structure
// whose rest is zero, and a shorter one.
struct RulesetAttr {
  std::uint64_t handled_access_fs = 0, handled_access_net = 0;
};
constexpr std::uint64_t fs_abi1 = (1u << 13) - 1;                     // execute … make_sym
constexpr std::uint64_t fs_refer = 1u << 13, fs_truncate = 1u << 14, fs_ioctl_dev = 1u << 15;  // ABI 2, 3, 5
constexpr std::uint64_t net_tcp = 3;                                  // bind and connect, ABI 4

}  // namespace

Result<int> shut_files() {
  const auto abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return 0;
  RulesetAttr attr;
  attr.handled_access_fs = fs_abi1 | (abi >= 2 ? fs_refer : 0) | (abi >= 3 ? fs_truncate : 0) | (abi >= 5 ? fs_ioctl_dev : 0);
  if (abi >= 4) attr.handled_access_net = net_tcp;
  // A ruleset that handles everything and allows nothing.
  Fd rules(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attr, abi >= 4 ? sizeof attr : sizeof attr.handled_access_fs, 0)));
  if (!rules) return fail(Code::environment, "Landlock: " + errno_text(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(Code::environment, "no_new_privs: " + errno_text(errno));
  if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) return fail(Code::environment, "Landlock: " + errno_text(errno));
  return static_cast<int>(abi);
}

Status enter_jail(int fd) {
  for (int i = 0; i < 1024; ++i)
    if (i != fd && i != STDERR_FILENO) close(i);
  close_range(1024, ~0u, 0);
#ifndef NORA_SANITIZED
  // Everything from brk: no mremap, no madvise, no mprotect is then needed.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(jail_memory_bytes));
  NORA_CHECK(limit(RLIMIT_AS, jail_memory_bytes));
#endif
  NORA_CHECK(limit(RLIMIT_CORE, 0));
  NORA_CHECK(limit(RLIMIT_FSIZE, 0));
  NORA_CHECK(limit(RLIMIT_NPROC, 0));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(Code::environment, "no_new_privs: " + errno_text(errno));
  NORA_CHECK(shut_files());
  auto* filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return fail(Code::environment, "this kernel has no seccomp filter", "use a kernel with CONFIG_SECCOMP_FILTER");
  int bad = 0;
  auto allow = [&](int call) { bad |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); };
  // Only the one descriptor, and no executable memory.
  bad |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(fd)));
  bad |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(fd)));
  bad |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  allow(SCMP_SYS(munmap));
  allow(SCMP_SYS(brk));
  allow(SCMP_SYS(futex));
  allow(SCMP_SYS(exit));
  allow(SCMP_SYS(exit_group));
  allow(SCMP_SYS(rt_sigreturn));
#ifdef NORA_SANITIZED
  for (int call : {SCMP_SYS(madvise), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigprocmask),
                   SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(clock_gettime)})
    allow(call);
  bad |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO));
#endif
  if (bad == 0) bad = seccomp_load(filter);
  seccomp_release(filter);
  if (bad != 0) return fail(Code::environment, "the seccomp filter cannot be loaded: " + errno_text(-bad));
  return {};
}

}  // namespace nora::survey
