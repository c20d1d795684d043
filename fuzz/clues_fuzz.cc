// domain: cases
// The owner finder over a page and a certificate subject of a hostile device: total, bounded, and every text that comes out is clean UTF-8.
#include <cstdint>
#include <cstdlib>

#include "base/escape.h"
#include "cases/onsite.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  registry::Observation seen;
  registry::Reply reply;
  reply.protocol = "http";
  reply.bytes.assign(data, data + size);
  reply.keys = {{"x509.subject", std::string(reinterpret_cast<const char*>(data), size)}};
  const auto clues = cases::find_clues({{seen, reply}}, {reinterpret_cast<const char*>(data), size});
  if (clues.size() > 100) std::abort();
  for (const auto& c : clues)
    if (c.text.size() > 300 || to_clean_utf8(c.text) != c.text || to_clean_utf8(c.contact) != c.contact) std::abort();
  return 0;
}
