// domain: survey_probes
// Telnet, SSH, FTP, RFB: what devices say by themselves.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("listen", 23, data, size);
}
