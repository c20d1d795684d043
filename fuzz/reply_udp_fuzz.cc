// domain: survey_probes
// Answers to every UDP probe. The first line of an input names the probe; the datagrams follow, cut at "|PART|".
#include "reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto end = all.find('\n');
  if (end == std::string_view::npos) return 0;
  return nora::survey::fuzz_reply(all.substr(0, end), 1, data + end + 1, size - end - 1);
}
