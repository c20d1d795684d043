// The tests that a rule set carries in itself: every example is matched by its own rule, first, with the expected fields.
// Used by `nora rules check` and the tests. Pure but for time; one thread.
#pragma once

#include "identify/matcher.h"

namespace nora::identify {

struct CheckReport {
  std::size_t rules = 0, examples = 0, equal = 0;
  std::vector<Problem> failures;  // an example that does not give what it promises, and every load problem
  std::vector<Problem> warnings;  // no example, nested repeats, nothing asserted
  std::uint64_t limits = 0;       // attempts that ran into the step limit
};
CheckReport check_rules(const RuleSet& rules);

// Every example, and every example made long (a known prefilter bug starts at about 100 bytes), through both ways. Empty: accepted.
std::vector<Problem> check_prefilter(const RuleSet& rules, const Prefilter& prefilter);

}  // namespace nora::identify
