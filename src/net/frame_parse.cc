// Parsers of frames (net/frame.h): total, bounded, no read beyond the span.
#include <algorithm>

#include "net/frame.h"

namespace nora::net {
namespace {

constexpr std::size_t eth_bytes = 14, min_eth_bytes = 60;

Ip ip4_at(const std::uint8_t* p) { return Ip::v4(get_u32be(p)); }
Ip ip6_at(const std::uint8_t* p) {
  std::array<std::uint8_t, 16> b{};
  std::copy(p, p + 16, b.begin());
  return Ip::v6(b);
}

// `upper`: bytes present of the upper layer; `claimed`: its length by the IP header.
void parse_upper(Packet& out, ByteView upper, std::size_t claimed, bool first_fragment) {
  if (!first_fragment) {
    out.payload = upper;
    out.payload_bytes = static_cast<std::uint16_t>(std::min<std::size_t>(claimed, 65535));
    return;
  }
  const auto rest = [&](std::size_t header) {
    out.payload = upper.subspan(std::min(header, upper.size()));
    out.payload_bytes = static_cast<std::uint16_t>(claimed > header ? std::min<std::size_t>(claimed - header, 65535) : 0);
  };
  const std::uint8_t* p = upper.data();
  if (out.protocol == ip_tcp && upper.size() >= 20) {
    const std::size_t header = static_cast<std::size_t>(p[12] >> 4) * 4;
    if (header < 20) return;
    out.source_port = get_u16be(p);
    out.dest_port = get_u16be(p + 2);
    out.seq = get_u32be(p + 4);
    out.ack = get_u32be(p + 8);
    out.tcp_flags = p[13];
    out.window = get_u16be(p + 14);
    out.tcp_options_bytes = static_cast<std::uint8_t>(header - 20);
    out.has_ports = true;
    rest(header);
  } else if (out.protocol == ip_udp && upper.size() >= 8) {
    out.source_port = get_u16be(p);
    out.dest_port = get_u16be(p + 2);
    out.has_ports = true;
    rest(8);
  } else if ((out.protocol == ip_icmp || out.protocol == ip_icmpv6) && upper.size() >= 4) {
    out.icmp_type = p[0];
    out.icmp_code = p[1];
    rest(8);
  } else {
    rest(0);
  }
}

bool parse_v4(Packet& out, ByteView b, bool padded) {
  if (b.size() < 20 || b[0] >> 4 != 4) return false;
  const std::size_t header = static_cast<std::size_t>(b[0] & 15) * 4, total = get_u16be(b.data() + 2);
  if (header < 20 || header > b.size() || total < header) return false;
  out.is_ip = true;
  out.ip_options = header > 20;
  out.ip_id = get_u16be(b.data() + 4);
  const std::uint16_t flags = get_u16be(b.data() + 6);
  out.fragment = (flags & 0x3fff) != 0;  // MF or offset
  out.ttl = b[8];
  out.protocol = b[9];
  out.source = ip4_at(b.data() + 12);
  out.dest = ip4_at(b.data() + 16);
  out.exact = total == b.size() || (padded && total < b.size());
  const ByteView upper = b.subspan(header, std::min(total, b.size()) - header);
  parse_upper(out, upper, total - header, (flags & 0x1fff) == 0);
  return true;
}

bool parse_v6(Packet& out, ByteView b, bool padded) {
  if (b.size() < 40 || b[0] >> 4 != 6) return false;
  const std::size_t total = 40 + std::size_t{get_u16be(b.data() + 4)};
  out.source = ip6_at(b.data() + 8);
  out.dest = ip6_at(b.data() + 24);
  // A v4-mapped address has no place on the wire (RFC 4291 section 2.5.5.2); as an Ip it would look like IPv4.
  if (out.source.is_v4() || out.dest.is_v4()) return false;
  out.is_ip = true;
  out.ttl = b[7];
  out.exact = total == b.size() || (padded && total < b.size());
  const std::size_t end = std::min(total, b.size());
  std::uint8_t next = b[6];
  std::size_t at = 40;
  bool first_fragment = true;
  for (std::size_t i = 0; i < max_v6_extensions; ++i) {
    if (next != 0 && next != 43 && next != 60 && next != 44 && next != 51) break;  // hop-by-hop, routing, destination, fragment, AH
    out.ip_options = true;
    if (end - at < 8) { next = 59; break; }  // 59: nothing follows
    std::size_t length = 8;
    if (next == 44) {
      out.fragment = true;
      first_fragment = first_fragment && (get_u16be(b.data() + at + 2) & 0xfff8) == 0;
    } else {
      length = next == 51 ? (std::size_t{b[at + 1]} + 2) * 4 : (std::size_t{b[at + 1]} + 1) * 8;
    }
    next = b[at];
    if (length > end - at) { at = end; next = 59; break; }
    at += length;
    if (!first_fragment) break;
  }
  out.protocol = next;
  parse_upper(out, b.subspan(at, end - at), total - std::min(at, total), first_fragment);
  return true;
}

}  // namespace

std::optional<Packet> parse_frame(ByteView frame) {
  if (frame.size() < eth_bytes) return std::nullopt;
  Packet out;
  std::copy(frame.begin(), frame.begin() + 6, out.eth_dest.begin());
  std::copy(frame.begin() + 6, frame.begin() + 12, out.eth_source.begin());
  std::size_t at = 12;
  std::uint16_t type = get_u16be(frame.data() + at);
  at += 2;
  for (std::size_t i = 0; i < max_vlan_tags && (type == ether_vlan || type == ether_qinq) && frame.size() - at >= 4; ++i) {
    out.vlan = true;
    type = get_u16be(frame.data() + at + 2);
    at += 4;
  }
  out.ether_type = type;
  const ByteView rest = frame.subspan(at);
  const bool padded = frame.size() <= min_eth_bytes;
  if (type == ether_ipv4) parse_v4(out, rest, padded);
  else if (type == ether_ipv6) parse_v6(out, rest, padded);
  return out;
}

std::optional<Packet> parse_ip(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  Packet out;
  const bool v4 = packet[0] >> 4 == 4;
  out.ether_type = v4 ? ether_ipv4 : ether_ipv6;
  if (!(v4 ? parse_v4(out, packet, false) : parse_v6(out, packet, false))) return std::nullopt;
  return out;
}

}  // namespace nora::net
