// Calls, tunnels, screens and remote management over UDP: STUN, SIP, IPMI, L2TP, IKE, OpenVPN, RIP, QUIC, RDP, GTP, DTLS (datagrams.h).
#include <algorithm>

#include "survey/probes/brokers.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

bool parse_stun(Parsed& out, const Item& item) {  // RFC 8489 sections 5, 14.14
  Reader r(first_datagram(item));
  auto type = r.u16();
  auto length = r.u16();
  auto cookie = r.u32();
  r.skip(12);
  if (r.bad() || type != 0x0101 || cookie != 0x2112a442 || length > r.left()) return false;
  out.protocol = "stun";
  out.add("stun.answered", "1");
  for (int i = 0; i < 32 && r.left() >= 4; ++i) {
    auto attribute = r.u16();
    auto n = r.u16();
    auto value = r.take(n);
    r.skip(std::min<std::size_t>((4 - n % 4) % 4, r.left()));
    if (r.bad()) break;
    if (attribute == 0x8022) out.add("stun.software", clean(value, 128));
  }
  out.keep_keys_only();  // transaction id and our mapped address differ
  return true;
}

bool parse_sip_udp(Parsed& out, const Item& item) { return parse_sip(out, first_datagram(item)); }

// IPMI 2.0 section 22.13: RMCP and session header of 14 bytes, then the message: addresses, command 38, completion code, channel,
// authentication types, status, capabilities, OEM number.
bool parse_ipmi(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 14 || b[0] != 6 || b[3] != 7 || b[4] != 0) return false;
  const auto m = b.subspan(14);
  if (m.size() < 8 || m[5] != 0x38 || m[1] >> 2 != 7) return false;  // network function 7: the answer of an App request
  out.protocol = "ipmi";
  out.add("ipmi.completion", to_hex(Bytes{m[6]}));
  if (m[6] == 0 && m.size() >= 10) {
    static constexpr std::pair<int, std::string_view> types[] = {{0, "none"}, {1, "md2"}, {2, "md5"}, {4, "password"}, {5, "oem"}};
    std::string list;
    for (auto [bit, word] : types)
      if (m[8] >> bit & 1) list += (list.empty() ? "" : ",") + std::string(word);
    out.add("ipmi.auth_types", list);
    out.add("ipmi.v2", m[8] & 0x80 ? "1" : "0");
    out.add("ipmi.anonymous_login", m[9] & 1 ? "1" : "0");
    out.add("ipmi.null_user", m[9] & 2 ? "1" : "0");
    if (m.size() >= 14) out.add("ipmi.oem", std::to_string(m[11] | m[12] << 8 | m[13] << 16));
  }
  out.keep_keys_only();
  return true;
}

// RFC 2661 section 4.4: message type 0, host name 7, vendor name 8, firmware revision 6.
bool parse_l2tp(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto flags = r.u16();
  auto length = r.u16();
  r.skip(8);
  if (r.bad() || (flags & 0xcb0f) != 0xc802 || length > first_datagram(item).size()) return false;
  std::string type;
  std::vector<std::pair<std::string_view, std::string>> found;
  for (int i = 0; i < 64 && r.left() >= 6; ++i) {
    auto head = r.u16();
    auto vendor = r.u16(), attribute = r.u16();
    std::size_t n = head & 0x3ff;
    if (n < 6) break;
    auto value = r.take(n - 6);
    if (r.bad()) break;
    if (vendor != 0 || head & 0x4000) continue;  // hidden
    if (attribute == 0 && value.size() == 2) type = std::to_string(get_u16be(value.data()));
    if (attribute == 7) found.emplace_back("l2tp.hostname", clean(value, 128));
    if (attribute == 8) found.emplace_back("l2tp.vendor", clean(value, 128));
    if (attribute == 6 && value.size() == 2) found.emplace_back("l2tp.firmware", to_hex(value));
  }
  if (type == "1") return false;  // SCCRQ: our own, sent back
  out.protocol = "l2tp";
  out.add("l2tp.message", type.empty() ? "ack" : type);  // 2: SCCRP
  for (const auto& [key, value] : found) out.add(key, value);
  out.keep_keys_only();
  return true;
}

// RFC 2408 section 3. An SA, or a notification (14: NO-PROPOSAL-CHOSEN), and vendor ids.
bool parse_ike(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  r.skip(8);
  const auto responder = r.take(8);
  const bool nobody = std::all_of(responder.begin(), responder.end(), [](auto c) { return c == 0; });
  auto next = r.u8(), version = r.u8(), exchange = r.u8();
  r.u8();
  r.u32();
  auto length = r.u32();
  if (r.bad() || (version >> 4 != 1 && version >> 4 != 2) || length > first_datagram(item).size() || length < 28) return false;
  if (nobody && exchange == 2) return false;  // our own, sent back
  if (exchange != 2 && exchange != 4 && exchange != 5 && exchange != 34 && exchange != 37) return false;
  out.protocol = "ike";
  out.add("ike.version", std::to_string(version >> 4) + "." + std::to_string(version & 15));
  std::string answer = "none", vendors;
  for (int i = 0; i < 32 && next != 0 && r.left() >= 4; ++i) {
    auto type = next;
    next = r.u8();
    r.u8();
    auto n = r.u16();
    if (n < 4) break;
    auto body = r.take(n - 4u);
    if (r.bad()) break;
    if (type == 1) answer = "sa";
    if (type == 11 && body.size() >= 8) answer = "notify " + std::to_string(get_u16be(&body[6]));
    if (type == 13 && body.size() <= 64) vendors += (vendors.empty() ? "" : ",") + to_hex(body);
  }
  out.add("ike.answer", answer);
  if (!vendors.empty()) out.add("ike.vendor_ids", vendors);
  out.keep_keys_only();
  return true;
}

