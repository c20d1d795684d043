#include "app/version.h"

#include "app/commit.inc"

namespace nora::app {

std::string_view version() { return NORA_VERSION; }
std::string_view commit() { return NORA_COMMIT; }

}  // namespace nora::app
