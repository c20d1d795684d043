// How sure a rule may be: its stated certainty, corrected by how often it was right about devices that persons labelled. Used by statements.cc
// (through RuleSet), by flow/calibrate (learns it from labels) and by rule_diff. Pure values; immutable once a RuleSet uses it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"

namespace nora::identify {

// What is stated counts like so many labelled devices: three labels move a certainty of 0.85 by less than 0.12, two hundred decide it.
inline constexpr double stated_weight = 20;
inline constexpr std::string_view calibration_file = "calibration.json";  // beside the operator's rules
inline constexpr std::size_t max_calibration_bytes = 32u << 20;

struct Tally {
  std::int64_t right = 0, wrong = 0;
  std::string pattern;  // of the rule that was judged: ids of recog are lines, so another edition may give the id to another rule
  bool operator==(const Tally&) const = default;
};

class Calibration {
 public:
  Calibration() = default;
  explicit Calibration(std::map<std::string, Tally, std::less<>> by_rule) : by_rule_(std::move(by_rule)) {}
  // Mean of the Beta distribution with the stated certainty as its prior: (20 c + right) / (20 + right + wrong). Nothing known: c itself.
  double certainty(std::string_view rule, double stated) const;
  const std::map<std::string, Tally, std::less<>>& by_rule() const { return by_rule_; }
  bool empty() const { return by_rule_.empty(); }
  // What is known of rules that are no longer these (id, pattern) is left out.
  template <typename SameRule> void keep_if(SameRule same) { std::erase_if(by_rule_, [&](const auto& e) { return !same(e.first, e.second.pattern); }); }
  Hash content() const;  // part of the version of the rules; of an empty one: zeros
  json::Object to_json() const;
  static Result<Calibration> from_json(const json::Object& object);
  bool operator==(const Calibration&) const = default;

 private:
  std::map<std::string, Tally, std::less<>> by_rule_;
};

// Stated against found: claims of about the same confidence, and how many of them were right. In a calibrated system both agree.
struct Claimed { double confidence = 0; bool right = false; };
struct Reliability {
  struct Bin { double from = 0, to = 0, stated = 0; std::int64_t claims = 0, right = 0; };  // stated: mean confidence
  std::vector<Bin> bins;   // of width 0.1, ascending, empty ones left out
  double error = 0;        // expected calibration error: |share right - mean confidence|, weighted by claims
};
Reliability reliability(std::span<const Claimed> claims);

}  // namespace nora::identify
