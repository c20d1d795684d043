// domain: survey_probes
// Version.bind answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("dns-version", 53, data, size);
}
