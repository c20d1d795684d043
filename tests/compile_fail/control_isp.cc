// The right way at the provider: a unique answer becomes a notice.
// expect: compiles
#define NORA_ISP_SIDE
#include "isp/notice.h"

using namespace nora;
using namespace nora::isp;

Result<Notice> tell(Row row, const MatchAnswer& answer, const Subscriber& who, const Settings& settings, const Messages& messages) {
  if (!answer.unique) return fail(Code::refused, "not unique");
  return Notice::make({{std::move(row), *answer.unique}}, who, settings, messages);
}
