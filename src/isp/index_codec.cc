// Binary form of lease records in records-*.seg.
#include "isp/index.h"

namespace nora::isp {
namespace {

void put_int(Bytes& out, std::uint64_t v) {
  while (v >= 0x80) { out.push_back(static_cast<std::uint8_t>(v | 0x80)); v >>= 7; }
  out.push_back(static_cast<std::uint8_t>(v));
}
void put_signed(Bytes& out, std::int64_t v) { put_int(out, (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63)); }
void put_text(Bytes& out, std::string_view s) {
  put_int(out, s.size());
  out.insert(out.end(), s.begin(), s.end());
}
void put_optional(Bytes& out, const std::optional<Span>& s) {
  out.push_back(s ? 1 : 0);
  if (s) put_signed(out, s->us);
}

// Reads with bounds; `bad` stays set once anything was wrong.
struct Cursor {
  ByteView bytes;
  std::size_t pos;
  bool bad = false;
  std::uint8_t byte() {
    if (pos >= bytes.size()) { bad = true; return 0; }
    return bytes[pos++];
  }
  std::uint64_t integer() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      auto b = byte();
      v |= std::uint64_t{static_cast<std::uint8_t>(b & 0x7f)} << shift;
      if (!(b & 0x80)) return v;
    }
    bad = true;
    return 0;
  }
  std::int64_t signed_integer() {
    auto v = integer();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  std::string text() {
    auto n = integer();
    if (n > bytes.size() - std::min(pos, bytes.size()) || n > (1u << 20)) { bad = true; return {}; }
    std::string s(reinterpret_cast<const char*>(bytes.data() + pos), n);
    pos += n;
    return s;
  }
  std::optional<Span> optional() {
    if (byte() == 0) return std::nullopt;
    return Span{signed_integer()};
  }
};

}  // namespace

void put_record(Bytes& out, const LeaseRecord& r) {
  out.push_back(static_cast<std::uint8_t>(r.kind));
  out.push_back(static_cast<std::uint8_t>((r.by_reboot ? 1 : 0) | (r.at_known ? 2 : 0) | (r.received ? 4 : 0)));
  for (const auto* s : {&r.nas, &r.nas_name, &r.session, &r.user, &r.access, &r.station, &r.file}) put_text(out, *s);
  put_int(out, r.prefixes.size());
  for (const auto& p : r.prefixes) {
    out.push_back(static_cast<std::uint8_t>(p.is_v4() ? 4 : 6));
    out.push_back(static_cast<std::uint8_t>(p.length()));
    const auto base = p.base().bytes();
    out.insert(out.end(), base.begin(), base.end());
  }
  put_signed(out, r.at.us);
  if (r.received) put_signed(out, r.received->us);
  put_signed(out, r.delay.us);
  put_optional(out, r.session_time);
  put_optional(out, r.timeout);
  put_optional(out, r.interim_every);
  put_signed(out, r.lifetime.us);
  put_int(out, r.offset);
  out.insert(out.end(), r.hash.begin(), r.hash.end());
}

Result<LeaseRecord> get_record(ByteView bytes, std::size_t& pos) {
  Cursor c{bytes, pos};
  LeaseRecord r;
  auto kind = c.byte(), flags = c.byte();
  if (kind > static_cast<std::uint8_t>(RecordKind::release)) c.bad = true;
  r.kind = static_cast<RecordKind>(kind);
  r.by_reboot = flags & 1;
  r.at_known = flags & 2;
  for (auto* s : {&r.nas, &r.nas_name, &r.session, &r.user, &r.access, &r.station, &r.file}) *s = c.text();
  auto count = c.integer();
  if (count > max_prefixes) c.bad = true;
  for (std::uint64_t i = 0; i < count && !c.bad; ++i) {
    auto family = c.byte(), length = c.byte();
    std::array<std::uint8_t, 16> b{};
    for (auto& x : b) x = c.byte();
    auto prefix = Prefix::make(Ip::v6(b), length);
    if (!prefix || (family == 4) != prefix->is_v4()) { c.bad = true; break; }
    r.prefixes.push_back(*prefix);
  }
  r.at = {c.signed_integer()};
  if (flags & 4) r.received = Instant{c.signed_integer()};
  r.delay = {c.signed_integer()};
  r.session_time = c.optional();
  r.timeout = c.optional();
  r.interim_every = c.optional();
  r.lifetime = {c.signed_integer()};
  r.offset = c.integer();
  for (auto& x : r.hash) x = c.byte();
  if (c.bad || ((r.kind == RecordKind::lease || r.kind == RecordKind::release) && r.prefixes.empty())) return fail(Code::bad_input, "a damaged record in the index");
  pos = c.pos;
  return r;
}

}  // namespace nora::isp
