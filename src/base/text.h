// Small text helpers that more than one folder needs. Pure functions, any thread; views point into the caller's text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nora {

// Every piece between the separators, empty ones too: "a,,b" gives three, "" gives one empty piece.
std::vector<std::string_view> split(std::string_view text, char by);
// The pieces that are not empty, as strings: for lists of names kept in one column.
std::vector<std::string> split_names(std::string_view text, char by = ',');
// At most so many bytes of a text, whole UTF-8 characters, with "…" when something was left out.
std::string shortened(std::string_view text, std::size_t bytes);
// 0-15, or -1 when c is no hex digit.
int hex_digit(char c);

}  // namespace nora
