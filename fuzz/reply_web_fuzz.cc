// domain: survey_probes
// Icons, HNAP, CWMP, version documents, NTRIP source tables, port mappings, SOCKS4 and what a recorder's port says. The first byte chooses.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* probes[] = {"favicon", "favicon-tls", "hnap", "cwmp", "version", "version-tls", "ntrip", "igd", "socks4-relay", "dvr"};
  if (size == 0) return 0;
  return nora::survey::fuzz_reply(probes[data[0] % std::size(probes)], 80, data + 1, size - 1);
}
