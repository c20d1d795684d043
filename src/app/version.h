// Which Nora this is: the version, and the commit that it was built from. Used by app only.
#pragma once

#include <string_view>

namespace nora::app {

std::string_view version();  // "0.1.0"
std::string_view commit();   // "a1b2c3d4e5f6", "-dirty" when files differed from it; "" when it was not built from a git tree

}  // namespace nora::app
