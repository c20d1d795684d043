// domain: survey_probes
// UPnP device descriptions.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("upnp", 5000, data, size);
}
