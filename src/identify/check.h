// The tests that a rule set carries in itself: every example is matched by its own rule, first, with the expected fields.
// Used by `nora rules check` and the tests. Pure but for time; one thread.
#pragma once

#include <functional>

#include "identify/matcher.h"

namespace nora::identify {

struct CheckReport {
  std::size_t rules = 0, examples = 0, equal = 0, negatives = 0;
  std::vector<Problem> failures;  // an example that does not give what it promises, and every load problem
  std::vector<Problem> warnings;  // no example, a pattern that backtracks without end, nothing asserted
  std::uint64_t limits = 0;       // attempts that ran into the step limit
};
CheckReport check_rules(const RuleSet& rules);

// The texts on which a prefilter is tested, in a fixed order, with their line: every example as it is, and made long inside (a known bug of
// a library starts at about 100 bytes).
void for_each_test_text(const RuleFile& file, const std::function<void(const std::string& text, int line)>& use);
// All test texts through both ways, sequential matching made anew. Empty: accepted. make_prefilter() does the same from what it has kept.
std::vector<Problem> check_prefilter(const RuleSet& rules, const Prefilter& prefilter);

}  // namespace nora::identify
