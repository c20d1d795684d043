// `nora rules check|list|explain`: the fingerprint rules themselves.
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/json.h"
#include "identify/check.h"

namespace nora::app {
namespace {

struct Options {
  std::vector<std::string> directories;
  std::string key, value;
};

Result<identify::RuleSet> load(const Options& o) {
  std::vector<std::filesystem::path> paths(o.directories.begin(), o.directories.end());
  if (paths.empty()) paths.emplace_back(data_dir() + "/fingerprints");
  return identify::RuleSet::load(paths);
}

json::Object to_json(const identify::Problem& p, const char* kind) {
  return {{"kind", kind}, {"file", to_clean_utf8(p.file)}, {"line", p.line}, {"what", to_clean_utf8(p.what)}};
}

Result<int> check(Run& run, const Options& o) {
  NORA_TRY(const auto rules, load(o));
  const auto report = identify::check_rules(rules);
  if (run.json) {
    for (const auto& p : report.failures) std::printf("%s\n", json::text(to_json(p, "failure")).c_str());
    for (const auto& p : report.warnings) std::printf("%s\n", json::text(to_json(p, "warning")).c_str());
    std::printf("%s\n", json::text(json::Object{{"kind", "summary"}, {"rules", report.rules}, {"examples", report.examples}, {"equal", report.equal},
                                                {"failures", report.failures.size()}, {"warnings", report.warnings.size()}, {"limits", report.limits},
                                                {"version", rules.version()}}).c_str());
  } else {
    for (const auto& p : report.failures) std::printf("FAIL %s\n", to_terminal(p.text()).c_str());
    for (const auto& p : report.warnings) std::printf("warn %s\n", to_terminal(p.text()).c_str());
    std::printf("%zu rules, %zu of %zu examples equal, %zu failures, %zu warnings, version %s\n", report.rules, report.equal, report.examples, report.failures.size(),
                report.warnings.size(), rules.version().c_str());
  }
  return report.failures.empty() ? 0 : 1;
}

Result<int> list(Run& run, const Options& o) {
  NORA_TRY(const auto rules, load(o));
  for (const auto& p : rules.problems()) run.env.log.warn(p.text());
  for (const auto& file : rules.files()) {
    if (!o.key.empty() && file.key != o.key) continue;
    for (const auto& rule : file.rules) {
      if (run.json) {
        std::printf("%s\n", json::text(json::Object{{"rule", to_clean_utf8(rule.id)}, {"key", to_clean_utf8(file.key)}, {"description", to_clean_utf8(rule.description)},
                                                    {"pattern", to_clean_utf8(rule.pattern_text)}, {"examples", rule.examples.size()}, {"source", to_clean_utf8(rule.source)},
                                                    {"verified", rule.verified}, {"line", rule.line}}).c_str());
      } else {
        std::printf("%-44s %-24s %s%s\n", to_terminal(rule.id).c_str(), to_terminal(file.key).c_str(), to_terminal(rule.description).c_str(),
                    rule.verified || rule.source.empty() ? "" : "  [unverified]");
      }
    }
  }
  return 0;
}

// Which rule of each file takes the value, which part of the text decided, and what it says.
Result<int> explain(Run& run, const Options& o) {
  NORA_TRY(const auto rules, load(o));
  identify::Matcher matcher(rules);
  const auto matches = matcher.identify_all(o.key, o.value);
  for (const auto& m : matches) {
    if (run.json) {
      json::Array parts;
      for (const auto& s : m.slices) parts.push_back(s.took_part ? json::Value(json::Array{s.from, s.to}) : json::Value(nullptr));
      json::Object fields;
      for (const auto& [name, value] : m.fields) fields[to_clean_utf8(name)] = to_clean_utf8(value);
      std::printf("%s\n", json::text(json::Object{{"rule", to_clean_utf8(m.rule->id)}, {"file", to_clean_utf8(m.file->stem)}, {"line", m.rule->line},
                                                  {"pattern", to_clean_utf8(m.rule->pattern_text)}, {"source", to_clean_utf8(m.rule->source)}, {"verified", m.rule->verified},
                                                  {"parts", std::move(parts)}, {"fields", std::move(fields)}}).c_str());
      continue;
    }
    std::printf("%s (%s.xml line %d): %s\n  pattern  %s\n", to_terminal(m.rule->id).c_str(), to_terminal(m.file->stem).c_str(), m.rule->line,
                to_terminal(m.rule->description).c_str(), to_terminal(m.rule->pattern_text).c_str());
    if (!m.rule->source.empty()) std::printf("  source   %s%s\n", to_terminal(m.rule->source).c_str(), m.rule->verified ? "" : " [unverified]");
    for (std::size_t i = 0; i < m.slices.size(); ++i)
      if (m.slices[i].took_part)
        std::printf("  %s  %s\n", i == 0 ? "matched" : "group  ", to_terminal(std::string_view(o.value).substr(m.slices[i].from, m.slices[i].to - m.slices[i].from)).c_str());
    for (const auto& [name, value] : m.fields) std::printf("  %-22s %s\n", to_terminal(name).c_str(), to_terminal(value).c_str());
  }
  if (!matches.empty()) return 0;
  if (rules.files_of(o.key).empty()) return fail(Code::not_found, "no rule file has the match key \"" + o.key + "\"", "see nora rules list");
  std::fprintf(stderr, "no rule matches\n");
  return 1;
}

}  // namespace

void add_rules(CLI::App& root, Run& run) {
  auto* rules = root.add_subcommand("rules", "Fingerprint rules: check their examples, list them, explain a match");
  rules->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, Result<int> (*action)(Run&, const Options&)) {
    auto* command = with_json(rules->add_subcommand(name, help), run);
    auto options = std::make_shared<Options>();
    command->add_option("--rules", options->directories, "directory of recog XML files (repeatable); default: Nora's own fingerprints")->allow_extra_args(false);
    command->callback([&run, options, action] { run.action = [&run, options, action] { return action(run, *options); }; });
    return std::pair(command, options);
  };
  verb("check", "Match every example by its own rule, with its expected fields (exit 1 on a failure)", check)
      .first->footer("--json fields: kind (failure, warning, summary), file, line, what; summary: rules, examples, equal, failures, warnings, limits, version.");
  auto [list_command, list_options] = verb("list", "One line per rule", list);
  list_command->add_option("--key", list_options->key, "only this match key");
  list_command->footer("--json fields: rule, key, description, pattern, examples, source, verified, line.");
  auto [explain_command, explain_options] = verb("explain", "Which rules take this value, and which part of it decided", explain);
  explain_command->add_option("key", explain_options->key, "match key, for example html_title")->required();
  explain_command->add_option("value", explain_options->value, "the value")->required();
  explain_command->footer("--json fields: rule, file, line, pattern, source, verified, parts (byte ranges, whole match first), fields.");
}

}  // namespace nora::app
