// The jail of nora-parse: after enter_jail() the process can read and write one descriptor, get and free memory, and exit. Nothing else: any
// other system call kills it with SIGSYS (seccomp), and no path could be opened even if one got through (Landlock). Used by parse_main.cc and
// the jail test. Irreversible.
#pragma once

#include "base/result.h"

// The sanitizers need more memory and a few more system calls (their reports, their allocator): the product is built without them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NORA_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NORA_SANITIZED 1
#endif
#endif

namespace nora::survey {

inline constexpr std::size_t jail_memory_bytes = 256u << 20;  // RLIMIT_AS

// Closes every descriptor but `fd` and stderr, sets the limits, then the filter. Errors: environment (the kernel has no seccomp).
Status enter_jail(int fd);
// The Landlock part alone: no file, directory or TCP port can be opened or made from here on. Returns the kernel's Landlock version, 0 when it
// has none (the seccomp filter stands without it). Errors: environment.
Result<int> shut_files();

}  // namespace nora::survey
