// How the mandate's rates are divided: raw probes take most, conversations (kernel TCP) the rest, so that both together stay within them.
// A sender that understands "rate" gets what conversations leave of the total; otherwise the split is fixed (70 / 30). The caps per /24, per
// target and per day are always split: a /24 sees both at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "base/ip.h"
#include "law/mandate_text.h"

namespace nora::survey {

// What one conversation is charged with: its SYN and its request (acknowledgements and the RST follow what the device sends).
inline constexpr std::uint32_t frames_per_conversation = 2;
inline constexpr std::uint32_t probe_share_percent = 70;

// The mandate with its rates cut to a share. Budget reads only the rates. The per-target rate keeps at least one conversation a second.
// The daily cap is not cut: both count in one ledger (law/daily_ledger.h).
inline law::MandateText with_share(law::MandateText m, std::uint32_t percent, std::uint32_t at_least) {
  auto cut = [&](std::uint32_t v) { return std::max<std::uint32_t>(std::min(v, at_least), v * percent / 100); };
  m.rate_total_pps = cut(m.rate_total_pps);
  m.rate_per_24_pps = cut(m.rate_per_24_pps);
  m.rate_per_target_pps = cut(m.rate_per_target_pps);
  return m;
}
inline law::MandateText probe_rates(const law::MandateText& m) { return with_share(m, probe_share_percent, 1); }
inline law::MandateText conversation_rates(const law::MandateText& m) {
  return with_share(m, 100 - probe_share_percent, frames_per_conversation);
}

// A rate that may change at any time: at most burst + 1 s of it lie in a window of one second, and that is the rate (GCRA, law/budget.h).
struct Pace {
  double interval_us = 0, burst_us = 0, next_us = 0;
  static constexpr double burst_seconds = 0.01;
  void set(double pps) {
    interval_us = burst_us = 0;
    if (pps <= 0) return;
    double burst = std::max(1.0, pps * burst_seconds);
    interval_us = 1e6 / std::max(pps - burst + 1, std::min(pps, 1.0));
    burst_us = interval_us * (burst - 1);
  }
  // Zero: go now, with so many packets. A rate of 0 waits for ever: a second at a time.
  Span wait(Span now) const {
    if (interval_us <= 0) return Span::seconds(1);
    double w = next_us - static_cast<double>(now.us) - burst_us;
    return w > 0 ? Span{static_cast<std::int64_t>(w) + 1} : Span{};
  }
  void count(Span now, std::uint32_t packets) { next_us = std::max(next_us, static_cast<double>(now.us)) + interval_us * packets; }
};

// The same for each /24 (/48), all at one rate.
class NetPaces {
 public:
  static constexpr std::size_t max_nets = 1u << 20;
  void set(double pps) { like_.set(pps); }
  Span wait(Ip ip, Span now) const {
    auto p = like_;
    if (auto at = next_us_.find(net(ip)); at != next_us_.end()) p.next_us = at->second;
    return p.wait(now);
  }
  void count(Ip ip, Span now, std::uint32_t packets) {
    if (next_us_.size() >= max_nets) std::erase_if(next_us_, [&](const auto& n) { return n.second <= static_cast<double>(now.us); });
    auto p = like_;
    auto& next = next_us_[net(ip)];
    p.next_us = next;
    p.count(now, packets);
    next = p.next_us;
  }

 private:
  static Ip net(Ip ip) { return Prefix::of(ip, ip.is_v4() ? 24 : 48).base(); }
  Pace like_;
  std::unordered_map<Ip, double> next_us_;
};

// Conversations get what they use, half as much again, and between these shares of the total.
inline constexpr double talk_share_min = 0.005, talk_share_max = 0.5;

inline double survey_pps(const law::MandateText& m, std::uint64_t networks24) {
  auto p = probe_rates(m);
  return std::max(1.0, std::min<double>(p.rate_total_pps, static_cast<double>(p.rate_per_24_pps) *
                                                              static_cast<double>(std::max<std::uint64_t>(1, networks24))));
}

}  // namespace nora::survey
