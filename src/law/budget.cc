// Rates of the mandate (law/budget.h).
#include "law/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace nora::law {
namespace {
constexpr std::int64_t day_us = 86'400'000'000;
constexpr int net4_bits = 24, net6_bits = 48;
constexpr std::uint32_t burst_per_second_share = 20;  // burst = 1/20 s of the rate
}  // namespace

std::size_t Budget::PrefixHash::operator()(const Prefix& p) const noexcept { return std::hash<Ip>{}(p.base()); }

// GCRA with tolerance (burst - 1) * interval lets at most burst - 1 + ceil(1 s / interval) packets into a half-open window of one second;
// the interval is chosen so that this is the cap.
Budget::Pace Budget::pace(std::uint32_t per_second) {
  const std::uint32_t burst = std::max(1u, per_second / burst_per_second_share);
  Pace p;
  p.interval_us = 1e6 / (per_second - burst + 1);
  p.burst_us = p.interval_us * (burst - 1);
  return p;
}

Budget::Budget(const MandateText& m)
    : total_pace_(pace(m.rate_total_pps)), net_pace_(pace(m.rate_per_24_pps)), target_pace_(pace(m.rate_per_target_pps)),
      per_day_(m.probes_per_target_per_day) {}

void Budget::new_day(std::int64_t day) {
  if (day == day_) return;
  day_ = day;
  for (auto& [ip, t] : targets_) t.today = 0;
}

// Buckets that are full again carry no information; targets also keep the day's count.
void Budget::drop_idle(std::int64_t now_us) {
  std::erase_if(nets_, [&](const auto& n) { return n.second.next_us <= now_us; });
  std::erase_if(targets_, [&](const auto& t) { return t.second.bucket.next_us <= now_us && t.second.today == 0; });
}

Budget::Answer Budget::take(const Permit& permit, Instant now, std::uint32_t packets) {
  new_day(now.us / day_us);
  const Prefix net = Prefix::of(permit.dest(), permit.dest().is_v4() ? net4_bits : net6_bits);
  if (targets_.size() >= max_tracked || nets_.size() >= max_tracked) {
    drop_idle(now.us);
    if (targets_.size() >= max_tracked || nets_.size() >= max_tracked) return {.refusal = Refusal::budget_table_full};
  }
  Target& target = targets_[permit.dest()];
  if (target.today + packets > per_day_) return {.refusal = Refusal::daily_cap_reached};
  Bucket& net_bucket = nets_[net];
  struct Use {
    Bucket* bucket;
    const Pace* pace;
  };
  const Use uses[] = {{&total_, &total_pace_}, {&net_bucket, &net_pace_}, {&target.bucket, &target_pace_}};
  // GCRA: the packet conforms when the bucket's theoretical arrival time lies at most `burst` ahead.
  double wait = 0;
  for (const Use& u : uses) wait = std::max(wait, static_cast<double>(u.bucket->next_us - now.us) - u.pace->burst_us);
  if (wait > 0) return {.wait = Span{static_cast<std::int64_t>(wait) + 1}};
  for (const Use& u : uses)
    u.bucket->next_us = std::max(u.bucket->next_us, now.us) + static_cast<std::int64_t>(u.pace->interval_us * packets + 0.999999);
  target.today += packets;
  return {};
}

std::string Budget::save() const {
  std::string out = fmt::format("{}\n", Instant{std::max<std::int64_t>(day_, 0) * day_us}.date());
  for (const auto& [ip, t] : targets_)
    if (t.today) out += fmt::format("{} {}\n", ip.text(), t.today);
  return out;
}

Status Budget::restore(std::string_view text) {
  const auto wrong = [] { return fail(Code::bad_input, "the saved daily counts cannot be read"); };
  const auto first = text.find('\n');
  if (first == text.npos) return wrong();
  NORA_TRY(const Instant day, Instant::parse(std::string(text.substr(0, first)) + "T00:00:00Z"));
  text.remove_prefix(first + 1);
  std::unordered_map<Ip, Target> targets;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const auto blank = line.find(' ');
    if (end == text.npos || blank == line.npos || targets.size() >= max_tracked) return wrong();
    NORA_TRY(const Ip ip, Ip::parse(line.substr(0, blank)));
    std::uint32_t n = 0;
    const auto [at, error] = std::from_chars(line.data() + blank + 1, line.data() + line.size(), n);
    if (error != std::errc{} || at != line.data() + line.size()) return wrong();
    targets[ip].today = n;
    text.remove_prefix(end + 1);
  }
  targets_ = std::move(targets);
  day_ = day.us / day_us;
  return {};
}

}  // namespace nora::law
