// The send call takes a permit, not a target.
// expect: cannot convert|could not convert|no matching function
#include "law/mandate.h"
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Refusal send(FrameSender& sender, const Target& target, ByteView frame, Instant now) { return sender.send(target, frame, now); }
