#include "identify/rule_diff.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace nora::identify {

namespace {

bool same(const Rule& a, const Rule& b) {
  const auto params = [](const Rule& r) {
    std::vector<std::tuple<std::string, int, std::string>> out;
    for (const auto& p : r.params) out.emplace_back(p.name, p.pos, p.value);
    return out;
  };
  return a.id == b.id && a.pattern_text == b.pattern_text && a.flags == b.flags && a.description == b.description && a.verified == b.verified &&
         a.source.empty() == b.source.empty() && params(a) == params(b);
}

bool same_head(const RuleFile& a, const RuleFile& b) {
  return a.key == b.key && a.protocol == b.protocol && a.has_protocol == b.has_protocol && a.preference == b.preference;
}

void add_all(ChangedKey& key, const RuleFile& file) {
  for (const auto& rule : file.rules) key.rules.push_back(&rule);
}

// Rules of both that are equal and stand in the same order; the others are changed.
void compare(ChangedKey& key, const RuleFile& before, const RuleFile& after) {
  std::map<std::string_view, std::size_t> where;
  for (std::size_t i = 0; i < before.rules.size(); ++i) where.emplace(before.rules[i].id, i);
  std::set<std::size_t> kept;
  std::size_t last = 0;
  for (const auto& rule : after.rules) {
    const auto at = where.find(rule.id);
    if (at == where.end() || !same(before.rules[at->second], rule)) { key.rules.push_back(&rule); continue; }
    if (!kept.empty() && at->second < last) key.everything = true;  // another order is another precedence
    last = at->second;
    kept.insert(at->second);
  }
  for (std::size_t i = 0; i < before.rules.size(); ++i) if (!kept.contains(i)) key.rules.push_back(&before.rules[i]);
}

}  // namespace

RuleDiff diff(const RuleSet& before, const RuleSet& after) {
  RuleDiff out;
  const auto find = [](const RuleSet& set, std::string_view stem) {
    const auto it = std::find_if(set.files().begin(), set.files().end(), [&](const RuleFile& f) { return f.stem == stem; });
    return it == set.files().end() ? nullptr : &*it;
  };
  for (const auto& file : after.files()) {
    const auto* old = find(before, file.stem);
    if (old == nullptr) { add_all(out[file.key], file); continue; }
    if (old->content == file.content) continue;
    if (!same_head(*old, file)) {
      add_all(out[old->key], *old);
      add_all(out[file.key], file);
      continue;
    }
    compare(out[file.key], *old, file);
  }
  for (const auto& file : before.files()) if (find(after, file.stem) == nullptr) add_all(out[file.key], file);
  const auto registry = [](const RuleSet& set) { return set.makers() == nullptr ? Hash{} : set.makers()->content(); };
  if (out.contains(mac_maker_key) || registry(before) != registry(after)) {
    // Another maker for leaked addresses: those that stand in keys of their own, and those that rules read out of texts.
    out[std::string(mac_maker_key)].everything = true;
    for (const auto* set : {&before, &after})
      for (const auto& file : set->files())
        for (const auto& rule : file.rules)
          if (std::any_of(rule.params.begin(), rule.params.end(), [](const Param& p) { return p.name == mac_field; })) out[file.key].rules.push_back(&rule);
  }
  // A rule that may be more or less sure than before.
  const auto tally = [](const RuleSet& set, std::string_view rule) {
    const auto it = set.calibration().by_rule().find(rule);
    return it == set.calibration().by_rule().end() ? Tally{} : it->second;
  };
  if (before.calibration() != after.calibration())
    for (const auto& file : after.files())
      for (const auto& rule : file.rules)
        if (tally(before, rule.id) != tally(after, rule.id)) out[file.key].rules.push_back(&rule);
  std::erase_if(out, [](const auto& entry) { return entry.second.rules.empty() && !entry.second.everything; });
  for (auto& [key, changed] : out) if (changed.rules.size() > max_changed_rules) changed.everything = true;
  return out;
}

const ChangedKey* changed(const RuleDiff& diff, std::string_view key) {
  const auto it = diff.find(is_mac_key(key) ? mac_maker_key : key);
  return it == diff.end() ? nullptr : &it->second;
}

bool may_differ(const ChangedKey& key, std::string_view value, Scratch& scratch, std::vector<Slice>& slices) {
  if (key.everything) return true;
  value = value.substr(0, max_value_bytes);
  const bool text = is_valid_utf8(value);
  return std::any_of(key.rules.begin(), key.rules.end(), [&](const Rule* rule) {
    if (rule->pattern.match(value, Pattern::Mode::bytes, scratch, slices) != Pattern::Outcome::miss) return true;
    return text && rule->pattern.utf_sensitive() && rule->pattern.match(value, Pattern::Mode::utf, scratch, slices) != Pattern::Outcome::miss;
  });
}

}  // namespace nora::identify
