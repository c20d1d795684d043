// `nora rules check|list|explain|import|export`: the fingerprint rules themselves.
#include <chrono>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/json.h"
#include "identify/check.h"
#include "identify/prefilter.h"
#include "identify/upstream.h"

namespace nora::app {
namespace {

struct Options {
  std::vector<std::string> directories;
  std::string key, value, from, into = "center/rules", file;
  bool unverified = false;
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
    std::printf("%s\n", json::text(json::Object{{"kind", "summary"}, {"rules", report.rules}, {"examples", report.examples}, {"equal", report.equal}, {"negatives", report.negatives},
                                                {"failures", report.failures.size()}, {"warnings", report.warnings.size()}, {"limits", report.limits},
                                                {"version", rules.version()}}).c_str());
  } else {
    for (const auto& p : report.failures) std::printf("FAIL %s\n", to_terminal(p.text()).c_str());
    for (const auto& p : report.warnings) std::printf("warn %s\n", to_terminal(p.text()).c_str());
    std::printf("%zu rules, %zu of %zu examples equal, %zu texts that must not match, %zu failures, %zu warnings, version %s\n", report.rules, report.equal, report.examples, report.negatives, report.failures.size(),
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
  auto key = std::string_view(o.key);
  auto value = o.value;
  if (identify::is_mac_key(key)) {  // known by the name of its registrant
    NORA_TRY(const auto makers, identify::MacMakers::load(identify::debian_mac_registry));
    key = identify::mac_maker_key;
    value = makers.of(o.value);
    if (value.empty()) return fail(Code::not_found, "nobody registered the MAC address " + o.value + ", or a program made it up");
    if (!run.json) std::printf("%s: registered by %s\n", to_terminal(o.value).c_str(), to_terminal(value).c_str());
  }
  const auto matches = matcher.identify_all(key, value);
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
        std::printf("  %s  %s\n", i == 0 ? "matched" : "group  ", to_terminal(std::string_view(value).substr(m.slices[i].from, m.slices[i].to - m.slices[i].from)).c_str());
    for (const auto& [name, value] : m.fields) std::printf("  %-22s %s\n", to_terminal(name).c_str(), to_terminal(value).c_str());
  }
  if (!matches.empty()) return 0;
  if (rules.files_of(key).empty()) return fail(Code::not_found, "no rule file has the match key \"" + o.key + "\"", "see nora rules list");
  std::fprintf(stderr, "no rule matches\n");
  return 1;
}

// Takes recog's files over into the operator's own rules: each is checked, bad rules are named and stay without effect, a file that cannot be read
// at all is left out. What stands there from an earlier import is replaced, file by file, whole or not at all.
Result<int> import_recog(Run& run, const Options& o) {
  namespace fs = std::filesystem;
  fs::path from = o.from;
  std::error_code error;
  if (fs::is_directory(from / "xml", error)) from /= "xml";
  NORA_TRY(const auto rules, identify::RuleSet::load({from}));
  if (rules.files().empty()) return fail(Code::not_found, "no rule file is in " + from.string(), "name recog's folder, or the folder of its XML files");
  const auto report = identify::check_rules(rules);
  fs::create_directories(o.into, error);
  if (error) return fail(Code::failed, "cannot make " + o.into + ": " + error.message());
  for (const auto& p : report.failures) run.env.log.warn(p.text());
  std::size_t taken = 0;
  for (const auto& file : rules.files()) {
    if (file.stem.starts_with("nora_")) { run.env.log.warn(file.stem + ".xml: names that begin with nora_ are Nora's own; left out"); continue; }
    NORA_TRY(const auto text, read_file(file.path, identify::max_rule_file_bytes));
    NORA_CHECK(replace_file(fs::path(o.into) / file.path.filename(), text));
    ++taken;
  }
  // Compiled now, so that the next start finds it: own and imported rules together, as `nora serve` loads them.
  NORA_TRY(const auto all, identify::RuleSet::load({fs::path(data_dir()) / "fingerprints", o.into}));
  identify::PrefilterOptions options;
  options.cache = cache_dir();
  std::vector<std::string> messages;
  const auto start = std::chrono::steady_clock::now();
  const auto prefilter = identify::make_prefilter(all, options, messages);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& m : messages) run.env.log.warn(m);
  const std::string engine = prefilter ? (*prefilter)->engine() : "none (" + prefilter.error().what + ")";
  if (run.json)
    std::printf("%s\n", json::text(json::Object{{"files", taken}, {"rules", report.rules}, {"examples", report.examples}, {"equal", report.equal}, {"failures", report.failures.size()},
                                                {"engine", to_clean_utf8(engine)}, {"compile_s", seconds}, {"version", all.version()}}).c_str());
  else
    std::printf("%zu files, %zu rules, %zu of %zu examples equal; with Nora's own %zu rules, compiled in %.1f s for %s\n", taken, report.rules, report.equal, report.examples,
                all.rule_count(), seconds, to_terminal(engine).c_str());
  return 0;
}

Result<int> export_recog(Run&, const Options& o) {
  NORA_TRY(const auto text, read_file(o.file, identify::max_rule_file_bytes));
  NORA_TRY(const auto out, identify::recog_xml(text, o.unverified));
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) return fail(Code::failed, "cannot write to stdout");
  return 0;
}

}  // namespace

