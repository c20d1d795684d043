#include "identify/check.h"

#include <fmt/format.h>

#include "base/escape.h"

namespace nora::identify {

namespace {
std::string shown(const RuleFile& file) { return file.path.empty() ? file.stem : file.path.filename().string(); }

// Does PCRE2 give up on a text made to provoke that: an example whose middle is repeated, and which then ends wrongly?
bool backtracks_without_end(const Rule& rule) {
  constexpr std::size_t pumped_bytes = 2000, max_examples = 3;
  Scratch scratch;
  for (std::size_t i = 0; i < rule.examples.size() && i < max_examples; ++i) {
    const auto& text = rule.examples[i].text;
    if (text.size() < 4 || text.size() > pumped_bytes) continue;
    const auto from = text.size() / 3, length = std::max<std::size_t>(text.size() / 3, 1);
    std::string pumped = text.substr(0, from);
    while (pumped.size() < pumped_bytes) pumped += text.substr(from, length);
    pumped += text.substr(from + length) + "\x01!";  // the tail stays: without its required letters PCRE2 would say no at once
    if (rule.pattern.match_steps_exceeded(pumped, scratch)) return true;
  }
  return false;
}
}  // namespace

CheckReport check_rules(const RuleSet& rules) {
  CheckReport report;
  report.failures = rules.problems();
  Matcher matcher(rules);
  for (const auto& file : rules.files()) {
    for (const auto& rule : file.rules) {
      ++report.rules;
      if (rule.examples.empty()) report.warnings.push_back({shown(file), rule.line, "rule has no example"});
      if (has_nested_repeat(rule.pattern_text)) report.warnings.push_back({shown(file), rule.line, "repeat inside a repeat: it may backtrack without end, so RE2 matches it"});
      else if (backtracks_without_end(rule)) report.warnings.push_back({shown(file), rule.line, "backtracks without end on long texts (step limit reached)"});
      for (const auto& negative : rule.negatives) {
        ++report.negatives;
        if (matcher.try_rule(file, rule, negative.text)) report.failures.push_back({shown(file), negative.line, "a text that the rule must not match is matched"});
      }
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

void for_each_test_text(const RuleFile& file, const std::function<void(const std::string&, int)>& use) {
  constexpr std::size_t longer_bytes = 150;
  for (const auto& rule : file.rules) {
    for (const auto& example : rule.examples) {
      use(example.text, example.line);
      // Longer by repeating a letter or digit inside: brackets and anchors stay where they are.
      const auto at = example.text.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789");
      if (at == std::string::npos) continue;
      std::string text = example.text;
      text.insert(at, longer_bytes, text[at]);
      use(text, example.line);
    }
  }
}

std::vector<Problem> check_prefilter(const RuleSet& rules, const Prefilter& prefilter) {
  std::vector<Problem> out;
  Matcher slow(rules), fast(rules, &prefilter);
  for (const auto& file : rules.files()) {
    for_each_test_text(file, [&](const std::string& text, int line) {
      const auto* a = slow.find_in(file, text);
      const auto* b = fast.find_in(file, text);
      if ((a == nullptr ? nullptr : a->rule) != (b == nullptr ? nullptr : b->rule)) out.push_back({shown(file), line, "prefilter and sequential search differ"});
    });
  }
  return out;
}

}  // namespace nora::identify
