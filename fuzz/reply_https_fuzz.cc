// domain: survey_probes
// Certificates and pages behind TLS.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("https", 443, data, size);
}