void add_rules(CLI::App& root, Run& run) {
  auto* rules = root.add_subcommand("rules", "Fingerprint rules: check their examples, list them, explain a match, import recog, export");
  rules->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, Result<int> (*action)(Run&, const Options&)) {
    auto* command = with_json(rules->add_subcommand(name, help), run);
    auto options = std::make_shared<Options>();
    command->add_option("--rules", options->directories, "directory of recog XML files (repeatable); default: Nora's own fingerprints")->allow_extra_args(false);
    command->callback([&run, options, action] { run.action = [&run, options, action] { return action(run, *options); }; });
    return std::pair(command, options);
  };
  verb("check", "Match every example by its own rule, with its expected fields (exit 1 on a failure)", check)
      .first->footer("--json fields: kind (failure, warning, summary), file, line, what; summary: rules, examples, equal, negatives, failures, warnings, limits, version.");
  auto [list_command, list_options] = verb("list", "One line per rule", list);
  list_command->add_option("--key", list_options->key, "only this match key");
  list_command->footer("--json fields: rule, key, description, pattern, examples, source, verified, line.");
  auto [explain_command, explain_options] = verb("explain", "Which rules take this value, and which part of it decided", explain);
  explain_command->add_option("key", explain_options->key, "match key, for example html_title")->required();
  explain_command->add_option("value", explain_options->value, "the value")->required();
  explain_command->footer("--json fields: rule, file, line, pattern, source, verified, parts (byte ranges, whole match first), fields.");
  const auto options = std::make_shared<Options>();
  auto* import_command = rules->add_subcommand("import", "Take over rules of others");
  import_command->require_subcommand(1);
  auto* recog = with_json(import_command->add_subcommand("recog", "recog's XML files, checked and compiled"), run);
  recog->add_option("folder", options->from, "recog's folder, or the folder of its XML files")->required();
  recog->add_option("--into", options->into, "the operator's rules (nora serve reads them)")->capture_default_str();
  recog->footer("--json fields: files, rules, examples, equal, failures, engine, compile_s, version. recog is under the BSD-2-Clause licence; keep its COPYING with what you pass on.");
  recog->callback([&run, options] { run.action = [&run, options] { return import_recog(run, *options); }; });
  auto* export_command = rules->add_subcommand("export", "One rule file as plain recog XML on stdout, to be offered upstream");
  export_command->add_option("file", options->file, "rule file, for example of a named cluster")->required();
  export_command->add_flag("--unverified", options->unverified, "rules too whose text was not captured from a real unit");
  export_command->callback([&run, options] { run.action = [&run, options] { return export_recog(run, *options); }; });
}

}  // namespace nora::app
