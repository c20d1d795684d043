// The permit is given away with the frame.
// expect: cannot bind rvalue reference
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Refusal send(FrameSender& sender, Permit& permit, ByteView frame, Instant now) { return sender.send(permit, frame, now); }
