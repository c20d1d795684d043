// A permit cannot be put together from an address.
// expect: no matching function|could not convert|cannot convert
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Permit forged(Ip dest, Ip source) { return Permit{dest, source}; }
