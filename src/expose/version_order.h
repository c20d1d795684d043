// Order of firmware versions as their makers count: "Ver.1.10" is later than "Ver.1.9", "Rev.11.01.34" is "11.01.34". Used by vuln.h.
// One rule per vendor (a small table in the .cc), one careful rule for all others. nullopt means: no rule fits; never guess an order.
// Where answered it is one total preorder per vendor (tests hold it to that). Pure, any thread. Limit: max_version_bytes.
#pragma once

#include <compare>
#include <optional>
#include <string_view>

namespace nora::expose {

inline constexpr std::size_t max_version_bytes = 128;

std::optional<std::weak_ordering> compare_versions(std::string_view vendor, std::string_view a, std::string_view b);

}  // namespace nora::expose
