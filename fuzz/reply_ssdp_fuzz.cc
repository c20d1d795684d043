// domain: survey_probes
// SSDP answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("ssdp", 1900, data, size);
}
