// One permit, one use: no copy.
// expect: use of deleted function
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Permit twice(const Permit& permit) { return permit; }
