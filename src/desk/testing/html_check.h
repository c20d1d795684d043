// A small strict reader of the pages that the desk writes, for tests: knows the elements and attributes that may appear and nothing else.
// It does not share code with the writer. Returns what is wrong, or an empty string.
#pragma once

#include <string>
#include <string_view>

namespace nora::desk::testing {

std::string html_problem(std::string_view page);

}  // namespace nora::desk::testing
