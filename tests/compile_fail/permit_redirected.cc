// A permit cannot be pointed at another target.
// expect: private within this context
#include "law/send.h"

using namespace nora;
using namespace nora::law;

void redirect(Permit& permit, Ip dest) { permit.dest_ = dest; }
