// A notice needs a unique match; an ambiguous answer, or a line that somebody typed, is none.
// expect: no matching function|could not convert|cannot convert
#define NORA_ISP_SIDE
#include "isp/notice.h"

using namespace nora;
using namespace nora::isp;

Result<Notice> tell(Row row, LineId line, const Subscriber& who, const Settings& settings, const Messages& messages) {
  return Notice::make({{row, line}}, who, settings, messages);
}
