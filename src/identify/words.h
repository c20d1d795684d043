// Comparing names of vendors and products: "NEC Platforms, Ltd." against "NEC", "Aterm" against "Aterm WG1200HS". Pure, any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace nora::identify {

// Lower-case words of letters and digits; company suffixes (inc, ltd, corp, …) left out. "WSR-3200AX4S" is one word.
std::set<std::string> words_of(std::string_view name);
// Neither contradicts the other: one is empty, or the words of one are all in the other.
bool compatible(std::string_view a, std::string_view b);
// `specific` says at least what `general` says.
bool covers(std::string_view specific, std::string_view general);
// One comparable text per name.
std::string normal(std::string_view name);

}  // namespace nora::identify
