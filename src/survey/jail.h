// The seccomp jail of nora-parse: after enter_jail() the process can read and write one descriptor, get and free memory, and exit. Nothing
// else: any other system call kills it with SIGSYS (trust.md section 7). Used by parse_main.cc and the jail test. Irreversible.
#pragma once

#include "base/result.h"

namespace nora::survey {

inline constexpr std::size_t jail_memory_bytes = 256u << 20;  // RLIMIT_AS

// Closes every descriptor but `fd` and stderr, sets the limits, then the filter. Errors: environment (the kernel has no seccomp).
Status enter_jail(int fd);

}  // namespace nora::survey
