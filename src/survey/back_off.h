// BackOff: when a network says that it is too much. Two signs: its share of RSTs among what is asked jumps (an intrusion prevention system has
// begun to reset, a state table is full): leave it alone for a while, longer each time, in the end for good. And ICMP "administratively
// prohibited": a router's word stops its network for the rest of the survey; a host's own word stops that host, and three such hosts their
// network. Used by the engine, which tells the sender and keeps conversations away. One thread. Memory: one small entry per /24 (IPv6: /48)
// that answered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/instant.h"
#include "base/ip.h"
#include "net/frame.h"

namespace nora::survey {

// RFC 1812 section 5.2.7.1 codes 9, 10, 13; RFC 4443 section 3.1 code 1.
inline bool is_prohibition(const net::Packet& icmp) {
  if (icmp.is(net::ip_icmp)) return icmp.icmp_type == 3 && (icmp.icmp_code == 9 || icmp.icmp_code == 10 || icmp.icmp_code == 13);
  return icmp.is(net::ip_icmpv6) && icmp.icmp_type == 1 && icmp.icmp_code == 1;
}

class BackOff {
 public:
  static constexpr int storm_window = 64;                    // probes (or answers) over which a share is taken
  static constexpr double storm_jump = 0.5;                  // of the share of RSTs
  static constexpr Span first_hold = Span::seconds(30), longest_hold = Span::minutes(10);
  static constexpr int storms_until_stop = 5;
  static constexpr std::size_t hosts_until_stop = 3;

  struct Decision {
    Prefix prefix;
    std::int64_t for_ms = 0;  // as in Holds: < 0 for good
    std::string why;          // one clause: "…"
  };
  // An answer from the network of ip: RST (also in the place of a conversation) or not. probes: how many were sent into this network so far,
  // measured or estimated; it need not be exact.
  std::optional<Decision> answered(Ip ip, bool reset, double probes, Span now);
  // A validated ICMP prohibition about `target`, spoken by `speaker`.
  std::optional<Decision> prohibited(Ip target, Ip speaker);

  struct Event {
    std::string why;
    int times = 0;
    bool for_good = false;
  };
  const std::map<Prefix, Event>& events() const { return events_; }

 private:
  struct Net {
    double probes_at = 0;   // when the window began
    float usual = -1;       // share of RSTs per probe in earlier windows; < 0: not known yet
    std::uint16_t resets = 0, answers = 0;
    std::uint8_t storms = 0;
    bool stopped = false;
    Span quiet_until{};     // a storm is counted once
  };
  struct Hasher {
    std::size_t operator()(const Prefix& p) const noexcept { return std::hash<Ip>{}(p.base()) + static_cast<std::size_t>(p.length()); }
  };
  Decision decide(const Prefix& prefix, std::int64_t for_ms, std::string why);
  std::unordered_map<Prefix, Net, Hasher> nets_;
  std::unordered_map<Prefix, std::map<Ip, int>, Hasher> refusing_hosts_;
  std::map<Prefix, Event> events_;
};

}  // namespace nora::survey
