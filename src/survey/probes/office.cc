#include "survey/probes/office.h"

#include <algorithm>

#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_list = 16;  // names in a list that a device sends

std::uint16_t u16le(ByteView b, std::size_t at) {
  return at + 2 <= b.size() ? static_cast<std::uint16_t>(b[at] | b[at + 1] << 8) : std::uint16_t{0};
}
std::uint32_t u32le(ByteView b, std::size_t at) { return u16le(b, at) | std::uint32_t{u16le(b, at + 2)} << 16; }
ByteView cut(ByteView b, std::size_t at, std::size_t n) { return at >= b.size() ? ByteView() : b.subspan(at, std::min(n, b.size() - at)); }
std::string_view until_zero(ByteView b) {
  auto text = as_text(b);
  return text.substr(0, text.find('\0'));
}
// Text of a fixed field: printable ASCII only, the rest is padding.
std::string clean(ByteView field) {
  std::string out;
  for (char c : until_zero(field))
    if (c >= ' ' && c <= '~') out += c;
  return std::string(trim(out));
}

}  // namespace

bool parse_smb(Parsed& out, ByteView bytes) {
  constexpr std::size_t netbios = 4, head = 64;
  if (bytes.size() < netbios + head || bytes[0] != 0) return false;
  const auto smb = bytes.subspan(netbios);
  if (as_text(smb.first(4)) != "\xfeSMB" || u16le(smb, 4) != 64 || u16le(smb, 12) != 0) return false;
  out.protocol = "smb";
  const auto status = u32le(smb, 8);
  const auto body = smb.subspan(head);
  if (status != 0 || body.size() < 64) {
    char text[11];
    std::snprintf(text, sizeof text, "0x%08x", status);
    out.add("smb.status", text);
    out.keep_keys_only();
    return true;
  }
  const auto dialect = u16le(body, 4), mode = u16le(body, 2);
  char text[16];
  std::snprintf(text, sizeof text, "%x.%x.%x", dialect >> 8, dialect >> 4 & 15, dialect & 15);
  out.add("smb.dialect", text);
  out.add("smb.signing", mode & 2 ? "required" : mode & 1 ? "enabled" : "off");
  out.add("smb.guid", to_hex(body.subspan(8, 16)));
  out.keep_keys_only();  // the answer itself carries the device's clock
  return true;
}

bool parse_afp(Parsed& out, ByteView bytes) {
  constexpr std::size_t dsi = 16;
  // A reply (1) to DSIGetStatus (3) with our request id 1.
  if (bytes.size() < dsi + 10 || bytes[0] != 1 || bytes[1] != 3 || get_u16be(&bytes[2]) != 1) return false;
  const auto info = bytes.subspan(dsi);
  // A Pascal string: one byte of length, then the text.
  auto pascal = [&](std::size_t at) { return at < info.size() ? clean(cut(info, at + 1, info[at])) : std::string(); };
  auto list = [&](std::size_t at) {
    std::string names;
    if (at == 0 || at >= info.size()) return names;
    std::size_t count = std::min<std::size_t>(info[at], max_list);
    for (++at; count > 0 && at < info.size(); --count) {
      names += (names.empty() ? "" : ",") + pascal(at);
      at += std::size_t{1} + info[at];
    }
    return names;
  };
  out.protocol = "afp";
  out.add("afp.machine", pascal(get_u16be(&info[0])));
  out.add("afp.versions", list(get_u16be(&info[2])));
  const auto ways = list(get_u16be(&info[4]));
  out.add("afp.uams", ways);
  out.add("afp.guest", ways.find("No User Authen") != std::string::npos ? "offered" : "no");
  out.keep_keys_only();  // without the name that its owner gave it
  return true;
}

