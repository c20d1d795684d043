// domain: survey_probes
// SNMPv3 reports.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return nora::survey::fuzz_reply("snmpv3-engine", 161, data, size);
}
