// domain: survey_probes
// SOCKS5 method selection.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("socks5", 1080, data, size);
}
