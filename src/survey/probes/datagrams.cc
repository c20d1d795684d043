// The table of UDP parsers, and what the families share (datagrams.h).
#include "survey/probes/datagrams.h"

#include <algorithm>

#include "survey/probes/reader.h"

namespace nora::survey {

std::optional<bool> parse_datagram(Parsed& out, const Item& item) {
  for (auto family : {name_parsers(), service_parsers(), discovery_parsers(), tunnel_parsers(), peer_parsers(), control_parsers()})
    for (const auto& p : family)
      if (p.probe == item.probe) return p.parse(out, item);
  return std::nullopt;
}

ByteView first_datagram(const Item& item) { return item.parts.empty() ? ByteView() : ByteView(item.parts[0]); }

std::string clean(ByteView bytes, std::size_t max_bytes) {
  auto text = as_text(bytes);
  text = text.substr(0, text.find('\0'));
  return std::string(trim(text.substr(0, max_bytes)));
}

bool is_text(ByteView bytes) {
  return !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t c) {
    return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
  });
}

std::uint16_t u16le(ByteView b, std::size_t at) { return at + 2 <= b.size() ? static_cast<std::uint16_t>(b[at] | b[at + 1] << 8) : 0; }
std::uint32_t u32le(ByteView b, std::size_t at) {
  return at + 4 <= b.size() ? static_cast<std::uint32_t>(u16le(b, at)) | static_cast<std::uint32_t>(u16le(b, at + 2)) << 16 : 0;
}

}  // namespace nora::survey
