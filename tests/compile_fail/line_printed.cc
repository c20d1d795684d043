// A line has no formatter: it cannot slip into a log.
// expect: static assertion failed|Cannot format|no match for
#define NORA_ISP_SIDE
#include <fmt/format.h>

#include "isp/line.h"

std::string leak(const nora::isp::LineId& line) { return fmt::format("{}", line); }
