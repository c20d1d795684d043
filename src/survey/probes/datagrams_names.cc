// Names, time and discovery of the neighbourhood: DNS, mDNS, NetBIOS, NTP, SNMP, SSDP, CoAP, NAT-PMP (datagrams.h).
#include "survey/probes/datagrams.h"

#include <algorithm>

#include "survey/probes/der.h"
#include "survey/probes/http.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr int max_records = 64;

// A name; compression pointers are followed at most 16 times (RFC 1035 section 4.1.4). Text with dots, "" when broken.
std::string dns_name(ByteView message, Reader& r) {
  std::string out;
  int jumps = 0;
  ByteView bytes = message;
  std::size_t at = r.at();
  bool jumped = false;
  std::size_t after = at;
  for (int labels = 0; labels < 128; ++labels) {
    if (at >= bytes.size()) {
      r.skip(message.size() + 1);
      return {};
    }
    auto n = bytes[at];
    if (n == 0) {
      if (!jumped) after = at + 1;
      break;
    }
    if ((n & 0xc0) == 0xc0) {
      if (at + 1 >= bytes.size() || ++jumps > 16) {
        r.skip(message.size() + 1);
        return {};
      }
      if (!jumped) after = at + 2;
      jumped = true;
      at = (n & 0x3fu) << 8 | bytes[at + 1];
      continue;
    }
    if ((n & 0xc0) || at + 1 + n > bytes.size() || out.size() > 255) {
      r.skip(message.size() + 1);
      return {};
    }
    if (!out.empty()) out += '.';
    out += as_text(bytes.subspan(at + 1, n));
    at += 1u + n;
  }
  r.skip(after - r.at());
  return out;
}

bool parse_dns(Parsed& out, const Item& item, bool version) {
  if (item.parts.empty()) return false;
  ByteView message = item.parts[0];
  Reader r(message);
  r.u16();  // id: already checked against the token
  auto flags = r.u16();
  auto questions = r.u16(), answers = r.u16(), authority = r.u16();
  r.u16();
  if (r.bad() || !(flags & 0x8000) || questions > 1) return false;
  int rcode = flags & 15;
  bool ra = flags & 0x80;
  std::string asked;
  if (questions == 1) {
    asked = lower(dns_name(message, r));
    r.u32();
  }
  std::string address, text;
  bool ours = false;
  for (int i = 0; i < std::min<int>(answers, max_records) && !r.bad(); ++i) {
    auto owner = lower(dns_name(message, r));
    auto type = r.u16();
    r.u16();
    r.u32();
    auto n = r.u16();
    auto data = r.take(n);
    if (r.bad()) break;
    if (type == 1 && n == 4 && address.empty()) {
      address = std::to_string(data[0]) + "." + std::to_string(data[1]) + "." + std::to_string(data[2]) + "." + std::to_string(data[3]);
      ours = owner == asked;
    }
    if (type == 5 && owner == asked) asked = "";  // an alias: the address record has another owner
    if (type == 16 && n > 0 && text.empty()) text = as_text(data.subspan(1, std::min<std::size_t>(data[0], n - 1u)));
  }
  out.protocol = "dns";
  out.add("dns.rcode", std::to_string(rcode));
  out.add("dns.ra", ra ? "1" : "0");
  if (version) {
    if (!text.empty()) out.add("dns.version_bind", text);
  } else {
    std::string_view word = "other";
    if (rcode == 5) word = "refused";
    else if (ra && rcode == 0 && answers > 0 && !address.empty() && (ours || asked.empty())) word = "open";
    else if (rcode == 0 && answers == 0 && authority > 0 && !ra) word = "referral";
    out.add("dns.recursion", word);
    if (!address.empty()) out.add("dns.answer", address);
  }
  std::string stable = version ? "version.bind\n" : "recursion\n";  // ids and the random name do not belong into the hash
  for (const auto& k : out.keys) stable += k.key + ": " + k.value + "\n";
  out.bytes = to_bytes(stable);
  return true;
}

