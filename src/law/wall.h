// The wall as nora-wall and its tests see it: one interface, two kinds. nft rules on the ingress hook (wall_nft) and an eBPF program on XDP
// (wall_xdp) at the far end of the sender's veth. A guard in the sender's own namespace is no wall: packet sockets pass by it; this one lives
// where the sender has no rights. One owner, one thread.
//
// What passes: TCP and UDP from a mandate source to (range − exclude − opt-out, port), up to the total rate; a listener's answers (ACK set) into
// the range; ICMP errors into the range; ARP; neighbour discovery that ends at the wall. Everything else is dropped. `blocked` is an incident.
// Dropped without being one: answers of the kernel to packets that outsiders sent us (RST, listener's ACK, ICMP errors to outside), MLD and IGMP
// reports, frames above the rate, addresses that opted out within the last minute, tails of conversations in the first seconds after closing.
// Dead man: frames pass only for `alive_s` after the last renewal, and the kernel itself sees to that.
// A wall that goes out of scope stays where it is, closed by the dead man at the latest.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "law/wall_mandate.h"

namespace nora::law::wall {

inline constexpr int alive_s = 10;  // both kinds; a third of the 30 s that the design allows, ten renewals
inline constexpr std::uint32_t least_burst = 64;  // one sendmmsg batch of the sender
inline constexpr std::uint32_t burst(std::uint32_t rate_total) { return rate_total / 10 > least_burst ? rate_total / 10 : least_burst; }

// In the order of the eBPF program's counters (wall_xdp_shared.h).
inline constexpr std::array<const char*, 11> counter_names = {"passed", "listener_passed", "blocked", "arp", "nd", "icmp_error",
                                                              "multicast", "stray", "opted_out", "over_rate", "closing"};
using Counters = std::map<std::string, std::uint64_t>;

// What is opted out now. Both are dropped; a frame to a fresh one is no incident, for the sender may not have read it yet.
struct OptOuts {
  std::vector<Net> settled, fresh;
};

class Wall {
 public:
  virtual ~Wall() = default;
  virtual std::string_view kind() const = 0;              // "nft", "xdp native", "xdp generic"
  // Replaces all opt-outs at once: no frame ever meets half a list.
  virtual Status set_opt_outs(const OptOuts& now) = 0;
  virtual Status set_state(State state) = 0;
  virtual Status renew(int seconds) = 0;                  // frames may pass for so long; alive_s in the product
  virtual Result<Counters> counters() = 0;
  virtual bool needs_net_admin() const = 0;               // for the calls above, after it is installed
  Status renew() { return renew(alive_s); }
};

// What is built, before anything passes: state closed, not alive.
struct Site {
  const Plan& plan;
  std::string iface;
  OptOuts opt_outs;
  bool sink = false;  // benchmarks: what would pass is counted and dropped (xdp only)
};

enum class Kind { automatic, xdp, nft };

// Installs the wall and takes away what an earlier one of the other kind left behind, in this order. `automatic`: native XDP, otherwise nft;
// `say` is told why it was not XDP. Errors: environment (the machine lacks it), failed.
Result<std::unique_ptr<Wall>> install(Kind kind, const Site& site, const std::function<void(const std::string&)>& say);
Result<std::unique_ptr<Wall>> install_nft(const Site& site);
Result<std::unique_ptr<Wall>> install_xdp(const Site& site, bool generic_will_do);

// IPv6 addresses of this network namespace, link-local ones left out: neighbour discovery may end there. Read once, at the start.
Result<std::vector<Net>> own_addresses();

}  // namespace nora::law::wall
