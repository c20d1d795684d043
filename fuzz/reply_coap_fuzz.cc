// domain: survey_probes
// CoAP answers.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("coap-core", 5683, data, size);
}
