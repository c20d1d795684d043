// How the mandate's rates are divided: raw probes take most, conversations (kernel TCP) the rest, so that both together stay within them.
#pragma once

#include <algorithm>
#include <cstdint>

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

inline double survey_pps(const law::MandateText& m, std::uint64_t networks24) {
  auto p = probe_rates(m);
  return std::max(1.0, std::min<double>(p.rate_total_pps, static_cast<double>(p.rate_per_24_pps) *
                                                              static_cast<double>(std::max<std::uint64_t>(1, networks24))));
}

}  // namespace nora::survey
