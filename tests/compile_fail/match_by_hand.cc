// A unique match comes from the matcher and from nothing else.
// expect: private within this context
#define NORA_ISP_SIDE
#include "isp/match.h"

nora::isp::UniqueMatch forged() { return nora::isp::UniqueMatch(); }