bool parse_ntp(Parsed& out, const Item& item) {
  std::string text;
  bool any = false;
  for (const auto& part : item.parts) {
    Reader r(part);
    auto first = r.u8();
    auto second = r.u8();
    if (r.bad() || (first & 7) != 6 || !(second & 0x80) || (second & 0x1f) != 2) continue;
    r.skip(8);  // sequence, status, association, offset
    auto count = r.u16();
    auto data = r.take(std::min<std::size_t>(count, r.left()));
    any = true;
    text += as_text(data);
  }
  if (!any) return false;
  out.protocol = "ntp";
  out.add("ntp.mode6", "answered");
  // Clock readings change with every answer; what names the product does not.
  std::string stable;
  bool quoted = false;
  std::string row;
  auto finish = [&] {
    auto word = trim(row);
    for (auto name : {"version=", "processor=", "system=", "stratum=", "refid=", "daemon_version="})
      if (word.starts_with(name)) stable += (stable.empty() ? "" : ", ") + std::string(word);
    row.clear();
  };
  for (char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) finish();
    else row += c;
  }
  finish();
  out.add("ntp.readvar", stable);
  out.bytes = to_bytes(stable);
  return true;
}

bool parse_snmpv3(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  Reader outer(item.parts[0]);
  auto message = der(outer, 0x30);
  if (!message) return false;
  Reader r(*message);
  auto version = der(r, 0x02);
  auto header = version ? der(r, 0x30) : std::nullopt;
  auto security = header ? der(r, 0x04) : std::nullopt;
  if (!security || version->size() != 1 || (*version)[0] != 3) return false;
  Reader s(*security);
  auto parameters = der(s, 0x30);
  if (!parameters) return false;
  Reader p(*parameters);
  auto engine = der(p, 0x04);
  if (!engine || engine->size() < 5 || engine->size() > 32) return false;  // RFC 3411 SnmpEngineID
  out.protocol = "snmpv3";
  out.add("snmpv3.engine_id", to_hex(*engine));
  out.add("snmpv3.enterprise", std::to_string(get_u32be(engine->data()) & 0x7fffffff));
  if ((*engine)[0] & 0x80 && (*engine)[4] == 3 && engine->size() == 11) out.add("snmpv3.mac", to_hex(engine->subspan(5)));
  out.bytes.assign(engine->begin(), engine->end());  // boots and time vary
  return true;
}

bool parse_ssdp(Parsed& out, const Item& item) {
  bool any = false;
  for (const auto& part : item.parts) {
    auto http = read_http(part);
    if (!http || http->status != 200) continue;
    auto put = [&](std::string_view key, std::string_view name) {
      const auto* value = http->header(name);
      if (!value) return;
      for (const auto& k : out.keys)
        if (k.key == key && k.value == *value) return;
      out.add(key, *value);
    };
    put("ssdp.server", "server");
    put("ssdp.location", "location");
    put("ssdp.st", "st");
    put("ssdp.usn", "usn");
    any = true;
    const auto* location = http->header("location");
    if (!location || out.location_port != 0) continue;
    // Only the same host is asked (exposures.md section 3 rule 4): http://<ip>:<port><path>.
    std::string host = item.ip.find(':') == std::string::npos ? item.ip : "[" + item.ip + "]";
    std::string_view rest = *location;
    if (!begins_word(rest, "http://")) continue;
    rest.remove_prefix(7);
    if (!rest.starts_with(host)) continue;
    rest.remove_prefix(host.size());
    std::uint32_t port = 80;
    if (rest.starts_with(":")) {
      rest.remove_prefix(1);
      port = 0;
      std::size_t digits = 0;
      while (digits < rest.size() && digits < 5 && rest[digits] >= '0' && rest[digits] <= '9')
        port = port * 10 + static_cast<std::uint32_t>(rest[digits++] - '0');
      rest.remove_prefix(digits);
    }
    if (port == 0 || port > 65535 || rest.empty() || rest.front() != '/' || rest.starts_with("//") || rest.size() > 256) continue;
    if (std::any_of(rest.begin(), rest.end(), [](char c) { return c <= ' ' || c > '~' || c == '?'; })) continue;
    out.location_port = static_cast<std::uint16_t>(port);
    out.location_path = rest;
  }
  if (!any) return false;
  out.protocol = "ssdp";
  std::vector<std::string> rows;
  for (const auto& k : out.keys) rows.push_back(k.key + ": " + k.value + "\n");
  std::sort(rows.begin(), rows.end());  // datagrams come in any order
  std::string text;
  for (const auto& row : rows) text += row;
  out.bytes = to_bytes(text);
  return true;
}

