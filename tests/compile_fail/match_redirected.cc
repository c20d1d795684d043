// A unique match cannot be pointed at another line.
// expect: private within this context
#define NORA_ISP_SIDE
#include "isp/match.h"

void redirect(nora::isp::UniqueMatch& match, const nora::isp::LineId& line) { match.line_ = line; }
