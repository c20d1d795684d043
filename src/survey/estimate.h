// Estimate: how long a plan would take under its mandate, and what each cap costs; for `nora scan plan`. Pure functions. The constants that it
// rests on are named here. The first was measured (6,961 of 7,000 probes a second left in a paced run of 30 s); the others are assumed.
#pragma once

#include <string>
#include <vector>

#include "survey/plan.h"

namespace nora::survey {

inline constexpr double delivered_share = 0.995;        // of a cap: the burst of law::Budget, 1/200 s, is taken off
inline constexpr double turn_around_seconds = 0.02;     // assumed: between the last probe of a segment and the first of the next
inline constexpr double conversations_per_port = 1.5;   // assumed: until an open port is understood or given up

struct EstimateInput {
  double open_share = 0.005;  // of the probes that find an open port: not measured but assumed; the plan's reader may know better
};

struct PlanEstimate {
  std::uint64_t targets = 0, probes = 0, segments = 0;
  double pps = 0;        // probes a second, averaged over the hours in which it may send
  double seconds = 0;    // from begin to end
  double megabytes = 0;  // sent
  double conversations = 0;
  struct Cost {
    std::string what;    // "total", "pacing", "conversations", "segments", "second look", "answer window", "per /24", "per target", "per day", "hours"
    double seconds = 0;  // how much longer it takes because of it
    std::string why;
  };
  std::vector<Cost> costs;  // the first is the time at the total cap alone; the sum is `seconds`
};
PlanEstimate estimate(const Plan& plan, const law::MandateText& mandate, const EstimateInput& input = {});

}  // namespace nora::survey
