#include "expose/rules.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/crypto.h"
#include "base/files.h"
#include "expose/toml_read.h"

namespace nora::expose {

namespace fs = std::filesystem;

namespace {

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 60 && id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

Result<Test> read_test(const TomlTable& t) {
  NORA_CHECK(t.only({"key", "equals", "one_of", "contains", "matches", "present", "number_below"}));
  Test test;
  NORA_TRY(test.key, t.text("key"));
  int ops = 0;
  const auto use = [&](const char* name, Test::Op op) -> Status {
    if (!t.has(name)) return {};
    ++ops;
    test.op = op;
    NORA_TRY(test.values, t.list(name));
    return test.values.empty() ? Status(t.bad("an empty list matches nothing")) : Status();
  };
  NORA_CHECK(use("equals", Test::Op::equals));
  NORA_CHECK(use("one_of", Test::Op::one_of));
  NORA_CHECK(use("contains", Test::Op::contains));
  NORA_CHECK(use("matches", Test::Op::matches));
  if (t.has("present")) {
    ++ops;
    NORA_TRY(const bool present, t.flag_or("present", true));
    test.op = present ? Test::Op::present : Test::Op::absent;
  }
  if (t.has("number_below")) {
    ++ops;
    test.op = Test::Op::number_below;
    const auto v = t.raw()["number_below"].value<double>();
    if (!v) return t.bad("\"number_below\" is not a number");
    test.number = *v;
  }
  if (ops != 1) return t.bad("a test needs exactly one of equals, one_of, contains, matches, present, number_below");
  if (test.op == Test::Op::matches) {
    if (test.values.size() != 1) return t.bad("\"matches\" takes one pattern");
    auto pattern = identify::Pattern::compile(test.values[0], "");
    if (!pattern) return t.bad("bad pattern: " + pattern.error().what);
    test.pattern = std::move(*pattern);
  }
  return test;
}

Result<When> read_when(const TomlTable& t) {
  NORA_CHECK(t.only({"protocol", "tests", "type", "not_type", "vendor", "known"}));
  When when;
  NORA_TRY(when.protocols, t.list("protocol"));
  NORA_TRY(when.types, t.list("type"));
  NORA_TRY(when.not_types, t.list("not_type"));
  NORA_TRY(when.vendors, t.list("vendor"));
  if (t.has("known")) {
    NORA_TRY(const bool known, t.flag_or("known", true));
    when.known = known;
  }
  NORA_TRY(const auto tests, t.tables("tests"));
  for (const auto& one : tests) {
    NORA_TRY(auto test, read_test(one));
    when.tests.push_back(std::move(test));
  }
  if (when.protocols.empty()) return t.bad("\"protocol\" is missing: a condition without it would look at every reply");
  return when;
}

Result<Rule> read_rule(const TomlTable& t) {
  NORA_CHECK(t.only({"id", "pattern", "severity", "why", "rsit", "shadowserver", "also_reported_as", "source", "advice", "vulnerable", "amplifies", "social_impact",
                     "from_sighting", "import_only", "replaces", "when"}));
  Rule rule;
  NORA_TRY(rule.id, t.text("id"));
  if (!is_id(rule.id)) return t.bad("id may hold a-z, 0-9 and - only");
  NORA_TRY(const auto pattern, t.text("pattern"));
  if (pattern.size() != 1 || pattern[0] < 'A' || pattern[0] > 'D') return t.bad("pattern must be A, B, C or D");
  rule.pattern = static_cast<registry::Pattern>(pattern[0]);
  NORA_TRY(const auto severity, t.text("severity"));
  static constexpr std::string_view levels[] = {"info", "low", "medium", "high", "critical"};
  const auto level = std::find(std::begin(levels), std::end(levels), severity);
  if (level == std::end(levels)) return t.bad("severity must be info, low, medium, high or critical");
  rule.severity = static_cast<registry::Severity>(level - std::begin(levels));
  NORA_TRY(rule.why, t.text("why"));
  NORA_TRY(rule.rsit, t.text("rsit"));
  if (std::count(rule.rsit.begin(), rule.rsit.end(), '/') != 1) return t.bad("rsit must be class/type");
  NORA_TRY(rule.shadowserver, t.text_or("shadowserver", ""));
  NORA_TRY(rule.also_reported_as, t.list("also_reported_as"));
  if (rule.shadowserver.empty() && !rule.also_reported_as.empty()) return t.bad("also_reported_as needs \"shadowserver\" first");
  NORA_TRY(rule.source, t.text("source"));
  NORA_TRY(rule.advice, t.text("advice"));
  NORA_TRY(rule.vulnerable, t.flag_or("vulnerable", false));
  NORA_TRY(rule.amplifies, t.flag_or("amplifies", false));
  NORA_TRY(rule.social_impact, t.flag_or("social_impact", false));
  NORA_TRY(rule.from_sighting, t.flag_or("from_sighting", false));
  NORA_TRY(rule.import_only, t.flag_or("import_only", false));
  NORA_TRY(rule.replaces, t.list("replaces"));
  NORA_TRY(const auto whens, t.tables("when"));
  for (const auto& one : whens) {
    NORA_TRY(auto when, read_when(one));
    rule.when.push_back(std::move(when));
  }
  if (rule.from_sighting && rule.import_only) return t.bad("a rule is from_sighting or import_only, not both");
  const bool told = rule.from_sighting || rule.import_only;
  if (rule.when.empty() != told) return t.bad("a rule needs \"when\", or from_sighting = true or import_only = true and no \"when\"");
  if (rule.import_only && rule.amplifies) return t.bad("amplifies needs a measured reply, which an import_only rule never has");
  return rule;
}

}  // namespace

Status Rules::add(std::string_view text, std::string_view file_name) {
  NORA_TRY(const toml::table document, parse_toml(text, file_name));
  const TomlTable root(document, file_name);
  NORA_CHECK(root.only({"rule"}));
  NORA_TRY(const auto tables, root.tables("rule"));
  for (const auto& table : tables) {
    NORA_TRY(auto rule, read_rule(table));
    if (find(rule.id) != nullptr) return table.bad("rule \"" + rule.id + "\" exists twice");
    if (rules_.size() == max_rules) return table.bad("too many rules");
    rules_.push_back(std::move(rule));
  }
  hashes_ += std::string(file_name) + " " + to_hex(sha256(as_bytes(text))) + "\n";
  return {};
}

Status Rules::finish() {
  for (const auto& rule : rules_)
    for (const auto& other : rule.replaces)
      if (find(other) == nullptr) return fail(Code::bad_input, fmt::format("rule \"{}\" replaces \"{}\", which does not exist", rule.id, other));
  version_ = to_hex(sha256(as_bytes(hashes_))).substr(0, 16);
  return {};
}

Result<Rules> Rules::parse(std::string_view toml, std::string_view file_name) {
  Rules rules;
  NORA_CHECK(rules.add(toml, file_name));
  NORA_CHECK(rules.finish());
  return rules;
}

Result<Rules> Rules::load(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".toml") paths.push_back(it->path());
  if (error) return fail(Code::not_found, fmt::format("cannot read exposure rules in {}: {}", directory.string(), error.message()));
  if (paths.empty()) return fail(Code::not_found, fmt::format("no exposure rule file in {}", directory.string()));
  std::sort(paths.begin(), paths.end());
  Rules rules;
  for (const auto& path : paths) {
    NORA_TRY(const auto text, read_file(path, max_data_file_bytes));
    NORA_CHECK(rules.add(text, path.filename().string()));
  }
  NORA_CHECK(rules.finish());
  return rules;
}

const Rule* Rules::find(std::string_view id) const {
  const auto it = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) { return r.id == id; });
  return it == rules_.end() ? nullptr : &*it;
}

std::vector<const Rule*> Rules::reported_as(std::string_view id) const {
  std::vector<const Rule*> out;
  if (id.empty()) return out;
  for (const auto& r : rules_)
    if (r.shadowserver == id || std::find(r.also_reported_as.begin(), r.also_reported_as.end(), id) != r.also_reported_as.end()) out.push_back(&r);
  return out;
}

}  // namespace nora::expose
