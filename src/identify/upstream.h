// Rule files for the project whose schema they use: recog XML without Nora's own marks. Used by `nora rules export`. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace nora::identify {

// The file without nora: attributes, nora: elements and their namespace. Rules that are not verified are left out unless asked for: upstream
// wants what was seen. Errors: bad_input (not XML, or not a rule file); not_found when no rule is left.
Result<std::string> recog_xml(std::string_view xml, bool unverified_too);

}  // namespace nora::identify
