#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace nora {

void assertion_failed(const char* condition, const char* file, int line, std::string_view why) {
  std::fprintf(stderr, "bug: %s:%d: %s does not hold: %.*s\n", file, line, condition, static_cast<int>(why.size()), why.data());
  std::abort();
}

}  // namespace nora
