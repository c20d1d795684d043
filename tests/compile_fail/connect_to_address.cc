// Kernel connections too.
// expect: cannot convert|invalid initialization|could not convert
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Result<Fd> call(Ip dest, Instant now) { return law::connect(dest, now); }
