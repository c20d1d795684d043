#include "survey/probes/control.h"

#include <algorithm>

#include "base/crypto.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;

std::uint16_t u16le(ByteView b, std::size_t at) {
  return at + 2 <= b.size() ? static_cast<std::uint16_t>(b[at] | b[at + 1] << 8) : std::uint16_t{0};
}
std::uint32_t u32le(ByteView b, std::size_t at) { return u16le(b, at) | std::uint32_t{u16le(b, at + 2)} << 16; }
// Text of a fixed field: printable ASCII up to the first zero.
std::string clean(ByteView field) {
  std::string out;
  for (char c : as_text(field)) {
    if (c == '\0') break;
    if (c >= ' ' && c <= '~') out += c;
  }
  return std::string(trim(out));
}
void add_some(Parsed& out, std::string_view key, const std::string& value) {
  if (!value.empty()) out.add(key, value);
}
std::string hex4(unsigned value) {
  char text[7];
  std::snprintf(text, sizeof text, "0x%04x", value & 0xffff);
  return text;
}

// The records of one SZL answer: id, then text or numbers.
void s7_list(Parsed& out, ByteView part) {
  constexpr std::size_t tpkt_cotp = 7, s7_head = 10;
  if (part.size() < tpkt_cotp + s7_head + 12 || part[tpkt_cotp] != 0x32 || part[tpkt_cotp + 1] != 7) return;
  const std::size_t parameters = get_u16be(&part[tpkt_cotp + 6]);
  const auto data = tpkt_cotp + s7_head + parameters;
  if (parameters > 64 || data + 12 > part.size() || part[data] != 0xff) return;  // 0xff: the read was done
  Reader r(part.subspan(data + 4));
  const auto szl = r.u16();
  r.u16();  // index
  const auto size = r.u16(), count = r.u16();
  if (r.bad() || size < 4 || size > 256) return;
  for (int i = 0; i < count && i < 32; ++i) {
    const auto record = r.take(size);
    if (r.bad()) return;
    const auto index = get_u16be(record.data());
    const auto text = clean(record.subspan(2));
    if (szl == 0x0011) {
      if (size < 28) continue;
      const auto order = clean(record.subspan(2, 20));
      auto version = [&] {
        return std::to_string(record[size - 3]) + "." + std::to_string(record[size - 2]) + "." + std::to_string(record[size - 1]);
      };
      if (index == 1) add_some(out, "s7.module", order);
      if (index == 6) out.add("s7.hardware", version());
      if (index == 7) out.add("s7.firmware", version());
    } else if (szl == 0x001c) {
      if (index == 5) add_some(out, "s7.serial", text);
      if (index == 7) add_some(out, "s7.module_type", text);
      if (index == 4) add_some(out, "s7.copyright", text);
    }
  }
}

}  // namespace

bool parse_s7(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  const ByteView first = item.parts[0];
  // A connection confirm (0xd0) or a refusal of it (0x80) proves ISO transport; an S7 answer proves S7.
  if (first.size() < 7 || first[0] != 3 || first[1] != 0 || (first[5] != 0xd0 && first[5] != 0x80)) return false;
  bool s7 = false;
  for (std::size_t i = 1; i < item.parts.size(); ++i) {
    const ByteView part = item.parts[i];
    if (part.size() > 8 && part[0] == 3 && part[7] == 0x32) s7 = true;
    s7_list(out, part);
  }
  out.protocol = s7 ? "s7" : "iso-tsap";
  if (!s7) out.add("iso-tsap.connect", first[5] == 0xd0 ? "confirmed" : "refused");
  out.keep_keys_only();
  return true;
}

bool parse_enip(Parsed& out, ByteView bytes) {
  constexpr std::size_t head = 24;
  if (bytes.size() < head || u16le(bytes, 0) != 0x63) return false;
  if (u32le(bytes, 8) != 0) {  // status
    out.protocol = "enip";
    out.add("enip.status", std::to_string(u32le(bytes, 8)));
    out.keep_keys_only();
    return true;
  }
  const auto body = bytes.subspan(head);
  // item count, item type 0x000c, item length, version, socket address of 16 bytes, then the identity object
  constexpr std::size_t identity = 2 + 4 + 2 + 16;
  if (body.size() < identity + 15 || u16le(body, 0) < 1 || u16le(body, 2) != 0x0c) return false;
  const auto id = body.subspan(identity);
  out.protocol = "enip";
  out.add("enip.vendor_id", std::to_string(u16le(id, 0)));
  out.add("enip.device_type", std::to_string(u16le(id, 2)));
  out.add("enip.product_code", std::to_string(u16le(id, 4)));
  out.add("enip.revision", std::to_string(id[6]) + "." + std::to_string(id[7]));
  out.add("enip.serial", to_hex(Bytes{id[13], id[12], id[11], id[10]}));
  out.add("enip.product_name", clean(id.subspan(15, std::min<std::size_t>(id[14], id.size() - 15))));
  out.keep_keys_only();  // the status word differs
  return true;
}

bool parse_dnp3(Parsed& out, ByteView bytes) {
  if (bytes.size() < 10 || bytes[0] != 5 || bytes[1] != 0x64 || bytes[2] < 5) return false;
  std::uint16_t crc = 0;
  for (int i = 0; i < 8; ++i) {
    crc ^= bytes[static_cast<std::size_t>(i)];
    for (int k = 0; k < 8; ++k) crc = static_cast<std::uint16_t>(crc & 1 ? crc >> 1 ^ 0xa6bc : crc >> 1);
  }
  if (u16le(bytes, 8) != static_cast<std::uint16_t>(~crc)) return false;
  out.protocol = "dnp3";
  out.add("dnp3.function", std::to_string(bytes[3] & 15));  // 11: link status
  out.add("dnp3.address", std::to_string(u16le(bytes, 6)));
  out.bytes.assign(bytes.begin(), bytes.begin() + 10);
  return true;
}

