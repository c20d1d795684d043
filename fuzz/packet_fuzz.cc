// domain: net sense
// Frames and bare IP packets: nothing is read beyond the span, and what is reported lies inside it.
#include <cstdlib>

#include "net/frame.h"
#include "sense/source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  const ByteView bytes(data, size);
  for (const auto& packet : {net::parse_frame(bytes), net::parse_ip(bytes)}) {
    if (!packet) continue;
    if (!packet->payload.empty() && (packet->payload.data() < data || packet->payload.data() + packet->payload.size() > data + size)) std::abort();
    if (packet->has_ports && packet->protocol != net::ip_tcp && packet->protocol != net::ip_udp) std::abort();
    (void)sense::marks_of(*packet);
  }
  (void)net::checksums_right(bytes);
  return 0;
}
