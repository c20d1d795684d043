// domain: survey
// The auditor of what we said: total on any bytes, and what it accepts it accepts cut off anywhere.
#include <cstdlib>

#include "survey/words.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::survey;
  const Overheard where{Ip::v4(0xcb007107), 80, "192.0.2.10", "http://192.0.2.10:8088"};
  const ByteView said(data, size);
  const auto probe = conversation_of(where, said);
  if (!probe) return 0;
  for (std::size_t n = 0; n < size && n < 400; ++n)
    if (!conversation_of(where, said.first(n))) std::abort();
  return 0;
}
