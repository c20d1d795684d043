// domain: law law_wall
// The mandate, its root file, the opt-out list and the catalogue. The sender's reader and the wall's must agree on every input.
// Law profiles and grounds are not here: they are the operator's own files, not foreign bytes, and toml++ 3.3.0 does not stand up to
// arbitrary code points outside of strings.
#include <cstdlib>

#include "law/mandate_text.h"
#include "law/wall_mandate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::law;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto sender = parse_mandate(text);
  const auto wall = wall::read_text(text);
  if (sender.has_value() != wall.has_value()) std::abort();
  if (sender) {
    const auto back = write_mandate(*sender);
    if (!back || *back != text) std::abort();  // one text per meaning
    if (sender->ranges.size() != wall->ranges.size() || sender->ports.size() != wall->tcp_ports.size() + wall->udp_ports.size()) std::abort();
  }
  const auto list = parse_opt_out(text);
  if (list.has_value() != wall::read_opt_out(text).has_value()) std::abort();
  (void)parse_roots(text);
  (void)ProbeList::parse(text);
  return 0;
}
