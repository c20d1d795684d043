#include "http/limiter.h"

namespace nora::http {

Ip Limiter::key(Ip peer) { return peer.is_v4() ? peer : Prefix::of(peer, 64).base(); }

bool Limiter::allow(Ip peer) {
  const auto now = Instant{clock_.monotonic().us};  // a stepped wall clock must not open the gate
  return state_.with([&](State& s) {
    const auto over = [&](const Count& c) { return now - c.start >= rule_.window; };
    if (over(s.all)) s.all = {now, 0};
    if (s.all.events >= rule_.in_all) return false;
    const auto k = key(peer);
    auto found = s.peers.find(k);
    if (found == s.peers.end()) {
      if (s.peers.size() >= max_tracked) std::erase_if(s.peers, [&](const auto& entry) { return over(entry.second); });
      if (s.peers.size() >= max_tracked) return false;
      found = s.peers.emplace(k, Count{now, 0}).first;
    }
    if (over(found->second)) found->second = {now, 0};
    if (found->second.events >= rule_.per_peer) return false;
    ++found->second.events;
    ++s.all.events;
    return true;
  });
}

void Limiter::give_back(Ip peer) {
  state_.with([&](State& s) {
    if (s.all.events > 0) --s.all.events;
    if (const auto found = s.peers.find(key(peer)); found != s.peers.end() && found->second.events > 0) --found->second.events;
  });
}

}  // namespace nora::http
