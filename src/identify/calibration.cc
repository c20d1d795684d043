#include "identify/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/crypto.h"
#include "base/escape.h"

namespace nora::identify {

double Calibration::certainty(std::string_view rule, double stated) const {
  const auto it = by_rule_.find(rule);
  if (it == by_rule_.end()) return stated;
  const auto right = static_cast<double>(it->second.right), wrong = static_cast<double>(it->second.wrong);
  return (stated_weight * stated + right) / (stated_weight + right + wrong);
}

Hash Calibration::content() const { return by_rule_.empty() ? Hash{} : sha256(as_bytes(json::text(json::Value(to_json())))); }

json::Object Calibration::to_json() const {
  json::Object rules;
  for (const auto& [rule, t] : by_rule_) rules[rule] = json::Object{{"right", t.right}, {"wrong", t.wrong}, {"pattern", to_clean_utf8(t.pattern)}};
  return {{"rules", std::move(rules)}};
}

Result<Calibration> Calibration::from_json(const json::Object& object) {
  Calibration out;
  const auto* rules = object.if_contains("rules");
  if (rules == nullptr || !rules->is_object()) return fail(Code::bad_input, "a calibration has no \"rules\"", "nora cluster calibrate makes it anew");
  for (const auto& [rule, value] : rules->as_object()) {
    if (!value.is_object()) return fail(Code::bad_input, "the calibration of " + std::string(rule) + " is not an object", "nora cluster calibrate makes it anew");
    Tally t;
    NORA_TRY(t.right, json::get_int(value.as_object(), "right"));
    NORA_TRY(t.wrong, json::get_int(value.as_object(), "wrong"));
    NORA_TRY(t.pattern, json::get_string(value.as_object(), "pattern"));
    if (t.right < 0 || t.wrong < 0) return fail(Code::bad_input, "the calibration of " + std::string(rule) + " counts less than nothing", "nora cluster calibrate makes it anew");
    out.by_rule_[std::string(rule)] = t;
  }
  return out;
}

Reliability reliability(std::span<const Claimed> claims) {
  constexpr std::size_t bins = 10;
  std::array<Reliability::Bin, bins> all{};
  for (const auto& c : claims) {
    const auto at = std::min(bins - 1, static_cast<std::size_t>(std::max(0.0, c.confidence) * bins));
    ++all[at].claims;
    all[at].right += c.right ? 1 : 0;
    all[at].stated += c.confidence;
  }
  Reliability out;
  for (std::size_t i = 0; i < bins; ++i) {
    auto& b = all[i];
    if (b.claims == 0) continue;
    const auto n = static_cast<double>(b.claims);
    out.error += std::abs(static_cast<double>(b.right) - b.stated) / static_cast<double>(claims.size());
    b.stated /= n;
    b.from = static_cast<double>(i) / bins;
    b.to = static_cast<double>(i + 1) / bins;
    out.bins.push_back(b);
  }
  return out;
}

}  // namespace nora::identify
