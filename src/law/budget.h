// Budget: the mandate's rates: total, per /24 (IPv6: /48), per target, and probes per target and day. Used by survey's sender and grabber.
// One owner, one thread. Cost of take() for IPv4: three memory reads that prefetch() can ask for in advance, no allocation (mandate_bench.cc).
// Limits: max_tracked IPv6 targets and nets; where a live rate cannot be remembered the answer is "wait" or a refusal, never "go".
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/instant.h"
#include "law/daily_ledger.h"
#include "law/mandate_text.h"
#include "law/permit.h"

namespace nora::law {

class Budget {
 public:
  static constexpr std::size_t max_tracked = 4u << 20;
  explicit Budget(const MandateText& mandate);
  // Other rates from now on, each at least 1; what is running keeps its history.
  struct Rates {
    std::uint32_t total_pps = 1, per_24_pps = 1, per_target_pps = 1, per_target_day = 1;
  };
  void set(const Rates& rates);
  // Counts the day in this ledger from now on.
  void use(DailyLedger ledger) { ledger_ = std::move(ledger); }
  DailyLedger& ledger() { return ledger_; }

  // May this permit be used now? wait == 0: yes, and it is counted. wait > 0: not counted; ask again after that time.
  // refusal != none: not today.
  struct Answer {
    Span wait{};
    Refusal refusal = Refusal::none;
    bool go() const { return refusal == Refusal::none && wait.us == 0; }
  };
  Answer take(const Permit& permit, Instant now, std::uint32_t packets = 1);
  void prefetch(Ip target) const;

 private:
  // GCRA, one instant per bucket: the theoretical arrival time of the next packet, in ns since 1970 (rates above 1 Mpps need the ns).
  // The burst is 1/200 s of the rate, at least one packet, and the steady rate is lowered by it, so that no window of one second holds more
  // than the cap.
  struct Pace {
    double interval_ns = 0;
    std::int64_t burst_ns = 0;
    std::int64_t step(std::uint32_t packets) const { return static_cast<std::int64_t>(interval_ns * packets + 0.999999); }
  };
  // Targets whose bucket is not full again: an entry is dead once its time has passed and may then be another's.
  struct Recent {
    std::uint32_t target = 0;
    std::int64_t next_ns = 0;
  };
  static constexpr std::size_t recent_ways = 4;
  struct alignas(64) RecentRow {  // one cache line
    Recent ways[recent_ways];
  };
  struct PrefixHash {
    std::size_t operator()(const Prefix& p) const noexcept;
  };
  struct Unmap {
    void operator()(std::int64_t* p) const;
  };
  static Pace pace(std::uint32_t per_second);
  std::size_t recent_home(std::uint32_t v4) const { return v4 * 0x9e3779b1u >> recent_shift_; }
  Recent* recent(std::uint32_t v4, std::int64_t now_ns);
  Answer take6(const Permit& permit, std::int64_t now_ns, Instant now, std::uint32_t packets);
  Answer charge(std::int64_t& net, std::int64_t& target, const Permit& permit, std::int64_t now_ns, Instant now, std::uint32_t packets);

  Pace total_pace_, net_pace_, target_pace_;
  std::uint32_t per_day_;
  std::int64_t total_ = 0;
  std::unique_ptr<std::int64_t[], Unmap> nets4_;  // by /24: 2^24 of them, mapped; touched pages alone cost anything
  std::vector<RecentRow> recent4_;
  int recent_shift_ = 0;
  std::unordered_map<Prefix, std::int64_t, PrefixHash> nets6_;
  std::unordered_map<Ip, std::int64_t> targets6_;
  DailyLedger ledger_;
};

}  // namespace nora::law
