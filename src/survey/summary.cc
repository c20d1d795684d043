// The closing record of a survey (engine.h).
#include <algorithm>
#include <cmath>

#include "survey/engine.h"

namespace nora::survey {

std::pair<double, double> wilson(std::int64_t missed, std::int64_t asked) {
  if (asked <= 0) return {0, 1};
  constexpr double z = 1.959964;
  double n = static_cast<double>(asked), p = static_cast<double>(missed) / n;
  double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

json::Object Summary::to_json() const {
  json::Object by;
  for (const auto& [reason, n] : refused_by) by[reason] = n;
  json::Object loss{{"asked", calibration_asked}, {"missed", calibration_missed}};
  if (calibration_asked > 0) {
    auto [low, high] = wilson(calibration_missed, calibration_asked);
    loss["ratio"] = static_cast<double>(calibration_missed) / static_cast<double>(calibration_asked);
    loss["low"] = low;
    loss["high"] = high;
  }
  json::Object o{{"type", "summary"},
                 {"survey", survey},
                 {"kind", kind},
                 {"send", send},
                 {"targets", targets},
                 {"probes", probes},
                 {"segments", segments},
                 {"sent", sent},
                 {"received", received},
                 {"unique", unique},
                 {"duplicates", duplicates},
                 {"refused", refused},
                 {"refused_by", std::move(by)},
                 {"replies", replies},
                 {"conversations", conversations},
                 {"loss", std::move(loss)},
                 {"ring_drops", ring_drops},
                 {"parser_deaths", parser_deaths},
                 {"repeated_segments", repeated_segments},
                 {"repeated_probes_at_most", repeated_probes_at_most},
                 {"undelivered_bytes", undelivered_bytes},
                 {"seconds", took.as_seconds()},
                 {"complete", complete}};
  if (!complete) o["why"] = why;
  return o;
}

}  // namespace nora::survey
