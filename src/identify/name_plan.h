// From the members of a cluster to the rules that its name would become, for a caller that streams the registry by: nothing here holds a device.
// Order of calls: begin; member() for each member; patterns(); then in any order member_again() for each member, other() for each other device that
// a candidate takes; finish(). ask() may be called by several threads, each with its Scratch.
// Limits: max_rule_examples values per key are kept, max_naming_rules rules are made.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "identify/cluster.h"

namespace nora::identify {

// Keys that can carry a name, the telling ones first.
std::span<const std::string_view> nameable_keys();
// A pattern for exactly this text; runs of digits and hex become classes when `loose` (the members differ there). `read`: words (counted from 0,
// ascending) that become groups.
std::string name_pattern(std::string_view text, bool loose, std::span<const std::size_t> read = {});
// A product may be a family: "TL-{1}" takes the first word in which the members differ from each text, "{2}" the second, up to {9}.
// The places a name asks for, ascending; nothing: not a well-formed name.
std::optional<std::vector<std::size_t>> places_of(std::string_view name);
// Which words (runs of ASCII letters and digits) are not the same in all texts; the texts have one mask, so they have the same words.
std::vector<std::size_t> differing_words(std::span<const std::string> texts);
// Shorter than a rule may hold on to (a field that holds a model and nothing else may be shorter), or a text that thousands of different products
// show. `mask`: masked(text).
bool tells_nothing(std::string_view key, std::string_view text, std::string_view mask);

class NamePlan {
 public:
  struct Candidate {
    std::string_view key;
    std::string text;                    // the pattern
    Pattern pattern;
    std::vector<std::string> examples;   // the first is the one shown
    std::vector<std::size_t> read;       // words of the text that the name takes over
    bool compiled = false, dropped = false;   // dropped: a member does not match
    bool held = false, judged = false;        // held: not asked unless nothing else gives a rule; judged: asked, and its rules' examples
    bool open() const { return compiled && !dropped && !held && !judged; }
    std::vector<registry::Id> also;
    registry::Id conflict = 0;           // the first device with another name
    std::string why;                     // it cannot be a rule
    std::size_t decoys = 0;              // counted up by the caller: distinct replies that show the key and are left alone
    std::int64_t cost_ns = 0;            // set by the caller
  };
  // Of one reply or device: which candidates find their key, and which take a value of it; one bit each.
  struct Taken {
    std::uint64_t shows = 0, takes = 0;
    std::uint64_t leaves() const { return shows & ~takes; }
  };

  // `rules` must outlive the plan. Errors: usage (no product, same person twice, not a cluster key).
  static Result<NamePlan> begin(Naming naming, const RuleSet& rules);
  void member(const Sample& sample);
  Status patterns();                     // errors: not_found (no member)
  std::vector<Candidate>& candidates() { return candidates_; }
  const std::vector<Candidate>& candidates() const { return candidates_; }
  void ask(std::string_view key, std::string_view value, Scratch& scratch, std::vector<Slice>& slices, Taken& taken) const;
  Taken ask(const Sample& sample, Scratch& scratch) const;
  void member_again(std::uint64_t takes);
  void other(registry::Id device, const registry::Identity& identity, std::uint64_t takes);
  // A Server header names web software and may take half of the internet: it is held back after the members, and asked by itself when no key
  // before it gave a rule (true). A caller that does not hold back asks everything at once.
  void hold_back();
  bool release();
  // Rules that match every member and no device that already has another name. Errors: refused (no feature tells them apart).
  Result<std::vector<NamedRule>> finish();

 private:
  struct Shown { bool by_all = true; std::string mask; std::set<std::string> values; };
  NamePlan(Naming naming, const RuleSet& rules);
  void judge();
  bool same_name(const registry::Identity& identity) const;
  Naming naming_;
  std::vector<std::size_t> places_;      // of the product, when it is a family
  Pattern family_;                       // what products of the family are called
  const RuleSet* rules_;
  std::vector<Shown> shown_;             // by nameable key
  std::vector<Candidate> candidates_;    // in the order of the keys
  std::size_t members_ = 0;
};

bool is_plain_text(std::string_view text);   // UTF-8 without control characters
// The rule as a file in the recog schema, and the file's name. `places`: the n-th group of the pattern is what {places[n]} of the product stands for.
std::string rule_file_xml(const Naming& naming, std::string_view key, std::string_view pattern, const std::vector<std::string>& examples, std::span<const std::size_t> places = {});
std::string rule_file_name(std::string_view key, std::string_view cluster);

}  // namespace nora::identify
