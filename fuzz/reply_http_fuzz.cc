// domain: survey_probes
// HTTP answers: headers, chunks, titles, forms, redirects.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("http", 80, data, size);
}