bool parse_iec104(Parsed& out, ByteView bytes) {
  if (bytes.size() < 6 || bytes[0] != 0x68 || bytes[1] < 4 || bytes[1] > 253) return false;
  const bool confirmed = bytes[1] == 4 && bytes[2] == 0x83 && bytes[3] == 0;
  if (!confirmed && (bytes[2] & 3) != 3 && bytes[1] < 14) return false;  // otherwise a U frame, or an I frame with a whole ASDU
  out.protocol = "iec104";
  out.add("iec104.test", confirmed ? "confirmed" : "other");
  out.keep_keys_only();
  return true;
}

bool parse_slmp(Parsed& out, ByteView bytes) {
  // 3E frame: d000, network, station, I/O number, station, length, end code, name of 16 bytes, code
  if (bytes.size() < 11 || bytes[0] != 0xd0 || bytes[1] != 0 || u16le(bytes, 7) < 2 || u16le(bytes, 7) > 4096) return false;
  out.protocol = "slmp";
  const auto code = u16le(bytes, 9);
  if (code != 0) out.add("slmp.error", hex4(code));
  if (code == 0 && bytes.size() >= 29) {
    out.add("slmp.cpu", clean(bytes.subspan(11, 16)));
    out.add("slmp.cpu_code", hex4(u16le(bytes, 27)));
  }
  out.keep_keys_only();
  return true;
}

bool parse_fox(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  if (!text.starts_with("fox a 0")) return false;
  out.protocol = "fox";
  static constexpr std::pair<std::string_view, std::string_view> wanted[] = {
      {"fox.version", "fox.version"}, {"app.name", "fox.app"},       {"app.version", "fox.app_version"}, {"vm.name", "fox.vm"}, {"vm.version", "fox.vm_version"},
      {"os.name", "fox.os"},          {"os.version", "fox.os_version"}, {"brandId", "fox.brand"},           {"hostId", "fox.host_id"}};
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto row = text.substr(at, end - at);
    at = end + 1;
    const auto equals = row.find('=');
    if (equals == npos) continue;
    auto value = row.substr(equals + 1);
    if (value.size() > 2 && value[1] == ':') value.remove_prefix(2);  // "s:" text, "i:" number
    for (auto [name, key] : wanted)
      if (row.substr(0, equals) == name && !out.find(key)) out.add(key, trim(value));
  }
  out.keep_keys_only();  // without host name, address and station
  return true;
}

bool parse_opcua(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  if (bytes.size() < 16 || (!text.starts_with("ACKF") && !text.starts_with("ERRF")) || u32le(bytes, 4) < 16) return false;
  out.protocol = "opcua";
  if (text.starts_with("ACKF")) {
    out.add("opcua.protocol_version", std::to_string(u32le(bytes, 8)));
    if (bytes.size() >= 28) out.add("opcua.limits", std::to_string(u32le(bytes, 12)) + "," + std::to_string(u32le(bytes, 16)) + "," + std::to_string(u32le(bytes, 20)) + "," + std::to_string(u32le(bytes, 24)));
  } else {
    out.add("opcua.error", to_hex(Bytes{bytes[11], bytes[10], bytes[9], bytes[8]}));
  }
  out.keep_keys_only();
  return true;
}

bool parse_hart(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  const ByteView first = item.parts[0];
  // version 1, a response (1) to message id 0
  if (first.size() < 8 || first[0] != 1 || first[1] != 1 || first[2] != 0 || get_u16be(&first[6]) < 8) return false;
  out.protocol = "hart-ip";
  out.add("hart.session", first[3] == 0 ? "granted" : std::to_string(first[3]));
  if (item.parts.size() > 1) {
    const ByteView p = item.parts[1];
    // header 8; short frame: delimiter, address, command, byte count, status (2), then command 0's data: 254, expanded device type…
    constexpr std::size_t data = 8 + 6;
    if (p.size() >= data + 12 && p[0] == 1 && p[1] == 1 && p[2] == 3 && p[3] == 0 && p[8 + 2] == 0 && p[data] == 254) {
      out.add("hart.device_type", hex4(get_u16be(&p[data + 1])));
      out.add("hart.revisions", std::to_string(p[data + 4]) + "," + std::to_string(p[data + 5]) + "," + std::to_string(p[data + 6]) + "," + std::to_string(p[data + 7] >> 3));
      out.add("hart.device_id", to_hex(p.subspan(data + 9, 3)));
      if (p.size() >= data + 19) out.add("hart.manufacturer_id", hex4(get_u16be(&p[data + 17])));
    }
  }
  out.keep_keys_only();
  return true;
}

bool parse_srtp(Parsed& out, ByteView bytes) {
  constexpr std::size_t frame = 56;
  // The answer to the empty first frame is a frame of type 1 and otherwise zero in its second byte.
  if (bytes.size() < frame || bytes[0] != 1 || bytes[1] != 0) return false;
  out.protocol = "ge-srtp";
  out.add("srtp.start", to_hex(bytes.first(8)));
  out.keep_keys_only();
  return true;
}

// UDS-10 user guide, table 19: f7, then the first 16 bytes of the firmware image; bytes 4 and 5 of it are the software type.
bool parse_lantronix(Parsed& out, ByteView bytes) {
  if (bytes.size() < 16 || bytes[0] != 0 || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0xf7) return false;
  out.protocol = "lantronix";
  out.add("lantronix.firmware", to_hex(bytes.subspan(4, std::min<std::size_t>(bytes.size() - 4, 16))));
  out.keep_keys_only();
  return true;
}

}  // namespace nora::survey
