// domain: identify
// What names a person or an organisation in a reply: the parts lie inside the text, in order; the masked text has none of them left whole.
#include <cstdlib>

#include "base/bytes.h"
#include "identify/personal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  const auto text = as_text(ByteView(data, size));
  std::size_t at = 0;
  const auto parts = identify::personal_parts(text);
  for (const auto& p : parts) {
    if (p.from < at || p.to <= p.from || p.to > size) std::abort();
    at = p.to;
  }
  const auto shown = identify::without_names(text);
  if (parts.empty() != (shown == text)) {
    // A text that holds the mask itself may look the same.
    if (text.find(identify::mask) == text.npos) std::abort();
  }
  return 0;
}
