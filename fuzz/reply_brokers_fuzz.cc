// domain: survey_probes
// AMQP, Redis, memcached, MongoDB, SIP, ADB, and the greetings of rsync, POP3 and IMAP. The first byte chooses.
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* probes[] = {"amqp", "redis", "memcached-tcp", "mongodb", "sip-tcp", "adb", "listen"};
  if (size == 0) return 0;
  return nora::survey::fuzz_reply(probes[data[0] % std::size(probes)], 5672, data + 1, size - 1);
}
