// domain: survey_probes
// NTP mode 6 answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("ntp-readvar", 123, data, size);
}
