// Raw frames leave only through law::FrameSender.
// expect: private within this context
#include "net/packet_socket.h"

nora::Result<nora::net::PacketSender> around_the_law() { return nora::net::PacketSender::open({}); }
