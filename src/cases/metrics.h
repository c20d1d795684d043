// The numbers of the overview: funnel, unknown share, trend. Used by desk and the scheduler (snapshots). Every number has the filter that opens its rows.
#pragma once

#include <string>
#include <vector>

#include "registry/registry.h"

namespace nora::cases {

struct FunnelStep {
  std::string name;            // found product_known listed line_found notified opened checked fixed
  std::int64_t count = 0;      // cases of the list track
};
Result<std::vector<FunnelStep>> funnel(registry::Registry& registry);
// The case ids behind a step, for "every number opens its rows".
Result<std::vector<registry::Id>> funnel_cases(registry::Registry& registry, std::string_view step, std::size_t limit = 1000);

struct UnknownShare { std::int64_t devices = 0, unknown = 0; };
Result<UnknownShare> unknown_share(registry::Registry& registry);

// Points of a trend: one per survey of kind full or remeasure.
struct TrendPoint { std::string survey; Instant at; double value = 0; };
// Writes the numbers of a finished survey once (again: overwrites the same): findings_seen, findings_open, devices_seen, by pattern, fixed.
Status snapshot(registry::Registry& registry, std::string_view survey, Instant now);
Result<std::vector<TrendPoint>> trend(registry::Registry& registry, std::string_view name, std::string_view label = {});

}  // namespace nora::cases
