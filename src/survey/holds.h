// Holds: networks that are left alone for a while, or for the rest of a survey (back-off on RST storms and on ICMP "prohibited").
// Used by the engine, which sets them and keeps its conversations away, and by the sender, which keeps its probes away. One thread.
// Only whole networks of the mandate's caps and single addresses: /24 and /32, /48 and /128. Limit: max_holds; a full table drops those that
// are over, and then refuses.
#pragma once

#include <cstdint>
#include <limits>
#include <unordered_map>

#include "base/ip.h"

namespace nora::survey {

inline constexpr Span held_for_good{std::numeric_limits<std::int64_t>::max()};

class Holds {
 public:
  static constexpr std::size_t max_holds = 65'536;
  // The network that a hold of this address stands for.
  static Prefix network(Ip ip) { return Prefix::of(ip, ip.is_v4() ? 24 : 48); }
  static bool fits(const Prefix& p) { return p.is_v4() ? p.length() == 24 || p.length() == 32 : p.length() == 48 || p.length() == 128; }

  // for_ms > 0: until then (never shortens a longer hold); 0: lifts it; < 0: for good. False: no such length, or the table is full.
  bool set(const Prefix& prefix, std::int64_t for_ms, Span now) {
    if (!fits(prefix)) return false;
    if (for_ms == 0) {
      until_.erase(prefix);
      return true;
    }
    if (until_.size() >= max_holds) std::erase_if(until_, [&](const auto& h) { return h.second <= now; });
    if (until_.size() >= max_holds && !until_.contains(prefix)) return false;
    auto& until = until_[prefix];
    until = std::max(until, for_ms < 0 ? held_for_good : now + Span::ms(for_ms));
    return true;
  }
  // How long nothing may go to this address: zero = go; held_for_good = never again in this run.
  Span wait(Ip ip, Span now) const {
    if (until_.empty()) return {};
    Span until;
    for (const auto& p : {network(ip), Prefix::of(ip, ip.is_v4() ? 32 : 128)})
      if (auto at = until_.find(p); at != until_.end()) until = std::max(until, at->second);
    if (until == held_for_good) return until;
    return until > now ? until - now : Span{};
  }
  std::size_t size() const { return until_.size(); }

 private:
  struct Hasher {
    std::size_t operator()(const Prefix& p) const noexcept { return std::hash<Ip>{}(p.base()) + static_cast<std::size_t>(p.length()); }
  };
  std::unordered_map<Prefix, Span, Hasher> until_;
};

}  // namespace nora::survey
