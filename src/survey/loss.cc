#include "survey/loss.h"

#include <algorithm>
#include <cmath>

namespace nora::survey {

std::pair<double, double> wilson(std::int64_t missed, std::int64_t asked) {
  if (asked <= 0) return {0, 1};
  constexpr double z = 1.959964;
  double n = static_cast<double>(asked), p = static_cast<double>(missed) / n;
  double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  // The ends are exact where nothing, or everything, was missed: rounding must not exclude them.
  return {missed <= 0 ? 0.0 : std::max(0.0, middle - half), missed >= asked ? 1.0 : std::min(1.0, middle + half)};
}

json::Object Repeat::to_json() const {
  json::Object o{{"asked", asked}, {"missed", missed}};
  if (asked > 0) {
    auto [low, high] = wilson(missed, asked);
    o["ratio"] = static_cast<double>(missed) / static_cast<double>(asked);
    o["low"] = low;
    o["high"] = high;
  }
  return o;
}

double Recapture::population() const {
  return static_cast<double>(first + 1) * static_cast<double>(second + 1) / static_cast<double>(both + 1) - 1;
}

std::pair<double, double> Recapture::population_interval() const {
  auto [low, high] = wilson(second - both, second);
  auto seen = static_cast<double>(first + second - both), n1 = static_cast<double>(first);
  return {std::max(seen, n1 / (1 - low)), high < 1 ? std::max(seen, n1 / (1 - high)) : static_cast<double>(sample)};
}

json::Object Recapture::to_json() const {
  auto o = loss().to_json();
  o["sample"] = sample;
  o["first"] = first;
  o["second"] = second;
  o["both"] = both;
  if (second > 0) {
    auto [low, high] = population_interval();
    o["answering"] = population();
    o["answering_low"] = low;
    o["answering_high"] = high;
    o["missed_by_both"] = std::max(0.0, population() - static_cast<double>(first + second - both));
  }
  return o;
}

std::pair<Repeat, std::string> Loss::best() const {
  if (recapture.second >= recapture_min) return {recapture.loss(), "recapture"};
  if (again.asked > 0) return {again, "again"};
  if (canary.asked > 0) return {canary, "canary"};
  return {{}, ""};
}

json::Object Loss::to_json() const {
  auto [repeat, basis] = best();
  auto o = repeat.to_json();
  if (!basis.empty()) o["basis"] = basis;
  if (again.asked > 0) o["again"] = again.to_json();
  if (recapture.sample > 0) o["recapture"] = recapture.to_json();
  if (canary.asked > 0) o["canary"] = canary.to_json();
  return o;
}

}  // namespace nora::survey