bool parse_coap(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  Reader r(item.parts[0]);
  auto first = r.u8();
  auto code = r.u8();
  r.u16();
  r.skip(first & 15);
  if (r.bad() || first >> 6 != 1 || (first & 15) > 8) return false;
  if (code >> 5 == 0 && (code != 0 || (first >> 4 & 3) < 2)) return false;  // a request or a ping: our own, sent back
  out.protocol = "coap";
  if ((first >> 4 & 3) == 3 && code == 0) {  // reset: the answer to a ping (RFC 7252 section 4.3)
    out.add("coap.ping", "reset");
    out.keep_keys_only();
    return true;
  }
  out.add("coap.code", std::to_string(code >> 5) + "." + (code & 31 ? (code & 31) < 10 ? "0" : "" : "0") + std::to_string(code & 31));
  ByteView payload;
  for (int options = 0; options < 64 && !r.done() && !r.bad(); ++options) {
    auto byte = r.u8();
    if (byte == 0xff) {
      payload = r.take(r.left());
      break;
    }
    auto extended = [&](int nibble) -> std::size_t {
      if (nibble == 13) return 13u + r.u8();
      if (nibble == 14) return 269u + r.u16();
      return static_cast<std::size_t>(nibble);
    };
    extended(byte >> 4);
    auto length = extended(byte & 15);
    r.skip(length);
  }
  if (!payload.empty()) out.add("coap.core", as_text(payload));
  std::string text = *out.find("coap.code") + "\n" + to_string(payload);
  out.bytes = to_bytes(text);
  return true;
}

bool parse_natpmp(Parsed& out, const Item& item) {
  if (item.parts.empty() || item.parts[0].size() < 4) return false;
  const auto& b = item.parts[0];
  if (b[0] != 0 || b[1] != 128) return false;
  out.protocol = "natpmp";
  auto result = get_u16be(&b[2]);
  out.add("natpmp.result", std::to_string(result));
  std::string external;
  if (result == 0 && b.size() >= 12) {
    external = std::to_string(b[8]) + "." + std::to_string(b[9]) + "." + std::to_string(b[10]) + "." + std::to_string(b[11]);
    out.add("natpmp.external", external);
  }
  out.bytes = to_bytes("natpmp " + std::to_string(result) + " " + external);  // the epoch varies
  return true;
}

// Service types only: names of instances are often people's ("Hanako's printer").
bool parse_mdns(Parsed& out, const Item& item) {
  std::vector<std::string> types;
  bool any = false;
  for (const auto& part : item.parts) {
    ByteView message = part;
    Reader r(message);
    r.u16();
    auto flags = r.u16();
    auto questions = r.u16();
    auto answers = static_cast<std::uint32_t>(r.u16()) + r.u16();
    answers += r.u16();
    if (r.bad() || !(flags & 0x8000) || questions > 4) continue;
    for (int i = 0; i < questions && !r.bad(); ++i) {
      dns_name(message, r);
      r.u32();
    }
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(answers, max_records) && !r.bad(); ++i) {
      auto owner = lower(dns_name(message, r));
      auto type = r.u16();
      r.u16();
      r.u32();
      auto n = r.u16();
      Reader target(message);
      target.skip(r.at());
      r.skip(n);
      if (r.bad()) break;
      if (owner != "_services._dns-sd._udp.local" || type != 12) continue;
      any = true;
      auto name = dns_name(message, target);
      if (!name.empty() && name.front() == '_' && std::find(types.begin(), types.end(), name) == types.end()) types.push_back(name);
    }
  }
  if (!any) return false;
  std::sort(types.begin(), types.end());
  std::string list;
  for (const auto& t : types) list += (list.empty() ? "" : ",") + t;
  out.protocol = "mdns";
  out.add("mdns.services", list);
  out.keep_keys_only();
  return true;
}

