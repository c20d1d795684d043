// From lease records in any order, doubled, late or lost, to intervals "this prefix was with this log key". Used by index.
// Pure function of the set of records; deterministic; any thread. The rules are those of isp.md sections 1.3 and 5:
//  - records belong together by (NAS, session id, user), not by the server's unique id; a Start after a Stop opens a new use of the same id;
//  - start = event - Acct-Session-Time where the Start is missing;
//  - end = min(Stop, next Start on the same prefix, NAS restart, silence of 2 interim intervals, Session-Timeout);
//  - a Stop that only comes from a NAS restart is no sign of life;
//  - where the end is inferred, the interval is certain only up to the last sign of life;
//  - one log key at two access ports at once marks both intervals `shared`: a stolen or lent account.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "isp/lease_record.h"

namespace nora::isp {

// Clock of one NAS against the server that received its records. Estimated only from live traffic, see estimate_clocks().
struct NasClock {
  Span skew{};                 // to be added to the NAS's instants
  Span error{1'000'000};       // what remains uncertain: at least the 1 s resolution of the log
  bool trusted = true;         // false: steadily off by more than max_skew (a wrong time zone?): nothing of this NAS is unique
  std::int64_t samples = 0;    // 0: not estimated
  bool operator==(const NasClock&) const = default;
};
inline constexpr Span max_skew = Span::seconds(300);
inline constexpr int min_clock_samples = 8;               // and received over at least min_clock_spread: a replay of old records proves nothing
inline constexpr Span min_clock_spread = Span::minutes(10);

// skew = median(Timestamp - Acct-Delay-Time - Event-Timestamp) where half of the samples agree within 2 s.
std::map<std::string, NasClock> estimate_clocks(const std::vector<LeaseRecord>& records);

enum class EndKind : std::uint8_t { open, stop, next_start, nas_reset, silence, timeout, expiry, reconnect };
std::string_view name(EndKind kind);

struct Interval {
  Prefix prefix;
  Instant start, sure_start;   // held for certain in [sure_start, sure_end), possibly in [start, end)
  Instant sure_end, end;
  EndKind end_kind = EndKind::open;
  std::string user, nas, access, session;
  Span clock_error{};
  bool clock_trusted = true;
  Instant shared_from, shared_to;  // another access port used the same log key at some time in [from, to); equal = never
  std::size_t record = 0;      // index of the record that opened it: the evidence
  bool operator==(const Interval&) const = default;
};

inline constexpr Instant forever{INT64_MAX};

std::vector<Interval> build_intervals(const std::vector<LeaseRecord>& records, const std::map<std::string, NasClock>& clocks);

}  // namespace nora::isp
