// domain: base
// The reader of message catalogues. Property: it never crashes, and what it accepts has no empty id.
#include "base/messages.h"
#include "base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto po = nora::parse_po({reinterpret_cast<const char*>(data), size});
  if (po) for (const auto& [id, text] : *po) NORA_ASSERT(!id.empty(), "the header entry is skipped");
  return 0;
}
