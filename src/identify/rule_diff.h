// What differs between two rule sets, as the texts that can get another answer: a value whose key is not here, or that none of the patterns
// here matches, is identified alike by both. Used by flow to identify the history again after a rule change. Pure; one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "identify/matcher.h"

namespace nora::identify {

struct ChangedKey {
  std::vector<const Rule*> rules;   // added, taken away, or changed: the old and the new form
  bool everything = false;          // too many to ask one by one, or the order changed: every value of the key counts
};
using RuleDiff = std::map<std::string, ChangedKey, std::less<>>;

// More changed rules of one key than that: matching each is dearer than identifying every value of the key again.
inline constexpr std::size_t max_changed_rules = 16;

// The rules are pointed at: both sets must outlive the result.
RuleDiff diff(const RuleSet& before, const RuleSet& after);

// The entry that decides about values of this key; nullptr: both sets treat them alike. A MAC address is a value of mac.maker.
const ChangedKey* changed(const RuleDiff& diff, std::string_view key);

// May the two sets give this value another answer? `key` is one of the diff.
bool may_differ(const ChangedKey& key, std::string_view value, Scratch& scratch, std::vector<Slice>& slices);

}  // namespace nora::identify
