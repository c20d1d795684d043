// domain: survey_probes
// IPP attributes.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("ipp", 631, data, size);
}