bool parse_rpc(Parsed& out, ByteView bytes, std::string_view protocol) {
  Reader r(bytes);
  r.u32();  // record mark
  const auto xid = r.u32(), kind = r.u32(), state = r.u32();
  if (r.bad() || xid != 0x6e6f7261 || kind != 1 || state > 1) return false;
  out.protocol = protocol;
  std::string status = "denied";
  if (state == 0) {
    r.u32();                        // verifier
    const auto verifier = r.u32();
    r.skip(std::min<std::uint32_t>(verifier, 400));
    const auto accepted = r.u32();
    if (r.bad()) return false;
    static constexpr std::string_view names[] = {"success", "prog-unavail", "prog-mismatch", "proc-unavail", "garbage-args", "system-err"};
    status = accepted < std::size(names) ? std::string(names[accepted]) : "other";
    if (accepted == 2) {
      const auto low = r.u32(), high = r.u32();
      if (!r.bad()) out.add(std::string(protocol) + ".versions", std::to_string(low) + "-" + std::to_string(high));
    }
  }
  out.add(std::string(protocol) + ".null", status);
  out.keep_keys_only();
  return true;
}

bool parse_rdp(Parsed& out, ByteView bytes) {
  // TPKT, then an X.224 connection confirm (0xd0).
  if (bytes.size() < 11 || bytes[0] != 3 || bytes[1] != 0 || (bytes[5] & 0xf0) != 0xd0) return false;
  out.protocol = "rdp";
  if (bytes.size() < 19) {
    out.add("rdp.security", "rdp");  // the server knows no negotiation: its own old encryption
    out.add("rdp.nla", "not-required");
  } else if (bytes[11] == 2) {
    const auto chosen = u32le(bytes, 15);
    out.add("rdp.security", chosen == 0 ? "rdp" : chosen == 1 ? "tls" : chosen == 2 ? "nla" : std::to_string(chosen));
    out.add("rdp.nla", "not-required");  // we offered TLS alone, and it was taken
  } else if (bytes[11] == 3) {
    const auto why = u32le(bytes, 15);  // 1 SSL required, 2 SSL not allowed, 5 HYBRID required
    out.add("rdp.failure", std::to_string(why));
    out.add("rdp.nla", why == 5 ? "required" : "not-required");
  }
  out.keep_keys_only();
  return true;
}

bool parse_x11(Parsed& out, ByteView bytes) {
  if (bytes.size() < 8 || bytes[0] > 2) return false;
  const auto rest = std::size_t{4} * u16le(bytes, 6);
  const auto major = u16le(bytes, 2);
  if (bytes[0] != 2 && major != 11) return false;
  if (bytes[0] == 1) {
    if (bytes.size() < 40) return false;
    out.protocol = "x11";
    out.add("x11.access", "open");
    out.add("x11.vendor", clean(cut(bytes, 40, u16le(bytes, 24))));
    out.add("x11.release", std::to_string(u32le(bytes, 8)));
  } else {
    if (bytes.size() < 8 + rest || rest == 0) return false;
    out.protocol = "x11";
    out.add("x11.access", bytes[0] == 0 ? "refused" : "authenticate");
    if (auto why = clean(cut(bytes, 8, bytes[0] == 0 ? bytes[1] : rest)); !why.empty()) out.add("x11.reason", why);
  }
  out.keep_keys_only();  // the set-up holds resource numbers that differ
  return true;
}

bool parse_pptp(Parsed& out, ByteView bytes) {
  constexpr std::size_t reply_bytes = 156, name_bytes = 64;
  if (bytes.size() < 16 || get_u16be(&bytes[2]) != 1 || get_u32be(&bytes[4]) != 0x1a2b3c4d || get_u16be(&bytes[8]) != 2) return false;
  out.protocol = "pptp";
  out.add("pptp.result", std::to_string(bytes[14]));
  if (bytes.size() >= reply_bytes) {
    out.add("pptp.firmware", std::to_string(get_u16be(&bytes[26])));
    out.add("pptp.hostname", clean(bytes.subspan(28, name_bytes)));
    out.add("pptp.vendor", clean(bytes.subspan(28 + name_bytes, name_bytes)));
  }
  out.keep_keys_only();
  return true;
}

}  // namespace nora::survey
