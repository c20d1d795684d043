// Finds the fingerprint for one value of one match key, as recog does: file order is precedence, captures fill fields, {name} is replaced.
// Used by fuse (statements), the command line and the rule checks. A Matcher belongs to one thread; RuleSet and Prefilter are shared.
// Limits: max_value_bytes of a value are looked at; a pattern on which no engine can decide within its limits counts as "no match" and is counted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identify/prefilter.h"
#include "identify/rules.h"

namespace nora::identify {

inline constexpr std::size_t max_value_bytes = 64 * 1024;

struct Match {
  const RuleFile* file = nullptr;
  const Rule* rule = nullptr;
  Fields fields;                // recog's names, with matched, fingerprint_db and service.protocol
  std::vector<Slice> slices;    // group 0 first: the parts of the value that decided
};

// The same without owning anything: views into the rules, the value and the Matcher, good until its next call.
struct Field { std::string_view name, value; };
struct Found {
  const RuleFile* file = nullptr;
  const Rule* rule = nullptr;
  Pattern::Mode mode = Pattern::Mode::bytes;
  std::string_view value;
  std::vector<Slice> slices;
};

class Matcher {
 public:
  explicit Matcher(const RuleSet& rules, const Prefilter* prefilter = nullptr) : rules_(rules) { use(prefilter); }
  // Another way to the same answers; may be called between any two questions.
  void use(const Prefilter* prefilter) { worker_ = prefilter == nullptr ? nullptr : prefilter->worker(); }

  // ---- the fast form ----
  // The first fingerprint of the first file (by preference) that matches; nullptr: none. An empty key asks all files.
  const Found* find(std::string_view key, std::string_view value);
  const Found* find_in(const RuleFile& file, std::string_view value);
  // The fields of what was found last, ascending by name.
  std::span<const Field> fields();

  // ---- the same, as values ----
  std::optional<Match> identify(std::string_view key, std::string_view value) { return owned(find(key, value)); }
  std::optional<Match> identify_in(const RuleFile& file, std::string_view value) { return owned(find_in(file, value)); }
  // The first fingerprint of every file for this key: all statements that can be made about the value.
  std::vector<Match> identify_all(std::string_view key, std::string_view value);
  // Does this one rule match, and with which fields.
  std::optional<Match> try_rule(const RuleFile& file, const Rule& rule, std::string_view value);

  struct Counters {
    std::uint64_t values = 0, matches = 0, limits = 0, field_errors = 0;
  };
  const Counters& counters() const { return counters_; }
  const RuleSet& rules() const { return rules_; }

 private:
  bool run(const RuleFile& file, const Rule& rule, std::string_view value, Pattern::Mode mode);
  bool pass(const RuleFile& file, std::string_view value, Pattern::Mode mode);
  const Found* find_anywhere(std::string_view value);
  std::optional<Match> owned(const Found* found);
  Fields step_by_step(const Found& found);

  const RuleSet& rules_;
  std::unique_ptr<Prefilter::Worker> worker_;
  Scratch scratch_;
  Found found_;
  std::vector<std::uint32_t> candidates_, anywhere_;
  std::vector<Field> fields_;
  std::string made_;       // values that were put together, behind the views of fields_
  Fields slow_;            // the same, for answers made step by step
  Counters counters_;
};

// One value with a Matcher of its own; for single questions.
std::optional<Match> identify(const RuleSet& rules, std::string_view key, std::string_view value);

}  // namespace nora::identify
