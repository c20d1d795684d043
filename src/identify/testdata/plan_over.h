// For tests: a NamePlan over devices that lie in memory, and the same asked in the plainest way, one device after the other (the oracle).
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "identify/name_plan.h"
#include "identify/words.h"

namespace nora::identify::testing {

using Keys = std::vector<std::pair<std::string, std::string>>;
inline std::set<Keys> distinct_replies(std::span<const Sample> samples) {
  std::set<Keys> out;
  for (const auto& s : samples)
    for (const auto& reply : s.replies) {
      Keys keys;
      for (const auto& kv : reply.keys) keys.emplace_back(kv.key, kv.value);
      out.insert(std::move(keys));
    }
  return out;
}

inline Result<std::vector<NamedRule>> plan_over(const Naming& naming, std::span<const Sample> samples, const RuleSet& rules) {
  NORA_TRY(auto plan, NamePlan::begin(naming, rules));
  Scratch scratch;
  const auto is_member = [&](const Sample& s) { return cluster_key(s) == naming.cluster; };
  for (const auto& s : samples) if (is_member(s)) plan.member(s);
  NORA_CHECK(plan.patterns());
  for (const auto& s : samples) {
    const auto taken = plan.ask(s, scratch).takes;
    if (is_member(s)) plan.member_again(taken);
    else if (taken != 0) plan.other(s.device, s.identity, taken);
  }
  std::vector<Slice> slices;
  for (const auto& keys : distinct_replies(samples)) {
    NamePlan::Taken taken;
    for (const auto& [key, value] : keys) plan.ask(key, value, scratch, slices, taken);
    for (std::size_t i = 0; i < plan.candidates().size(); ++i) plan.candidates()[i].decoys += taken.leaves() >> i & 1u;
  }
  return plan.finish();
}

// key, pattern, members, also, decoys of each rule; or why there is none.
struct PlainRule {
  std::string key, pattern;
  std::size_t matches = 0, decoys = 0;
  std::vector<registry::Id> also;
  bool operator==(const PlainRule&) const = default;
};
inline Result<std::vector<PlainRule>> plain(const Result<std::vector<NamedRule>>& rules) {
  if (!rules) return pass(rules.error());
  std::vector<PlainRule> out;
  for (const auto& r : *rules) out.push_back({r.key, r.pattern, r.matches, r.decoys, r.also});
  return out;
}

// The oracle: every device is looked at for every key.
inline Result<std::vector<PlainRule>> naive_plan(const Naming& naming, std::vector<Sample> samples, const RuleSet& rules) {
  std::sort(samples.begin(), samples.end(), [](const auto& a, const auto& b) { return a.device < b.device; });
  std::vector<const Sample*> members, others;
  for (const auto& s : samples) (cluster_key(s) == naming.cluster ? members : others).push_back(&s);
  if (members.empty()) return fail(Code::not_found, "no device");
  Scratch scratch;
  std::vector<Slice> slices;
  const auto values_of = [](const Sample& s, std::string_view key) {
    std::set<std::string> out;
    for (const auto& reply : s.replies) for (const auto& kv : reply.keys) if (kv.key == key && !kv.value.empty()) out.insert(kv.value);
    return out;
  };
  std::vector<PlainRule> out;
  std::string why;
  for (const auto key : nameable_keys()) {
    if (out.size() == max_naming_rules) break;
    if (key == "http_header.server" && !out.empty()) continue;
    std::set<std::string> values, masks;
    bool all = true;
    for (const auto* m : members) {
      const auto shown = values_of(*m, key);
      if (shown.empty()) { all = false; break; }
      values.insert(shown.begin()->substr(0, max_feature_bytes));
      masks.insert(masked(shown.begin()->substr(0, max_feature_bytes)));
    }
    if (!all || masks.size() != 1 || tells_nothing(key, *values.begin(), *masks.begin())) continue;
    PlainRule rule{std::string(key), name_pattern(*values.begin(), values.size() > 1), members.size(), 0, {}};
    const auto pattern = Pattern::compile(rule.pattern, "");
    if (!pattern) { why = pattern.error().what; continue; }
    const auto takes = [&](std::string_view text) { return pattern->match(text, Pattern::Mode::bytes, scratch, slices) == Pattern::Outcome::match; };
    const auto takes_any = [&](const Sample& s) {
      const auto shown = values_of(s, key);
      return std::any_of(shown.begin(), shown.end(), takes);
    };
    if (!std::all_of(members.begin(), members.end(), [&](auto* m) { return takes_any(*m); })) continue;
    std::string refused;
    for (const auto* other : others) {
      if (!takes_any(*other)) continue;
      const auto& identity = other->identity;
      if (!identity.product_known()) { rule.also.push_back(other->device); continue; }
      if (compatible(identity.product.value, naming.product) && compatible(identity.vendor.value, naming.vendor)) continue;
      refused = fmt::format("{} \"{}\" is also shown by device {}, which is named {} {}", key, to_log(*values.begin()), other->device, to_log(identity.vendor.value), to_log(identity.product.value));
      break;
    }
    for (const auto& keys : distinct_replies(samples)) {
      bool shows = false, taken = false;
      for (const auto& [k, value] : keys) if (k == key && !value.empty()) shows = true, taken = taken || takes(value);
      rule.decoys += shows && !taken ? 1 : 0;
    }
    for (const auto index : rules.files_of(key))
      for (const auto& existing : rules.files()[index].rules) {
        for (const auto& negative : existing.negatives) rule.decoys += takes(negative.text) ? 0 : 1;
        for (const auto& example : existing.examples) {
          if (!takes(example.text)) ++rule.decoys;
          else if (refused.empty()) refused = fmt::format("{} would take an example of rule {}", key, existing.id);
        }
      }
    if (!refused.empty()) { why = refused; continue; }
    out.push_back(std::move(rule));
  }
  if (out.empty()) return fail(Code::refused, why.empty() ? "the members share no feature that is telling enough for a rule" : why);
  return out;
}

}  // namespace nora::identify::testing
