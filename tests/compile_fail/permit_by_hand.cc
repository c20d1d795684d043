// A permit comes from a mandate and from nothing else.
// expect: private within this context
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Permit forged() { return Permit(); }
