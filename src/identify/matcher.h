// Finds the fingerprint for one value of one match key, as recog does: file order is precedence, captures fill fields, {name} is replaced.
// Used by fuse (statements), the command line and the rule checks. A Matcher belongs to one thread; the RuleSet is shared.
// Limits: max_value_bytes of a value are looked at; a pattern that runs into the step limit counts as "no match" and is counted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identify/rules.h"

namespace nora::identify {

inline constexpr std::size_t max_value_bytes = 64 * 1024;

struct Match {
  const RuleFile* file = nullptr;
  const Rule* rule = nullptr;
  Fields fields;                // recog's names, with matched, fingerprint_db and service.protocol
  std::vector<Slice> slices;    // group 0 first: the parts of the value that decided
};

// A faster way to leave out rules that cannot match; sequential search when there is none. An implementation must return a superset, in
// ascending order: the caller confirms with PCRE2 and stops at the first hit. It is accepted only after check_prefilter() found no
// difference on every example and on long inputs: a lost match is a device that is silently not identified.
class Prefilter {
 public:
  virtual ~Prefilter() = default;
  virtual void candidates(std::size_t file, std::string_view value, std::vector<std::uint32_t>& rules) const = 0;
};

class Matcher {
 public:
  explicit Matcher(const RuleSet& rules, const Prefilter* prefilter = nullptr) : rules_(rules), prefilter_(prefilter) {}

  // The first fingerprint of the first file (by preference) that matches. An empty key asks all files.
  std::optional<Match> identify(std::string_view key, std::string_view value);
  std::optional<Match> identify_in(const RuleFile& file, std::string_view value);
  // The first fingerprint of every file for this key: all statements that can be made about the value.
  std::vector<Match> identify_all(std::string_view key, std::string_view value);
  // Does this one rule match, and with which fields.
  std::optional<Match> try_rule(const RuleFile& file, const Rule& rule, std::string_view value);

  struct Counters {
    std::uint64_t values = 0, matches = 0, limits = 0, field_errors = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  std::optional<Match> run(const RuleFile& file, const Rule& rule, std::string_view value, Pattern::Mode mode);
  Fields fields_of(const RuleFile& file, const Rule& rule, std::string_view value, const std::vector<Slice>& slices);

  const RuleSet& rules_;
  const Prefilter* prefilter_;
  Scratch scratch_;
  std::vector<Slice> slices_;
  std::vector<std::uint32_t> candidates_;
  Counters counters_;
};

// One value with a Matcher of its own; for single questions.
std::optional<Match> identify(const RuleSet& rules, std::string_view key, std::string_view value);

}  // namespace nora::identify
