// domain: survey_probes
// DNS answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("dns-recursion", 53, data, size);
}
