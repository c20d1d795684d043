// Frames: build and parse Ethernet, IPv4, IPv6, TCP, UDP and ICMP on spans. Used by law (check of the final bytes), survey, sense, isp.
// No allocation, no state, any thread. Builders write complete frames with correct checksums into the caller's buffer;
// parsers are total: every input gives a Packet or nothing, and nothing is read beyond the span.
// Left out on purpose: VLAN tags, IP options and extension headers are never built (they are read, and marked).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ip.h"

namespace nora::net {

using Mac = std::array<std::uint8_t, 6>;
Result<Mac> parse_mac(std::string_view text);  // "02:00:00:00:00:01"
std::string text(const Mac& mac);

inline constexpr std::size_t max_frame_bytes = 1514;  // Ethernet II without FCS, MTU 1500
inline constexpr std::size_t max_vlan_tags = 2;       // IEEE 802.1ad
inline constexpr std::size_t max_v6_extensions = 8;   // headers walked before a packet is given up

inline constexpr std::uint16_t ether_ipv4 = 0x0800, ether_arp = 0x0806, ether_ipv6 = 0x86dd, ether_vlan = 0x8100, ether_qinq = 0x88a8;
inline constexpr std::uint8_t ip_icmp = 1, ip_tcp = 6, ip_udp = 17, ip_icmpv6 = 58;
namespace tcp_flag {
inline constexpr std::uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16;
}

struct Link {
  Mac source{}, dest{};
};

struct TcpFields {
  Ip source, dest;
  std::uint16_t source_port = 0, dest_port = 0;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = tcp_flag::syn;
  std::uint16_t window = 64240;
  std::uint16_t mss = 0;    // 0 = no option; else one MSS option (RFC 9293 section 3.7.1)
  std::uint16_t ip_id = 0;  // IPv4 only
  std::uint8_t ttl = 64;
};
struct UdpFields {
  Ip source, dest;
  std::uint16_t source_port = 0, dest_port = 0;
  std::uint16_t ip_id = 0;
  std::uint8_t ttl = 64;
};

// Each returns the length written, or 0 when the families differ or the frame would not fit into `out` or into max_frame_bytes.
std::size_t build_tcp(std::span<std::uint8_t> out, const Link& link, const TcpFields& fields, ByteView payload = {});
std::size_t build_udp(std::span<std::uint8_t> out, const Link& link, const UdpFields& fields, ByteView payload);
// ICMP / ICMPv6 message: `body` is everything after the checksum (RFC 792, RFC 4443). Used by tests and stand-ins.
std::size_t build_icmp(std::span<std::uint8_t> out, const Link& link, Ip source, Ip dest, std::uint8_t type, std::uint8_t code, ByteView body);

// One IPv4 SYN with an MSS option, of which only destination, ports, sequence number and IP id change: 58 bytes, checksums by difference
// (RFC 1624). The send path writes the same frame as build_tcp with an eighth of the work.
class SynTemplate {
 public:
  static constexpr std::size_t bytes = 58;
  SynTemplate() = default;
  SynTemplate(const Link& link, Ip source, std::uint16_t mss);
  // out: at least `bytes`. dest: host order.
  void fill(std::uint8_t* out, std::uint32_t dest, std::uint16_t source_port, std::uint16_t dest_port, std::uint32_t seq, std::uint16_t ip_id) const;

 private:
  std::array<std::uint8_t, bytes> frame_{};
  std::uint32_t ip_sum_ = 0, tcp_sum_ = 0;  // of what does not change, not folded
};

// What a frame says. Fields that the protocol lacks are zero.
struct Packet {
  std::uint16_t ether_type = 0;   // after VLAN tags
  Mac eth_source{}, eth_dest{};
  bool is_ip = false;
  Ip source, dest;
  std::uint8_t protocol = 0;      // upper-layer protocol number, after IPv6 extension headers
  std::uint8_t ttl = 0;
  std::uint16_t ip_id = 0;
  std::uint16_t source_port = 0, dest_port = 0;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t tcp_flags = 0;
  std::uint16_t window = 0;
  std::uint8_t tcp_options_bytes = 0;
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::uint16_t payload_bytes = 0;  // length of the payload that the headers claim (sense counts with snapped captures)
  ByteView payload;               // what of it is in the span: TCP/UDP data; ICMP: after the 8-byte header (the quoted packet of an error)
  bool has_ports = false;         // protocol is TCP or UDP, its header is whole, and the packet is not a later fragment
  // Marks that make a frame unfit for sending (law::check_frame refuses them).
  bool vlan = false, ip_options = false, fragment = false;  // fragment: MF or offset set, or an IPv6 fragment header
  bool exact = false;             // IP length equals the bytes present (Ethernet padding to 60 bytes allowed)
  bool is(std::uint8_t proto) const { return is_ip && protocol == proto; }
};
// Ethernet II frame. Nothing when the Ethernet header is cut; is_ip is false when the IP header is cut or wrong.
std::optional<Packet> parse_frame(ByteView frame);
// A bare IP packet (pcap LINKTYPE_RAW, quoted packets in ICMP errors).
std::optional<Packet> parse_ip(ByteView packet);

// RFC 1071 over the bytes, on top of `sum` (not folded before); result is ready to be stored.
std::uint16_t checksum(ByteView bytes, std::uint32_t sum = 0);
// True when IPv4 header checksum and TCP/UDP/ICMP checksum of a whole, unfragmented frame are right.
bool checksums_right(ByteView frame);

}  // namespace nora::net
