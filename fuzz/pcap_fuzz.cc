// domain: net sense
// Capture files: any length, any link type; memory stays bounded and the reader ends.
#include <cstdlib>

#include "net/pcap_file.h"
#include "sense/aggregator.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  auto file = net::PcapFile::from_memory(Bytes(data, data + size));
  if (!file) return 0;
  sense::Aggregator aggregator({});
  std::size_t packets = 0;
  while (true) {
    const auto captured = file->next();
    if (!captured || !*captured) break;
    if (++packets > size / 16) std::abort();  // each packet needs a header of 16 bytes
    if (const auto packet = file->parse(**captured)) aggregator.add(*packet, (*captured)->at);
  }
  (void)aggregator.open();
  return 0;
}
