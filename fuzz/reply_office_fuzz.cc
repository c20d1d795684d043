// domain: survey_probes
// SMB2, AFP, ONC RPC, RDP, X11, PPTP. The first byte chooses.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* probes[] = {"smb", "afp", "portmap-tcp", "nfs", "rdp", "x11", "pptp"};
  if (size == 0) return 0;
  return nora::survey::fuzz_reply(probes[data[0] % std::size(probes)], 445, data + 1, size - 1);
}
