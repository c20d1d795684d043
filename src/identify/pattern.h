// One recog pattern: Ruby regular expression text, compiled by PCRE2 with JIT so that it matches what the Ruby reference matches.
// Used by rules (compiles), prefilter (its text for other engines) and matcher (runs). A Pattern may be shared by threads: what is made on
// first use (machine code, the UTF form) is made once, under a lock. A Scratch belongs to one thread.
// Limits: max_pattern_bytes; match_limit steps per attempt, after which RE2, which never backtracks, decides instead.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nora::identify {

inline constexpr std::size_t max_pattern_bytes = 16 * 1024;
// Steps per attempt. Of recog's 7525 examples all but one need at most 3,000; that one, "(.+)*", takes any number.
inline constexpr std::uint32_t match_limit = 100'000;

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

  Pattern();
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  // flags: comma separated recog flags. Errors: bad_input for an unknown flag, a construct that Ruby reads otherwise, or a bad pattern.
  static Result<Pattern> compile(std::string_view ruby, std::string_view flags);
  // On match `slices` holds group 0 and every capture group. limit: neither PCRE2 within its steps nor RE2 can tell.
  Outcome match(std::string_view subject, Mode mode, Scratch& scratch, std::vector<Slice>& slices) const;
  // PCRE2 alone gave up on this subject (byte mode): the pattern backtracks without end.
  bool match_steps_exceeded(std::string_view subject, Scratch& scratch) const;
  int groups() const { return groups_; }

  // For engines beside PCRE2: the text in PCRE2's dialect (^ and $ are line anchors), and its flags.
  const std::string& text() const { return text_; }
  bool dotall() const { return dotall_; }
  bool caseless() const { return caseless_; }
  // A subject may match in UTF mode although it does not in byte mode: some atom stands for one character, not for one byte.
  bool utf_sensitive() const { return !widened_ || *widened_ != text_; }
  const std::optional<std::string>& widened() const { return widened_; }  // widened_for_utf()

 private:
  struct Lazy;
  std::unique_ptr<Lazy> lazy_;
  std::string text_;
  std::uint32_t options_ = 0;
  int groups_ = 0;
  std::optional<std::string> widened_;
  bool dotall_ = false, caseless_ = false, nested_ = false;
};

// Ruby text to PCRE2 text: inline (?m) becomes (?s). Errors: bad_input for \h, {,n}, nested or intersected character classes.
Result<std::string> to_pcre2(std::string_view ruby);
// True when a repeat without bound stands inside a group that is itself repeated without bound, "(a+)*": time may explode.
bool has_nested_repeat(std::string_view pattern);
// A pattern for byte mode that matches at least where this one matches in UTF mode: each atom that stands for one character (., negated class,
// \W …) may take the bytes of one. Equal to the pattern: both modes give the same answer. nullopt: cannot be said (\x, \p, characters beyond ASCII).
std::optional<std::string> widened_for_utf(std::string_view pattern);
bool is_valid_utf8(std::string_view text);

}  // namespace nora::identify
