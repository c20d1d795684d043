// Loss: what a survey did not hear, with its interval, from what it asked twice. Used by the engine's summary. Pure functions.
// Three measures: canaries (our own hosts that must answer), answering probes asked again, and capture-recapture over a second look at a random
// sample of all probes, silent ones included: of those that answered the second time, the share that the first pass had missed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/json.h"

namespace nora::survey {

// 95 % Wilson score interval for `missed` of `asked`.
std::pair<double, double> wilson(std::int64_t missed, std::int64_t asked);

struct Repeat {
  std::int64_t asked = 0, missed = 0;
  json::Object to_json() const;  // asked, missed; ratio, low, high when something was asked
};

// A sample looked at twice: answered in the first pass, in the second, in both.
struct Recapture {
  std::int64_t sample = 0, first = 0, second = 0, both = 0;
  // Share of what answers that the first pass missed. Independent of `first`: the second look tells which exist, the first how many it had.
  Repeat loss() const { return {second, second - both}; }
  // How many of the sample answer at all (Chapman 1951, nearly unbiased), and the 95 % interval that belongs to loss().
  double population() const;
  std::pair<double, double> population_interval() const;
  json::Object to_json() const;
};

struct Loss {
  Repeat canary, again;
  Recapture recapture;
  static constexpr std::int64_t recapture_min = 50;  // fewer answers in the second look: `again` says more
  // The figure for the summary and its basis: "recapture", "again", "canary", or "" when nothing was asked twice.
  std::pair<Repeat, std::string> best() const;
  json::Object to_json() const;  // the best one's fields, basis, and each measure
};

}  // namespace nora::survey
