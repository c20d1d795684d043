// Builders of frames, checksums, MAC texts (net/frame.h).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "net/frame.h"

namespace nora::net {
namespace {

constexpr std::size_t eth_bytes = 14, ip4_bytes = 20, ip6_bytes = 40, udp_bytes = 8, icmp_bytes = 4;
constexpr std::size_t tcp_bytes = 20, mss_option_bytes = 4;

void put16(std::uint8_t* p, std::uint16_t v) { p[0] = static_cast<std::uint8_t>(v >> 8); p[1] = static_cast<std::uint8_t>(v); }
void put32(std::uint8_t* p, std::uint32_t v) { put16(p, static_cast<std::uint16_t>(v >> 16)); put16(p + 2, static_cast<std::uint16_t>(v)); }

std::uint32_t sum16(ByteView bytes, std::uint32_t sum) {
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) sum += static_cast<std::uint32_t>(bytes[i] << 8);
  return sum;
}

// Pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1.
std::uint32_t pseudo(Ip source, Ip dest, std::uint8_t protocol, std::size_t length) {
  const bool v4 = source.is_v4();
  ByteView s(source.bytes()), d(dest.bytes());
  if (v4) { s = s.subspan(12); d = d.subspan(12); }
  return sum16(s, sum16(d, static_cast<std::uint32_t>(protocol + length)));
}

// Ethernet and IP header for `upper` bytes; returns where the upper header starts, or 0 when it does not fit.
std::size_t put_headers(std::span<std::uint8_t> out, const Link& link, Ip source, Ip dest, std::uint8_t protocol, std::size_t upper,
                        std::uint16_t ip_id, std::uint8_t ttl) {
  if (source.is_v4() != dest.is_v4()) return 0;
  const bool v4 = source.is_v4();
  const std::size_t start = eth_bytes + (v4 ? ip4_bytes : ip6_bytes);
  if (upper > max_frame_bytes || start + upper > std::min(out.size(), max_frame_bytes)) return 0;
  std::uint8_t* p = out.data();
  std::copy(link.dest.begin(), link.dest.end(), p);
  std::copy(link.source.begin(), link.source.end(), p + 6);
  put16(p + 12, v4 ? ether_ipv4 : ether_ipv6);
  std::uint8_t* ip = p + eth_bytes;
  if (v4) {
    ip[0] = 0x45;
    ip[1] = 0;
    put16(ip + 2, static_cast<std::uint16_t>(ip4_bytes + upper));
    put16(ip + 4, ip_id);
    put16(ip + 6, 0);
    ip[8] = ttl;
    ip[9] = protocol;
    put16(ip + 10, 0);
    put32(ip + 12, source.v4_value());
    put32(ip + 16, dest.v4_value());
    put16(ip + 10, checksum({ip, ip4_bytes}));
  } else {
    put32(ip, 0x60000000);
    put16(ip + 4, static_cast<std::uint16_t>(upper));
    ip[6] = protocol;
    ip[7] = ttl;
    std::copy(source.bytes().begin(), source.bytes().end(), ip + 8);
    std::copy(dest.bytes().begin(), dest.bytes().end(), ip + 24);
  }
  return start;
}

void put_payload(std::uint8_t* at, ByteView payload) {
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
}

}  // namespace

