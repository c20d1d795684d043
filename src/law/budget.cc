// Rates of the mandate (law/budget.h).
#include "law/budget.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace nora::law {
namespace {

constexpr int net6_bits = 48;
constexpr std::uint32_t burst_per_second_share = 200;  // burst = 1/200 s of the rate; it costs as much of the steady rate, and must be longer than the sender sleeps
constexpr std::size_t nets4 = std::size_t{1} << 24, nets4_bytes = nets4 * sizeof(std::int64_t);
constexpr std::size_t min_recent = 1u << 12, max_recent = 1u << 22;
constexpr std::int64_t crowded_wait_us = 1000;  // the table of recent targets has no room for this one just now

}  // namespace

std::size_t Budget::PrefixHash::operator()(const Prefix& p) const noexcept { return std::hash<Ip>{}(p.base()); }
void Budget::Unmap::operator()(std::int64_t* p) const { ::munmap(p, nets4_bytes); }

// GCRA with tolerance (burst - 1) * interval lets at most burst - 1 + ceil(1 s / interval) packets into a half-open window of one second;
// the interval is chosen so that this is the cap.
Budget::Pace Budget::pace(std::uint32_t per_second) {
  const std::uint32_t burst = std::max(1u, per_second / burst_per_second_share);
  Pace p;
  p.interval_ns = 1e9 / (per_second - burst + 1);
  p.burst_ns = static_cast<std::int64_t>(p.interval_ns * (burst - 1));
  return p;
}

Budget::Budget(const MandateText& m)
    : total_pace_(pace(m.rate_total_pps)), net_pace_(pace(m.rate_per_24_pps)), target_pace_(pace(m.rate_per_target_pps)),
      per_day_(m.probes_per_target_per_day) {
  void* memory = ::mmap(nullptr, nets4_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  NORA_ASSERT(memory != MAP_FAILED, "128 MiB of address space");
  nets4_.reset(static_cast<std::int64_t*>(memory));
  (void)::madvise(memory, nets4_bytes, MADV_HUGEPAGE);  // only speed: fewer page walks; a kernel without huge pages refuses
  // So many targets can be alive at once: a bucket with k packets in it is not full again for k intervals, so those that were begun up to k
  // intervals ago need k packets each: the sum is harmonic. Eight times as many places: then 1 target in 5,000 finds its row full and waits.
  const double alive = m.rate_total_pps * target_pace_.interval_ns / 1e9 * (1 + std::log(1 + static_cast<double>(target_pace_.burst_ns) / target_pace_.interval_ns));
  const auto places = std::bit_ceil(std::clamp(static_cast<std::size_t>(alive * 8), min_recent, max_recent));
  recent4_.resize(places / recent_ways);
  recent_shift_ = 32 - std::countr_zero(places / recent_ways);
}

void Budget::set(const Rates& r) {
  total_pace_ = pace(std::max(1u, r.total_pps));
  net_pace_ = pace(std::max(1u, r.per_24_pps));
  target_pace_ = pace(std::max(1u, r.per_target_pps));
  per_day_ = r.per_target_day;
}

Budget::Recent* Budget::recent(std::uint32_t v4, std::int64_t now_ns) {
  Recent* row = recent4_[recent_home(v4)].ways;
  Recent* dead = nullptr;
  for (std::size_t i = 0; i < recent_ways; ++i) {
    if (row[i].target == v4 && row[i].next_ns != 0) return &row[i];
    if (row[i].next_ns <= now_ns) dead = &row[i];
  }
  if (dead) *dead = {v4, 0};
  return dead;
}

void Budget::prefetch(Ip target) const {
  if (!target.is_v4()) return;
  const std::uint32_t v = target.v4_value();
  __builtin_prefetch(&nets4_[v >> 8], 1);
  __builtin_prefetch(&recent4_[recent_home(v)], 1);
  ledger_.prefetch(target);
}

// GCRA: the packet conforms when the bucket's theoretical arrival time lies at most `burst` ahead.
Budget::Answer Budget::charge(std::int64_t& net, std::int64_t& target, const Permit& permit, std::int64_t now_ns, Instant now, std::uint32_t packets) {
  const std::int64_t wait = std::max({total_ - now_ns - total_pace_.burst_ns, net - now_ns - net_pace_.burst_ns, target - now_ns - target_pace_.burst_ns});
  if (wait > 0) return {.wait = Span{wait / 1000 + 1}};
  switch (ledger_.take(permit.dest(), packets, per_day_, now)) {
    case DailyLedger::Taken::cap_reached: return {.refusal = Refusal::daily_cap_reached};
    case DailyLedger::Taken::cannot_be_kept: return {.refusal = Refusal::budget_table_full};
    case DailyLedger::Taken::yes: break;
  }
  total_ = std::max(total_, now_ns) + total_pace_.step(packets);
  net = std::max(net, now_ns) + net_pace_.step(packets);
  target = std::max(target, now_ns) + target_pace_.step(packets);
  return {};
}

Budget::Answer Budget::take(const Permit& permit, Instant now, std::uint32_t packets) {
  const std::int64_t now_ns = now.us * 1000;
  if (!permit.dest().is_v4()) return take6(permit, now_ns, now, packets);
  const std::uint32_t v = permit.dest().v4_value();
  Recent* target = recent(v, now_ns);
  if (!target) return {.wait = Span{crowded_wait_us}};
  return charge(nets4_[v >> 8], target->next_ns, permit, now_ns, now, packets);
}

Budget::Answer Budget::take6(const Permit& permit, std::int64_t now_ns, Instant now, std::uint32_t packets) {
  if (targets6_.size() >= max_tracked || nets6_.size() >= max_tracked) {
    // Buckets that are full again carry no information.
    std::erase_if(nets6_, [&](const auto& n) { return n.second <= now_ns; });
    std::erase_if(targets6_, [&](const auto& t) { return t.second <= now_ns; });
    if (targets6_.size() >= max_tracked || nets6_.size() >= max_tracked) return {.refusal = Refusal::budget_table_full};
  }
  return charge(nets6_[Prefix::of(permit.dest(), net6_bits)], targets6_[permit.dest()], permit, now_ns, now, packets);
}

}  // namespace nora::law
