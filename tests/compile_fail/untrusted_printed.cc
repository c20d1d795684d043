// Foreign bytes pass one of the escaping functions first.
// expect: static assertion failed|Cannot format|no match for
#include <fmt/format.h>

#include "base/escape.h"

std::string inject(const nora::Untrusted& banner) { return fmt::format("{}", banner); }
