// The wall's nft rules on the netdev ingress hook of the peer veth, and the handle on libnftables. Used by nora-wall and its tests.
// A guard in the sender's own namespace is no wall (trust.md section 1); this one lives where the sender has no rights.
// One owner, one thread.
//
// What passes: TCP and UDP from a mandate source to (range − exclude − opt-out, port); a listener's answers (ACK set) into the range;
// ICMP errors into the range; ARP and neighbour discovery. Everything else is dropped. `blocked` is an incident. Dropped without being one:
// answers of the kernel to packets that outsiders sent us (RST, listener's ACK, ICMP errors to outside), MLD and IGMP reports, frames above
// the rate, addresses that opted out within the last minute, tails of conversations in the first seconds after closing.
// Dead man: frames pass only while the interface is in the set `alive`, whose element the kernel drops `alive_s` after the last renewal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "law/wall_mandate.h"

namespace nora::law::wall {

inline constexpr int alive_s = 10;
inline constexpr std::int64_t fresh_opt_out_s = 60;  // the sender reads its lists at least this often

// Scripts for libnftables; each is one transaction.
std::string install_script(const Plan& plan, std::string_view iface);  // with nothing allowed yet: state closed, not alive
std::string state_script(const Plan& plan, State state);
std::string opt_out_script(const std::vector<Net>& settled, const std::vector<Net>& fresh);  // replaces both sets
std::string alive_script(std::string_view iface);

class Nft {
 public:
  static Result<Nft> open();
  Nft(Nft&&) noexcept;
  ~Nft();
  Status run(const std::string& script);             // Errors: environment or failed with nft's words
  Result<std::map<std::string, std::uint64_t>> counters();  // packets by counter name

 private:
  struct Handle;
  explicit Nft(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace nora::law::wall
