// domain: survey_probes
// Modbus device identification.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("modbus", 502, data, size);
}
