// domain: survey_probes
// NAT-PMP answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("natpmp", 5351, data, size);
}
