// domain: survey_probes
// S7, EtherNet/IP, DNP3, IEC 60870-5-104, SLMP, Fox, OPC UA, HART-IP, GE-SRTP, Lantronix. The first byte chooses.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* probes[] = {"s7", "enip", "dnp3", "iec104", "slmp", "fox", "foxs", "opcua", "hart-ip", "ge-srtp", "lantronix-tcp", "s7-200"};
  if (size == 0) return 0;
  return nora::survey::fuzz_reply(probes[data[0] % std::size(probes)], 102, data + 1, size - 1);
}
