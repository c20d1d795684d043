// domain: survey_probes
// MQTT CONNACK.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("mqtt", 1883, data, size);
}
