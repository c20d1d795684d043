// domain: survey_probes
// RTSP OPTIONS and DESCRIBE answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("rtsp", 554, data, size);
}
