#include "survey/back_off.h"

#include <algorithm>

#include "survey/holds.h"

namespace nora::survey {

BackOff::Decision BackOff::decide(const Prefix& prefix, std::int64_t for_ms, std::string why) {
  auto& e = events_[prefix];
  ++e.times;
  e.why = why;
  e.for_good = e.for_good || for_ms < 0;
  return {prefix, for_ms, std::move(why)};
}

std::optional<BackOff::Decision> BackOff::answered(Ip ip, bool reset, double probes, Span now) {
  auto prefix = Holds::network(ip);
  auto& n = nets_[prefix];
  if (n.stopped || now < n.quiet_until) return std::nullopt;
  if (n.answers == 0 && n.usual < 0 && n.probes_at == 0) n.probes_at = probes;
  n.answers = static_cast<std::uint16_t>(std::min<int>(n.answers + 1, 60'000));
  if (reset) n.resets = static_cast<std::uint16_t>(std::min<int>(n.resets + 1, 60'000));
  // Every answer is of a probe, whatever the estimate says.
  double asked = std::max<double>(probes - n.probes_at, n.answers);
  bool storm = n.usual >= 0 && n.resets >= storm_window * storm_jump && n.resets / std::max<double>(asked, storm_window) - n.usual >= storm_jump;
  if (!storm && asked < storm_window) return std::nullopt;
  if (!storm) {
    auto share = static_cast<float>(n.resets / asked);
    n.usual = n.usual < 0 ? share : 0.75f * n.usual + 0.25f * share;
    n.probes_at = probes;
    n.resets = n.answers = 0;
    return std::nullopt;
  }
  n.resets = n.answers = 0;
  n.probes_at = probes;
  ++n.storms;
  std::string why = "a storm of RSTs";
  if (n.storms >= storms_until_stop) {
    n.stopped = true;
    return decide(prefix, -1, why + ", again and again");
  }
  Span hold{std::min(first_hold.us << (n.storms - 1), longest_hold.us)};
  n.quiet_until = now + hold;
  return decide(prefix, hold.us / 1000, why);
}

std::optional<BackOff::Decision> BackOff::prohibited(Ip target, Ip speaker) {
  auto prefix = Holds::network(target);
  auto& n = nets_[prefix];
  if (n.stopped) return std::nullopt;
  if (speaker != target) {
    n.stopped = true;
    return decide(prefix, -1, "a router, " + speaker.text() + ", says that it is administratively prohibited");
  }
  auto& hosts = refusing_hosts_[prefix];
  if (hosts[target]++ > 0) return std::nullopt;
  if (hosts.size() >= hosts_until_stop) {
    n.stopped = true;
    refusing_hosts_.erase(prefix);
    return decide(prefix, -1, std::to_string(hosts_until_stop) + " of its hosts say that it is administratively prohibited");
  }
  return decide(Prefix::of(target, target.is_v4() ? 32 : 128), -1, "the host says that it is administratively prohibited");
}

}  // namespace nora::survey
