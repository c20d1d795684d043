// A secret has no formatter.
// expect: static assertion failed|Cannot format|no match for
#include <fmt/format.h>

#include "base/secret.h"

std::string leak(const nora::Secret& secret) { return fmt::format("{}", secret); }
