// domain: survey_probes
// The frames between the engine and nora-parse, read as if the other end had been taken over.
#include <cstdlib>

#include "survey/parse_wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::survey;
  ByteView bytes(data, size);
  (void)decode_item(bytes);
  if (auto result = decode_result(bytes)) {
    auto again = encode(*result);
    auto back = decode_result(ByteView(again).subspan(4));
    if (!back || back->parsed.keys != result->parsed.keys) std::abort();
  }
  Bytes buffer(bytes.begin(), bytes.end());
  bool malformed = false;
  for (int i = 0; i < 100 && !malformed; ++i)
    if (!next_frame(buffer, malformed)) break;
  return 0;
}
