// Budget: the mandate's rates: total, per /24 (IPv6: /48), per target, and probes per target and day. Used by survey's sender and grabber.
// One owner, one thread. Limits: max_tracked targets and nets are remembered; a full table refuses (never forgets a live cap).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/instant.h"
#include "law/mandate_text.h"
#include "law/permit.h"

namespace nora::law {

class Budget {
 public:
  static constexpr std::size_t max_tracked = 4u << 20;
  explicit Budget(const MandateText& mandate);

  // May this permit be used now? wait == 0: yes, and it is counted. wait > 0: not counted; ask again after that time.
  // refusal != none: not today.
  struct Answer {
    Span wait{};
    Refusal refusal = Refusal::none;
    bool go() const { return refusal == Refusal::none && wait.us == 0; }
  };
  Answer take(const Permit& permit, Instant now, std::uint32_t packets = 1);

  // Daily counts as text, so that a restart on the same day does not forget them ("2026-11-25\n198.51.100.7 12\n…").
  std::string save() const;
  Status restore(std::string_view text);

 private:
  // GCRA, one instant per bucket: next_us = the theoretical arrival time of the next packet. The burst is 1/20 s of the rate, at least
  // one packet, and the steady rate is lowered by it, so that no window of one second holds more than the cap.
  struct Bucket {
    std::int64_t next_us = 0;
  };
  struct Pace {
    double interval_us = 0;
    double burst_us = 0;
  };
  struct Target {
    Bucket bucket;
    std::uint32_t today = 0;
  };
  struct PrefixHash {
    std::size_t operator()(const Prefix& p) const noexcept;
  };
  static Pace pace(std::uint32_t per_second);
  void new_day(std::int64_t day);
  void drop_idle(std::int64_t now_us);

  Pace total_pace_, net_pace_, target_pace_;
  std::uint32_t per_day_;
  Bucket total_;
  std::unordered_map<Prefix, Bucket, PrefixHash> nets_;
  std::unordered_map<Ip, Target> targets_;
  std::int64_t day_ = -1;
};

}  // namespace nora::law
