// Marks of packets and verdicts on sources (sense/source.h).
#include "sense/source.h"

#include <fmt/format.h>

namespace nora::sense {
namespace {
constexpr std::uint16_t zmap_ip_id = 54321, first_high_port = 1024;
constexpr std::uint16_t amplifier_ports[] = {53, 123, 1900, 11211};
bool share(std::uint64_t part, std::uint64_t whole, double least) { return whole > 0 && static_cast<double>(part) >= least * static_cast<double>(whole); }
}  // namespace

std::string_view name(Verdict v) {
  constexpr std::string_view names[] = {"suspected", "confirmed", "excluded"};
  return names[static_cast<std::size_t>(v)];
}

std::uint8_t marks_of(const net::Packet& p) {
  using namespace net::tcp_flag;
  std::uint8_t out = 0;
  if (!p.is_ip) return out;
  if (p.protocol == net::ip_tcp && p.has_ports) {
    if (p.tcp_flags == syn) {
      out |= mark_syn;
      if (p.dest.is_v4()) {
        const std::uint32_t to = p.dest.v4_value();
        if (p.seq == to) out |= mark_mirai;
        if (p.ip_id == zmap_ip_id) out |= mark_zmap;
        if (p.ip_id == static_cast<std::uint16_t>(to ^ p.dest_port ^ p.seq)) out |= mark_masscan;
      }
    } else if ((p.tcp_flags & (syn | ack)) == (syn | ack) || (p.tcp_flags & rst)) {
      out |= mark_backscatter;
    }
  } else if (p.protocol == net::ip_icmp) {
    if (p.icmp_type == 0 || p.icmp_type == 3 || p.icmp_type == 11) out |= mark_backscatter;
  } else if (p.protocol == net::ip_icmpv6) {
    if (p.icmp_type == 1 || p.icmp_type == 3 || p.icmp_type == 129) out |= mark_backscatter;
  } else if (p.protocol == net::ip_udp && p.has_ports && p.dest_port >= first_high_port) {
    for (const auto port : amplifier_ports)
      if (p.source_port == port) out |= mark_backscatter;
  }
  return out;
}

Judged judge(const Tally& t) {
  if (t.research) return {Verdict::excluded, "research", "", "announced research scanner"};
  if (share(t.backscatter, t.packets, backscatter_share))
    return {Verdict::excluded, "backscatter", "", fmt::format("{} of {} packets are answers to forged packets: the source is a victim", t.backscatter, t.packets)};
  if (t.mirai >= least_mirai_packets && t.destinations >= least_mirai_destinations && share(t.mirai, t.syns, tool_share))
    return {Verdict::confirmed, "mirai", "mirai", fmt::format("sequence number equals destination on {} of {} SYNs to {} destinations", t.mirai, t.syns, t.destinations)};
  if (t.zmap >= least_tool_packets && share(t.zmap, t.syns, tool_share))
    return {Verdict::suspected, "zmap", "zmap", fmt::format("ip.id 54321 on {} of {} SYNs", t.zmap, t.syns)};
  if (t.masscan >= least_tool_packets && share(t.masscan, t.syns, tool_share))
    return {Verdict::suspected, "masscan", "masscan", fmt::format("masscan's ip.id on {} of {} SYNs", t.masscan, t.syns)};
  // Rule C alone is one kind of evidence: it needs a second one before anybody is told.
  if (t.destinations >= least_scan_destinations && t.only_iot_ports && t.syns > 0)
    return {Verdict::suspected, "scan", "", fmt::format("{} destinations on ports of IoT devices", t.destinations)};
  return {Verdict::suspected, t.syns > 0 ? "scan" : "other", "", "too little for a verdict"};
}

}  // namespace nora::sense
