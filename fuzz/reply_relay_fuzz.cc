// domain: survey_probes
// Answers of a proxy to the relay proof.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("http-relay", 8080, data, size);
}
