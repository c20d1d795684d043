// Exposure rules of data/exposures/*.toml: which evidence means which finding, how bad, and what to advise when nothing better is known.
// Used by evaluate, cases (class and severity of a finding), desk and flow. Immutable after load, any thread.
// A rule is loaded completely or the load fails with file and line: a half-read rule could send a wrong notice.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identify/pattern.h"
#include "registry/types.h"

namespace nora::expose {

inline constexpr std::size_t max_rules = 1000;

// One condition on the keys of one reply.
struct Test {
  enum class Op { equals, one_of, contains, matches, present, absent, number_below };
  std::string key;
  Op op = Op::present;
  std::vector<std::string> values;
  identify::Pattern pattern;   // for matches
  double number = 0;           // for number_below
};

// All tests must hold in one reply, and the device must be of the named kind (empty list: any).
struct When {
  std::vector<std::string> protocols;      // registry::Reply::protocol
  std::vector<Test> tests;
  std::vector<std::string> types;          // identity.type, compared by words
  std::vector<std::string> not_types;
  std::vector<std::string> vendors;
  std::optional<bool> known;               // product known or not
};

struct Rule {
  std::string id;                // also the finding class: the ISP approves a ground per class
  registry::Pattern pattern = registry::Pattern::D;
  registry::Severity severity = registry::Severity::medium;
  std::string why;               // English, one sentence: why this severity
  std::string rsit;              // "vulnerable/ddos-amplifier"
  std::string shadowserver;      // report id, or empty
  std::vector<std::string> also_reported_as;  // further report ids with the same meaning (IPv6 variants, other sensors)
  std::string source;            // where proof and severity come from
  std::string advice;            // advice id when nothing more specific fits
  bool vulnerable = false;       // false: reachable. The two words are never mixed
  bool amplifies = false;        // state the factor reply bytes / request bytes
  bool social_impact = false;    // on-site track wherever it is found
  bool from_sighting = false;    // never evaluated from replies: made from a sensor's sighting
  bool import_only = false;      // never asked by a survey (forbidden, opt-in, or no known question): known so that a report about it can be told
  std::vector<std::string> replaces;  // weaker rules that this one silences on the same port
  std::vector<When> when;        // any of them

  std::string title_id() const { return "exposure." + id + ".title"; }
  std::string plain_id() const { return "exposure." + id + ".plain"; }
};

class Rules {
 public:
  static Result<Rules> load(const std::filesystem::path& directory);
  static Result<Rules> parse(std::string_view toml, std::string_view file_name);  // one file, for tests
  const std::vector<Rule>& all() const { return rules_; }
  const Rule* find(std::string_view id) const;
  // The rules that a report id of an imported feed may mean; several when the report covers more than one issue, none when it is not known.
  std::vector<const Rule*> reported_as(std::string_view shadowserver_id) const;
  std::string version() const { return version_; }  // 16 hex digits over all files

 private:
  Status add(std::string_view toml, std::string_view file_name);
  Status finish();
  std::vector<Rule> rules_;
  std::string hashes_, version_;
};

}  // namespace nora::expose
