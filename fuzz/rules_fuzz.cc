// domain: identify
// Rule files come from operators and from other projects; banners come from anybody. The first byte splits the input.
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "identify/check.h"
#include "identify/testdata/plan_over.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  if (size > 64 * 1024) return 0;
  // First byte: how much of the input (in 1/256) is the rule file; the rest is the value that it looks at.
  if (size == 0) return 0;
  const std::string_view all = as_text({data + 1, size - 1});
  const std::size_t cut = all.size() * data[0] / 255;
  identify::RuleSet rules;
  rules.add_file("fuzz", all.substr(0, cut));
  const std::string_view value = all.substr(cut);
  identify::Matcher matcher(rules);
  for (const auto& file : rules.files()) {
    if (auto match = matcher.identify_in(file, value)) {
      for (const auto& slice : match->slices)
        if (slice.took_part && (slice.from > slice.to || slice.to > value.size())) __builtin_trap();
    }
    const registry::KeyValue kv{file.key, std::string(value)};
    const auto statements = identify::statements_of(matcher, {&kv, 1});
    if (identify::statements_from_json(identify::to_json(statements)).value().size() != statements.size()) __builtin_trap();
    identify::fuse({{{Port{80}, Proto::tcp}, statements}});
  }
  identify::check_rules(rules);
  // A hostile face must never break out of the rule file that is made from it.
  identify::Sample sample{1, {}, {{{Port{23}, Proto::tcp}, "telnet", {{"telnet_banners", std::string(value)}}}}};
  const auto key = identify::cluster_key(sample);
  if (key.empty()) return 0;
  const auto plan = identify::testing::plan_over({key, "V", "P-1", "NAS", "a", "b", {}}, {&sample, 1}, {});
  if (!plan) return 0;
  for (const auto& rule : *plan) {
    identify::RuleSet made;
    made.add_file("made", rule.xml);
    if (!made.problems().empty() || made.rule_count() != 1) __builtin_trap();
    identify::Matcher check(made);
    if (!check.identify_in(made.files()[0], value.substr(0, identify::max_feature_bytes))) __builtin_trap();
  }
  return 0;
}