std::uint16_t checksum(ByteView bytes, std::uint32_t sum) {
  sum = sum16(bytes, sum);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::size_t build_tcp(std::span<std::uint8_t> out, const Link& link, const TcpFields& f, ByteView payload) {
  const std::size_t header = tcp_bytes + (f.mss ? mss_option_bytes : 0), upper = header + payload.size();
  const std::size_t start = put_headers(out, link, f.source, f.dest, ip_tcp, upper, f.ip_id, f.ttl);
  if (!start) return 0;
  std::uint8_t* t = out.data() + start;
  put16(t, f.source_port);
  put16(t + 2, f.dest_port);
  put32(t + 4, f.seq);
  put32(t + 8, f.ack);
  t[12] = static_cast<std::uint8_t>(header / 4 << 4);
  t[13] = f.flags;
  put16(t + 14, f.window);
  put32(t + 16, 0);
  if (f.mss) put32(t + 20, 0x02040000u | f.mss);
  put_payload(t + header, payload);
  put16(t + 16, checksum({t, upper}, pseudo(f.source, f.dest, ip_tcp, upper)));
  return start + upper;
}

std::size_t build_udp(std::span<std::uint8_t> out, const Link& link, const UdpFields& f, ByteView payload) {
  const std::size_t upper = udp_bytes + payload.size();
  const std::size_t start = put_headers(out, link, f.source, f.dest, ip_udp, upper, f.ip_id, f.ttl);
  if (!start) return 0;
  std::uint8_t* u = out.data() + start;
  put16(u, f.source_port);
  put16(u + 2, f.dest_port);
  put16(u + 4, static_cast<std::uint16_t>(upper));
  put16(u + 6, 0);
  put_payload(u + udp_bytes, payload);
  const std::uint16_t sum = checksum({u, upper}, pseudo(f.source, f.dest, ip_udp, upper));
  put16(u + 6, sum ? sum : 0xffff);  // RFC 768: zero means "none"
  return start + upper;
}

std::size_t build_icmp(std::span<std::uint8_t> out, const Link& link, Ip source, Ip dest, std::uint8_t type, std::uint8_t code,
                       ByteView body) {
  const std::size_t upper = icmp_bytes + body.size();
  const std::uint8_t protocol = source.is_v4() ? ip_icmp : ip_icmpv6;
  const std::size_t start = put_headers(out, link, source, dest, protocol, upper, 0, 64);
  if (!start) return 0;
  std::uint8_t* m = out.data() + start;
  m[0] = type;
  m[1] = code;
  put16(m + 2, 0);
  put_payload(m + icmp_bytes, body);
  put16(m + 2, checksum({m, upper}, source.is_v4() ? 0 : pseudo(source, dest, ip_icmpv6, upper)));
  return start + upper;
}

namespace {

std::uint16_t folded(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

SynTemplate::SynTemplate(const Link& link, Ip source, std::uint16_t mss) {
  // With every changing field zero, the sums are what the fields are added to.
  build_tcp(frame_, link, {.source = source, .dest = Ip::v4(0), .mss = mss});
  put16(frame_.data() + eth_bytes + 10, 0);
  put16(frame_.data() + eth_bytes + ip4_bytes + 16, 0);
  const ByteView frame(frame_);
  ip_sum_ = sum16(frame.subspan(eth_bytes, ip4_bytes), 0);
  const ByteView upper = frame.subspan(eth_bytes + ip4_bytes);
  tcp_sum_ = sum16(upper, pseudo(source, Ip::v4(0), ip_tcp, upper.size()));
}

void SynTemplate::fill(std::uint8_t* out, std::uint32_t dest, std::uint16_t source_port, std::uint16_t dest_port, std::uint32_t seq,
                       std::uint16_t ip_id) const {
  std::memcpy(out, frame_.data(), bytes);
  std::uint8_t* ip = out + eth_bytes;
  std::uint8_t* t = ip + ip4_bytes;
  const std::uint32_t dest_sum = (dest >> 16) + (dest & 0xffff);
  put16(ip + 4, ip_id);
  put32(ip + 16, dest);
  put16(ip + 10, folded(ip_sum_ + dest_sum + ip_id));
  put16(t, source_port);
  put16(t + 2, dest_port);
  put32(t + 4, seq);
  put16(t + 16, folded(tcp_sum_ + dest_sum + source_port + dest_port + (seq >> 16) + (seq & 0xffff)));
}

bool checksums_right(ByteView frame) {
  const auto packet = parse_frame(frame);
  if (!packet || !packet->is_ip || !packet->exact || packet->fragment || packet->vlan || packet->ip_options) return false;
  const bool v4 = packet->source.is_v4();
  ByteView ip = frame.subspan(eth_bytes);
  const std::size_t ip_header = v4 ? ip4_bytes : ip6_bytes;
  const std::size_t length = v4 ? get_u16be(ip.data() + 2) : ip6_bytes + get_u16be(ip.data() + 4);
  if (v4 && checksum(ip.first(ip4_bytes)) != 0) return false;
  const ByteView upper = ip.subspan(ip_header, length - ip_header);
  if (packet->protocol == ip_udp && v4 && upper.size() >= udp_bytes && get_u16be(upper.data() + 6) == 0) return true;
  const std::uint32_t base = packet->protocol == ip_icmp ? 0 : pseudo(packet->source, packet->dest, packet->protocol, upper.size());
  return checksum(upper, base) == 0;
}

Result<Mac> parse_mac(std::string_view text) {
  Mac mac{};
  if (text.size() != 17) return fail(Code::bad_input, fmt::format("\"{}\" is not a MAC address like 02:00:00:00:00:01", text));
  for (std::size_t i = 0; i < 6; ++i) {
    const auto byte = from_hex(text.substr(i * 3, 2));
    if (!byte || byte->size() != 1 || (i < 5 && text[i * 3 + 2] != ':'))
      return fail(Code::bad_input, fmt::format("\"{}\" is not a MAC address like 02:00:00:00:00:01", text));
    mac[i] = (*byte)[0];
  }
  return mac;
}

std::string text(const Mac& m) { return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", m[0], m[1], m[2], m[3], m[4], m[5]); }

}  // namespace nora::net
