#include "survey/answer.h"

#include <algorithm>
#include <cstring>

namespace nora::survey {

std::uint64_t AnswerKey::mix(Ip ip, std::uint16_t port, std::string_view label, std::uint8_t round) const {
  std::uint8_t data[64];
  std::memcpy(data, ip.bytes().data(), 16);
  data[16] = static_cast<std::uint8_t>(port >> 8);
  data[17] = static_cast<std::uint8_t>(port);
  data[18] = round;
  auto n = std::min(label.size(), sizeof data - 19);
  std::memcpy(data + 19, label.data(), n);
  return siphash(key_, data, 19 + n);
}

SynToken AnswerKey::syn(Ip ip, std::uint16_t port) const {
  auto h = mix(ip, port, "syn", 0);
  return {static_cast<std::uint16_t>(tcp_source_base + h % tcp_source_ports), static_cast<std::uint32_t>(h >> 32)};
}
std::uint16_t AnswerKey::udp_source_port(Ip ip, std::uint16_t port, std::string_view probe) const {
  return static_cast<std::uint16_t>(udp_source_base + mix(ip, port, probe, 255) % udp_source_ports);
}
Token AnswerKey::token(Ip ip, std::uint16_t port, std::string_view probe) const {
  Token out;
  for (std::uint8_t i = 0; i < out.bytes.size() / 8; ++i) {
    auto h = mix(ip, port, probe, i);
    std::memcpy(out.bytes.data() + 8 * i, &h, 8);
  }
  return out;
}

Validator::Validator(const Space& space, const Catalogue& catalogue, const Key& key, std::vector<Ip> own)
    : space_(space), key_(key), own_(std::move(own)) {
  for (const auto* slot : space.slots())
    if (slot->proto == Proto::udp)
      if (const auto* request = catalogue.find(slot->probe)) udp_probes_.push_back({slot, request});
}

std::optional<Answer> Validator::check(const net::Packet& p) const {
  if (!p.is_ip || p.fragment || std::find(own_.begin(), own_.end(), p.dest) == own_.end()) return std::nullopt;
  if (p.is(net::ip_tcp) && p.has_ports) return tcp(p);
  if (p.is(net::ip_udp) && p.has_ports) return udp(p);
  if (p.is(p.source.is_v4() ? net::ip_icmp : net::ip_icmpv6)) return icmp(p);
  return std::nullopt;
}

std::optional<Answer> Validator::tcp(const net::Packet& p) const {
  using namespace net::tcp_flag;
  bool open = (p.tcp_flags & (syn | ack | rst)) == (syn | ack);
  bool closed = (p.tcp_flags & (rst | ack)) == (rst | ack);  // RFC 9293 section 3.10.7.1: the RST to a SYN acknowledges it
  if (!open && !closed) return std::nullopt;
  auto token = key_.syn(p.source, p.source_port);
  if (p.dest_port != token.source_port || p.ack != token.seq + 1) return std::nullopt;
  auto index = space_.find(p.source, {}, Proto::tcp, p.source_port);
  if (!index) return std::nullopt;
  return Answer{open ? AnswerKind::open : AnswerKind::closed, p.source, *space_.at(*index).slot, *index, p.ttl, {}};
}

std::optional<Answer> Validator::udp(const net::Packet& p) const {
  if (p.payload.empty()) return std::nullopt;
  // Some protocols answer from another port than the one that was asked: TFTP always (RFC 1350 section 4), SSDP may (UPnP Device
  // Architecture 1.1 section 1.3.3). Such a probe is thought of only after those of the port that speaks.
  for (bool same_port : {true, false}) {
    for (const auto& probe : udp_probes_) {
      auto port = probe.slot->port;
      if ((p.source_port == port) != same_port || (!same_port && !probe.request->any_port)) continue;
      if (p.dest_port != key_.udp_source_port(p.source, port, probe.slot->probe)) continue;
      if (!probe.request->echoes(p.payload, key_.token(p.source, port, probe.slot->probe))) continue;
      auto index = space_.find(p.source, probe.slot->probe, Proto::udp, port);
      if (!index) continue;
      return Answer{AnswerKind::datagram, p.source, *space_.at(*index).slot, *index, p.ttl, p.payload};
    }
  }
  return std::nullopt;
}

std::optional<Answer> Validator::icmp(const net::Packet& p) const {
  bool v4 = p.source.is_v4();
  if (p.icmp_type != (v4 ? 3 : 1)) return std::nullopt;  // destination unreachable: RFC 792, RFC 4443 section 3.1
  auto quoted = net::parse_ip(p.payload);
  if (!quoted || !quoted->is_ip || std::find(own_.begin(), own_.end(), quoted->source) == own_.end()) return std::nullopt;
  // RFC 792 quotes only the first 8 bytes of the upper layer: enough for ports and the sequence number.
  auto ip = quoted->dest;
  if (quoted->protocol == net::ip_tcp) {
    if (!quoted->has_ports && quoted->dest_port == 0) return std::nullopt;
    auto token = key_.syn(ip, quoted->dest_port);
    if (quoted->source_port != token.source_port || quoted->seq != token.seq) return std::nullopt;
    auto index = space_.find(ip, {}, Proto::tcp, quoted->dest_port);
    if (!index) return std::nullopt;
    return Answer{AnswerKind::unreachable, ip, *space_.at(*index).slot, *index, p.ttl, {}};
  }
  if (quoted->protocol != net::ip_udp) return std::nullopt;
  bool port_unreachable = p.icmp_code == (v4 ? 3 : 4) && p.source == ip;
  for (const auto& probe : udp_probes_) {
    if (quoted->dest_port != probe.slot->port || quoted->source_port != key_.udp_source_port(ip, probe.slot->port, probe.slot->probe))
      continue;
    auto index = space_.find(ip, probe.slot->probe, Proto::udp, probe.slot->port);
    if (!index) continue;
    return Answer{port_unreachable ? AnswerKind::closed : AnswerKind::unreachable, ip, *space_.at(*index).slot, *index, p.ttl, {}};
  }
  return std::nullopt;
}

}  // namespace nora::survey
