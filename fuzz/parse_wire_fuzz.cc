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
  FrameReader frames(bytes);
  while (auto frame = frames.next())
    if (frame->data() < data || frame->data() + frame->size() > data + size) std::abort();
  return 0;
}
