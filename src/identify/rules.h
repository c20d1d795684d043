// Fingerprint rules in the recog XML schema, loaded into memory. Used by matcher, cluster naming, flow and the command line.
// A RuleSet is immutable after load and may be shared by threads. A bad rule is left out and named with file and line; the rest load.
// Nora's own marks on <fingerprint>: nora:id, nora:source, nora:verified ("yes"/"no"), and the child <nora:not>: a text that the rule must not
// match. recog ignores them, so files can be given back.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "identify/pattern.h"

namespace nora::identify {

inline constexpr std::size_t max_rule_file_bytes = 16u << 20;
inline constexpr std::size_t max_rules = 200'000;
inline constexpr double default_certainty = 0.85;  // of the reference (recog-ruby nizer.rb)

// Raise it when matching or fusion changes its results, so that memoised identifications are made again.
inline constexpr std::string_view engine_version = "3";

using Fields = std::map<std::string, std::string>;

struct Param {
  std::string name;
  int pos = 0;          // 0 = constant
  std::string value;    // constant, may hold {name} places
};

struct Example {
  std::string text;
  Fields expected;
  int line = 0;
};

// How one field of an answer is made, worked out at load: the constants stand ready, so that an answer is a list of views.
struct FieldPlan {
  enum class Kind { constant, capture, text };
  struct Piece { std::string literal; int field = -1; bool version = false; };  // a literal, or the value of that field; version: "-" when missing
  std::string name;
  Kind kind = Kind::constant;
  std::string value;                // constant; for a capture that took no part: the value instead (service.protocol), when has_value
  bool has_value = false;
  bool hidden = false;              // _tmp.*: may be used by others, never shown
  int group = 0;
  std::vector<Piece> pieces;        // of a text
};

struct Rule {
  std::string id;       // "<file stem>:<nora:id, else line>"
  int line = 0;
  std::string description;
  std::string source;   // where the fact comes from; empty in recog's own files
  bool verified = false;
  std::string pattern_text, flags;
  Pattern pattern;
  std::vector<Param> params;   // a repeated name keeps its place and takes the last value
  std::vector<Example> examples;
  std::vector<Example> negatives;  // texts that this rule must not match
  std::vector<FieldPlan> plan;     // ascending by name; empty when places refer to places
};

struct RuleFile {
  std::string stem;     // file name without .xml
  std::string key;      // attribute matches, else the stem
  bool has_protocol = false;
  std::string protocol; // lower case
  double preference = 0.10;
  std::filesystem::path path;
  Hash content{};           // of the XML
  std::vector<Rule> rules;  // file order is precedence
};

struct Problem {
  std::string file;
  int line = 0;
  std::string what;
  std::string text() const;  // "file:line: what"
};

class RuleSet {
 public:
  RuleSet() = default;
  // Every *.xml of the directories, in this order. A directory that is missing is an error; a bad file or rule is a problem.
  static Result<RuleSet> load(const std::vector<std::filesystem::path>& directories);
  // One file from memory (fuzzing, previews of a generated rule).
  void add_file(std::string_view stem, std::string_view xml, const std::filesystem::path& path = {});

  const std::vector<RuleFile>& files() const { return files_; }
  const std::vector<Problem>& problems() const { return problems_; }
  // Files for one match key, highest preference first; files of equal preference in load order.
  const std::vector<std::size_t>& files_of(std::string_view key) const;
  const RuleFile* file_by_stem(std::string_view stem) const;
  // All files, highest preference first: the order in which a value without a key asks them.
  const std::vector<std::size_t>& by_preference() const { return by_preference_; }
  std::size_t rule_count() const;
  // Names this exact set of rules and the engine that reads them: 16 hex digits. Memo key of the identification table.
  std::string version() const;

 private:
  struct Read;
  static Read read_file_text(std::string_view stem, std::string_view xml, const std::filesystem::path& path);
  void take(Read&& read);
  void index();
  std::vector<RuleFile> files_;
  std::vector<std::size_t> by_preference_;
  std::vector<Problem> problems_;
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_key_;
  std::map<std::string, Hash> hashes_;  // path or stem -> content
};

}  // namespace nora::identify
