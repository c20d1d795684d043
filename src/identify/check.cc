#include "identify/check.h"

#include <fmt/format.h>

#include "base/escape.h"

namespace nora::identify {

namespace {
std::string shown(const RuleFile& file) { return file.path.empty() ? file.stem : file.path.filename().string(); }
}  // namespace

CheckReport check_rules(const RuleSet& rules) {
  CheckReport report;
  report.failures = rules.problems();
  Matcher matcher(rules);
  for (const auto& file : rules.files()) {
    for (const auto& rule : file.rules) {
      ++report.rules;
      if (rule.examples.empty()) report.warnings.push_back({shown(file), rule.line, "rule has no example"});
      if (has_nested_repeat(rule.pattern_text)) report.warnings.push_back({shown(file), rule.line, "repeat inside a repeat: matching may take very long"});
      for (const auto& example : rule.examples) {
        ++report.examples;
        const auto bad = [&](std::string what) { report.failures.push_back({shown(file), example.line, std::move(what)}); };
        const auto match = matcher.identify_in(file, example.text);
        if (!match) { bad("example is not matched"); continue; }
        if (match->rule != &rule) { bad(fmt::format("example is taken by an earlier rule in line {}", match->rule->line)); continue; }
        bool equal = true;
        for (const auto& [name, value] : example.expected) {
          const auto it = match->fields.find(name);
          if (it != match->fields.end() && it->second == value) continue;
          bad(fmt::format("field {} is \"{}\", expected \"{}\"", name, it == match->fields.end() ? "(missing)" : to_terminal(it->second), to_terminal(value)));
          equal = false;
          break;
        }
        if (equal) ++report.equal;
      }
    }
  }
  report.limits = matcher.counters().limits;
  return report;
}

std::vector<Problem> check_prefilter(const RuleSet& rules, const Prefilter& prefilter) {
  std::vector<Problem> out;
  Matcher slow(rules), fast(rules, &prefilter);
  for (const auto& file : rules.files()) {
    for (const auto& rule : file.rules) {
      for (const auto& example : rule.examples) {
        for (const std::size_t pad : {std::size_t{0}, std::size_t{150}}) {
          // Longer by repeating a letter or digit inside: brackets and anchors stay where they are.
          std::string text = example.text;
          if (pad > 0) {
            const auto at = text.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789");
            if (at == std::string::npos) continue;
            text.insert(at, pad, text[at]);
          }
          const auto a = slow.identify_in(file, text), b = fast.identify_in(file, text);
          const Rule* ra = a ? a->rule : nullptr;
          const Rule* rb = b ? b->rule : nullptr;
          if (ra != rb) out.push_back({shown(file), example.line, "prefilter and sequential search differ"});
        }
      }
    }
  }
  return out;
}

}  // namespace nora::identify
