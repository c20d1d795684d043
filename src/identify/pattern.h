// One recog pattern: Ruby regular expression text, compiled by PCRE2 with JIT so that it matches what the Ruby reference matches.
// Used by rules (compiles) and matcher (runs). A Pattern is immutable and may be shared; a Scratch belongs to one thread.
// Limits: max_pattern_bytes, match_limit steps per attempt (a pattern with nested repeats gives up instead of hanging).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct pcre2_real_code_8;

namespace nora::identify {

inline constexpr std::size_t max_pattern_bytes = 16 * 1024;
// Steps per attempt. The corpus of recog holds one catastrophic pattern, "(.+)*"; 1e6 steps cost it some milliseconds and no match is lost.
inline constexpr std::uint32_t match_limit = 1'000'000;

// Match data, limits and JIT stack of one thread.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  struct Parts;
  Parts& parts() { return *parts_; }

 private:
  std::unique_ptr<Parts> parts_;
};

struct Slice { std::size_t from = 0, to = 0; bool took_part = false; };  // byte range in the subject

class Pattern {
 public:
  enum class Outcome { match, miss, limit };
  enum class Mode { bytes, utf };  // utf only for subjects that are valid UTF-8

  // flags: comma separated recog flags. Errors: bad_input for an unknown flag, a construct that Ruby reads otherwise, or a bad pattern.
  static Result<Pattern> compile(std::string_view ruby, std::string_view flags);
  // On match `slices` holds group 0 and every capture group.
  Outcome match(std::string_view subject, Mode mode, Scratch& scratch, std::vector<Slice>& slices) const;
  int groups() const { return groups_; }

 private:
  struct Free { void operator()(pcre2_real_code_8* code) const; };
  std::unique_ptr<pcre2_real_code_8, Free> bytes_, utf_;
  int groups_ = 0;
  bool jit_ = false;
};

// Ruby text to PCRE2 text: inline (?m) becomes (?s). Errors: bad_input for \h, {,n}, nested or intersected character classes.
Result<std::string> to_pcre2(std::string_view ruby);
// True when a repeat without bound stands inside a group that is itself repeated without bound, "(a+)*": time may explode.
bool has_nested_repeat(std::string_view pattern);
bool is_valid_utf8(std::string_view text);

}  // namespace nora::identify
