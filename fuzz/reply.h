// Shared by the fuzz targets of the reply parsers: one item per input, cut into parts at "|PART|", as the grabber would hand it over.
// A parser must be total and bounded, and its result must survive the wire to the engine.
#pragma once

#include <cstdlib>
#include <string_view>

#include "survey/parse_wire.h"
#include "survey/probes/parse.h"

namespace nora::survey {

inline int fuzz_reply(std::string_view probe, std::uint16_t port, const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view cut = "|PART|";
  Item item{std::string(probe), "203.0.113.7", port, {}};
  std::string_view rest(reinterpret_cast<const char*>(data), size < max_item_bytes ? size : max_item_bytes);
  for (;;) {
    auto at = rest.find(cut);
    item.parts.push_back(to_bytes(rest.substr(0, at)));
    if (at == std::string_view::npos || item.parts.size() >= 16) break;
    rest.remove_prefix(at + cut.size());
  }
  auto parsed = parse(item);
  if (parsed.keys.size() > max_keys || parsed.bytes.size() > max_item_bytes) std::abort();
  for (const auto& k : parsed.keys)
    if (k.value.size() > max_value_bytes) std::abort();
  auto wire = encode(WireResult{1, parsed});
  auto back = decode_result(ByteView(wire).subspan(4));
  if (!back || back->parsed.keys != parsed.keys || back->parsed.bytes != parsed.bytes) std::abort();
  return 0;
}

}  // namespace nora::survey
