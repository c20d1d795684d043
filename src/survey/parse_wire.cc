#include "survey/parse_wire.h"

#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

void put_u64(Bytes& out, std::uint64_t v) {
  put_u32be(out, static_cast<std::uint32_t>(v >> 32));
  put_u32be(out, static_cast<std::uint32_t>(v));
}
template <class T>
void put_long(Bytes& out, const T& bytes) {
  put_u32be(out, static_cast<std::uint32_t>(bytes.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void put_short(Bytes& out, std::string_view text) {
  text = text.substr(0, 0xffff);
  put_u16be(out, static_cast<std::uint16_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}
std::string take_short(Reader& r) {
  auto n = r.u16();
  return to_string(r.take(n));
}
Bytes take_long(Reader& r, std::size_t limit, bool& bad) {
  auto n = r.u32();
  if (n > limit) {
    bad = true;
    return {};
  }
  auto v = r.take(n);
  return {v.begin(), v.end()};
}
std::uint64_t take_u64(Reader& r) {
  std::uint64_t high = r.u32();
  return high << 32 | r.u32();
}
Bytes framed(const Bytes& body) {
  Bytes out;
  out.reserve(body.size() + 4);
  put_long(out, body);
  return out;
}

}  // namespace

Bytes encode(const WireItem& w) {
  Bytes body;
  put_u64(body, w.id);
  put_short(body, w.item.probe);
  put_short(body, w.item.ip);
  put_u16be(body, w.item.port);
  put_u16be(body, static_cast<std::uint16_t>(w.item.parts.size()));
  for (const auto& part : w.item.parts) put_long(body, part);
  return framed(body);
}

std::optional<WireItem> decode_item(ByteView body) {
  Reader r(body);
  WireItem out;
  bool bad = false;
  out.id = take_u64(r);
  out.item.probe = take_short(r);
  out.item.ip = take_short(r);
  out.item.port = r.u16();
  auto parts = r.u16();
  for (int i = 0; i < parts && !r.bad() && !bad; ++i) out.item.parts.push_back(take_long(r, max_item_bytes, bad));
  if (bad || r.bad() || !r.done()) return std::nullopt;
  return out;
}

Bytes encode(const WireResult& w) {
  const auto& p = w.parsed;
  Bytes body;
  put_u64(body, w.id);
  put_short(body, p.protocol);
  put_long(body, p.bytes);
  put_u16be(body, static_cast<std::uint16_t>(p.keys.size()));
  for (const auto& k : p.keys) {
    put_short(body, k.key);
    put_long(body, k.value);
  }
  put_short(body, p.redirect);
  put_short(body, p.location_path);
  put_u16be(body, p.location_port);
  put_short(body, p.control_path);
  body.push_back(p.control_service);
  body.push_back(static_cast<std::uint8_t>((p.proxy_suspect ? 1 : 0) | (p.printer_suspect ? 2 : 0)));
  return framed(body);
}

std::optional<WireResult> decode_result(ByteView body) {
  Reader r(body);
  WireResult out;
  bool bad = false;
  auto& p = out.parsed;
  out.id = take_u64(r);
  p.protocol = take_short(r);
  p.bytes = take_long(r, max_item_bytes, bad);
  auto keys = r.u16();
  if (keys > max_keys) return std::nullopt;
  for (int i = 0; i < keys && !r.bad() && !bad; ++i) {
    auto key = take_short(r);
    auto value = take_long(r, max_value_bytes, bad);
    p.keys.push_back({std::move(key), to_string(value)});
  }
  p.redirect = take_short(r);
  p.location_path = take_short(r);
  p.location_port = r.u16();
  p.control_path = take_short(r);
  p.control_service = r.u8();
  auto flags = r.u8();
  p.proxy_suspect = flags & 1;
  p.printer_suspect = flags & 2;
  if (bad || r.bad() || !r.done()) return std::nullopt;
  // The words that Nora acts on must be plain: a path is sent out again, a protocol name is stored as a word.
  auto plain = [](std::string_view s, std::size_t limit) {
    if (s.size() > limit) return false;
    for (char c : s)
      if (c <= ' ' || c > '~') return false;
    return true;
  };
  if (!plain(p.protocol, 32) || !plain(p.redirect, 256) || !plain(p.location_path, 256) || !plain(p.control_path, 256) ||
      p.control_service > 3)
    return std::nullopt;
  if (p.control_path.empty() != (p.control_service == 0) || (!p.control_path.empty() && p.control_path.front() != '/')) return std::nullopt;
  if ((!p.redirect.empty() && p.redirect.front() != '/') || (!p.location_path.empty() && p.location_path.front() != '/'))
    return std::nullopt;
  for (const auto& k : p.keys)
    if (!plain(k.key, 64)) return std::nullopt;
  return out;
}

std::optional<ByteView> FrameReader::next() {
  const auto rest = buffer_.subspan(used_);
  if (malformed_ || rest.size() < 4) return std::nullopt;
  const auto n = get_u32be(rest.data());
  if (n > max_frame_body) {
    malformed_ = true;
    return std::nullopt;
  }
  if (rest.size() < 4u + n) return std::nullopt;
  used_ += 4u + n;
  return rest.subspan(4, n);
}

}  // namespace nora::survey