// RFC 1002 section 4.2.18. Suffix 00 is the machine's name, 20 its file service; 03 is the user's: not kept.
bool parse_netbios(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  r.u16();
  auto flags = r.u16();
  r.u16();
  auto answers = r.u16();
  r.u32();
  if (r.bad() || !(flags & 0x8000) || answers != 1) return false;
  r.skip(34);
  auto type = r.u16();
  r.skip(8);
  auto names = r.u8();
  if (r.bad() || type != 0x21) return false;
  std::string machine, suffixes;
  for (int i = 0; i < names && !r.bad(); ++i) {
    auto name = r.take(15);
    auto suffix = r.u8();
    auto attributes = r.u16();
    if (r.bad()) break;
    bool group = attributes & 0x8000;
    if (!group && machine.empty() && (suffix == 0 || suffix == 0x20)) machine = clean(name);
    auto hex = to_hex(Bytes{suffix}) + (group ? "g" : "");
    if ((',' + suffixes + ',').find(',' + hex + ',') == std::string::npos) suffixes += (suffixes.empty() ? "" : ",") + hex;
  }
  auto mac = r.take(6);
  out.protocol = "netbios";
  if (!machine.empty()) out.add("netbios.name", machine);
  out.add("netbios.suffixes", suffixes);
  if (!r.bad() && std::any_of(mac.begin(), mac.end(), [](auto b) { return b != 0; })) out.add("netbios.mac", to_hex(mac));
  out.keep_keys_only();
  return true;
}

// Mode 7, implementation XNTPD (3), request MON_GETLIST_1 (42). The items are the addresses of others: only that there are some is kept.
bool parse_monlist(Parsed& out, const Item& item) {
  bool any = false;
  int items = 0, error = 0;
  for (const auto& b : item.parts) {
    if (b.size() < 8 || (b[0] & 0x87) != 0x87 || b[2] != 3 || b[3] != 42) continue;
    any = true;
    error = b[4] >> 4;
    items += get_u16be(&b[4]) & 0x0fff;
  }
  if (!any) return false;
  out.protocol = "ntp";
  out.add("ntp.monlist", items > 0 ? "answered" : error != 0 ? "error " + std::to_string(error) : "empty");
  out.keep_keys_only();
  return true;
}

// RFC 3416: Response with sysDescr.0. The community is not kept.
bool parse_snmp2(Parsed& out, const Item& item) {
  Reader outer(first_datagram(item));
  auto message = der(outer, 0x30);
  if (!message) return false;
  Reader r(*message);
  auto version = der(r, 0x02);
  auto community = version ? der(r, 0x04) : std::nullopt;
  auto pdu = community ? der(r, 0xa2) : std::nullopt;
  if (!pdu || version->size() != 1 || (*version)[0] != 1) return false;
  Reader p(*pdu);
  for (int i = 0; i < 3; ++i)
    if (!der(p, 0x02)) return false;
  auto list = der(p, 0x30);
  if (!list) return false;
  Reader l(*list);
  auto binding = der(l, 0x30);
  if (!binding) return false;
  Reader b(*binding);
  auto name = der(b, 0x06);
  auto value = name ? der(b, 0x04) : std::nullopt;
  out.protocol = "snmp";
  if (value) out.add("snmp.sys_description", as_text(*value));
  out.keep_keys_only();
  return true;
}

}  // namespace

std::span<const DatagramParser> name_parsers() {
  static constexpr DatagramParser all[] = {
      {"dns-recursion", [](Parsed& out, const Item& item) { return parse_dns(out, item, false); }},
      {"dns-version", [](Parsed& out, const Item& item) { return parse_dns(out, item, true); }},
      {"mdns", parse_mdns},
      {"netbios-status", parse_netbios},
      {"ntp-readvar", parse_ntp},
      {"ntp-monlist", parse_monlist},
      {"snmpv3-engine", parse_snmpv3},
      {"snmp-public", parse_snmp2},
      {"ssdp", parse_ssdp},
      {"coap-core", parse_coap},
      {"coap-ping", parse_coap},
      {"natpmp", parse_natpmp}};
  return all;
}

}  // namespace nora::survey
