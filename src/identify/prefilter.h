// A faster way to leave out rules that cannot match: all patterns of a file at once, by Hyperscan, or by RE2::Set where Hyperscan is missing
// or loses matches on this machine (Debian's Vectorscan 5.4.9 does on AVX-512). Used by matcher; PCRE2 confirms every candidate.
// Each load compares it with sequential matching on every example, short and long: one lost match and the engine is refused, with a message.
// A Prefilter is immutable and shared by threads; a Worker belongs to one thread.
// Compiled databases are kept below PrefilterOptions::cache, one file per rule file, named by the patterns, the library and the CPU.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "identify/rules.h"

namespace nora::identify {

// Smaller files are searched one by one: that is faster than starting an engine.
inline constexpr std::size_t min_prefiltered_rules = 6;

class Prefilter {
 public:
  class Worker {
   public:
    virtual ~Worker() = default;
    // Rules of one file (index in RuleSet::files()) that may match, ascending. A superset: more is slow, less is a lost device.
    // Mode utf: only rules that may match although they did not in byte mode.
    virtual void candidates(std::size_t file, std::string_view value, Pattern::Mode mode, std::vector<std::uint32_t>& rules) = 0;
    // Byte mode over all files, numbered through in the order of by_preference(). False: not prepared for that (unknown_keys not set, or the engine is RE2).
    virtual bool candidates_of_all(std::string_view value, std::vector<std::uint32_t>& rules) = 0;
  };
  virtual ~Prefilter() = default;
  virtual std::unique_ptr<Worker> worker() const = 0;
  virtual std::string engine() const = 0;  // "Hyperscan 5.4.0 …"
};

struct PrefilterOptions {
  std::filesystem::path cache;      // empty: nothing is kept
  bool unknown_keys = false;        // also one database of all rules, for values whose key is not known
  bool only_cached = false;         // not_found instead of compiling for seconds
  std::string engine = "auto";      // auto | hyperscan | re2
  std::stop_token stop{};           // compiling stops between two files; what is done is kept
};

// messages: one line for each thing that an operator should know (an engine that was refused, a cache that could not be written).
// Errors: not_found (only_cached), failed (no engine passes its test, or stopped).
Result<std::unique_ptr<const Prefilter>> make_prefilter(const RuleSet& rules, const PrefilterOptions& options, std::vector<std::string>& messages);

}  // namespace nora::identify