// P_CONTROL_HARD_RESET_SERVER_V2 with key id 0: opcode 8 in the upper five bits.
bool parse_openvpn(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 14 || b[0] != 0x40) return false;
  out.protocol = "openvpn";
  out.add("openvpn.answered", "1");
  out.keep_keys_only();
  return true;
}

// RFC 1058 section 3.1: a response. The routes are the network behind the device: only how many there are is kept.
bool parse_rip(Parsed& out, const Item& item) {
  bool any = false;
  std::size_t routes = 0;
  int version = 0;
  for (const auto& b : item.parts) {
    if (b.size() < 4 || b[0] != 2 || b[1] < 1 || b[1] > 2 || (b.size() - 4) % 20 != 0) continue;
    any = true;
    version = b[1];
    routes += (b.size() - 4) / 20;
  }
  if (!any) return false;
  out.protocol = "rip";
  out.add("rip.version", std::to_string(version));
  out.add("rip.routes", std::to_string(routes));
  out.keep_keys_only();
  return true;
}

// RFC 9000 section 17.2.1: Version Negotiation, then the versions; reserved ones (0x?a?a?a?a) are left out.
bool parse_quic(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto first = r.u8();
  auto version = r.u32();
  auto dest = r.u8();
  r.skip(dest);
  auto source = r.u8();
  r.skip(source);
  if (r.bad() || !(first & 0x80) || version != 0 || r.left() < 4) return false;
  std::vector<std::string> versions;
  for (int i = 0; i < 32 && r.left() >= 4; ++i) {
    auto v = r.u32();
    Bytes bytes;
    put_u32be(bytes, v);
    if ((v & 0x0f0f0f0f) != 0x0a0a0a0a) versions.push_back(to_hex(bytes));
  }
  std::sort(versions.begin(), versions.end());
  std::string list;
  for (const auto& v : versions) list += (list.empty() ? "" : ",") + v;
  out.protocol = "quic";
  out.add("quic.versions", list);
  out.keep_keys_only();
  return true;
}

// [MS-RDPEUDP] section 2.2.2.1: flags SYN and ACK.
bool parse_rdpeudp(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 16 || (get_u16be(&b[6]) & 0x5) != 0x5) return false;
  out.protocol = "rdpeudp";
  out.add("rdpeudp.answered", "1");
  out.keep_keys_only();
  return true;
}

bool parse_gtp(Parsed& out, const Item& item) {  // 3GPP TS 29.060 section 7.2.2: Echo Response
  const auto b = first_datagram(item);
  if (b.size() < 8 || b[0] >> 5 != 1 || b[1] != 2) return false;
  out.protocol = "gtp";
  out.add("gtp.version", "1");
  out.keep_keys_only();
  return true;
}

// RFC 6347 sections 4.1, 4.2.1: records with handshake messages. 3: HelloVerifyRequest (a cookie protects others); 2: ServerHello at once.
bool parse_dtls(Parsed& out, const Item& item) {
  std::string answer, version;
  for (const auto& part : item.parts) {
    Reader r(part);
    for (int i = 0; i < 32 && r.left() >= 13; ++i) {
      auto type = r.u8();
      auto record_version = r.u16();
      r.skip(8);
      auto n = r.u16();
      auto body = r.take(n);
      if (r.bad() || record_version >> 8 != 0xfe) break;
      if (type == 21 && body.size() == 2 && answer.empty()) answer = "alert " + std::to_string(body[1]);
      if (type != 22 || body.size() < 14) continue;
      if (body[0] == 3) answer = "hello-verify";
      if (body[0] == 2) answer = "server-hello";
      if (body[0] == 2) version = to_hex(body.subspan(12, 2));
    }
  }
  if (answer.empty()) return false;
  out.protocol = "dtls";
  out.add("dtls.answer", answer);
  if (!version.empty()) out.add("dtls.version", version);
  out.keep_keys_only();
  return true;
}

}  // namespace

std::span<const DatagramParser> tunnel_parsers() {
  static constexpr DatagramParser all[] = {{"stun", parse_stun},   {"sip", parse_sip_udp},     {"ipmi", parse_ipmi},
                                           {"l2tp", parse_l2tp},   {"ike", parse_ike},         {"openvpn", parse_openvpn},
                                           {"rip", parse_rip},     {"quic", parse_quic},       {"rdpeudp", parse_rdpeudp},
                                           {"gtp-echo", parse_gtp}, {"dtls", parse_dtls}};
  return all;
}

}  // namespace nora::survey
