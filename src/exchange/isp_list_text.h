// The plain text inside a list or a return (NDJSON: one head line, one line per row), before signature and sealed box. Used by isp_list.cc,
// the golden tests and the fuzz target. Pure functions, total on any input. Limits: max_list_rows, 64 KiB a line.
#pragma once

#include <string>
#include <string_view>

#include "exchange/isp_list.h"

namespace nora::exchange {

Result<std::string> list_text(const List& list);
Result<List> parse_list_text(std::string_view text);
Result<std::string> return_text(const Return& ret);  // refuses free text: a return carries no name
Result<Return> parse_return_text(std::string_view text);

}  // namespace nora::exchange
