// Reader: a bounded cursor over foreign bytes for the reply parsers. A read beyond the end gives zeros and sets `bad`; nothing throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace nora::survey {

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  bool bad() const { return bad_; }
  bool done() const { return at_ >= bytes_.size(); }
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  std::uint8_t u8() {
    if (left() < 1) {
      bad_ = true;
      return 0;
    }
    return bytes_[at_++];
  }
  std::uint16_t u16() {
    std::uint16_t high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    std::uint32_t high = u16();
    return high << 16 | u16();
  }
  ByteView take(std::size_t n) {
    if (left() < n) {
      bad_ = true;
      at_ = bytes_.size();
      return {};
    }
    auto out = bytes_.subspan(at_, n);
    at_ += n;
    return out;
  }
  void skip(std::size_t n) { take(n); }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

// ASCII helpers; foreign text has no locale.
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline std::string lower(std::string_view s) {
  std::string out(s);
  for (auto& c : out) c = lower(c);
  return out;
}
inline bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}
inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; }
inline std::string_view trim(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}
// Does the text begin with this (lower case ASCII) word, ignoring case?
inline bool begins_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && same_word(text.substr(0, word.size()), word);
}
// Position of needle (lower case ASCII) at or after `from`, ignoring case; npos if absent.
inline std::size_t find_word(std::string_view text, std::string_view needle, std::size_t from = 0) {
  if (needle.empty() || text.size() < needle.size()) return std::string_view::npos;
  for (std::size_t i = from; i + needle.size() <= text.size(); ++i) {
    std::size_t k = 0;
    while (k < needle.size() && lower(text[i + k]) == needle[k]) ++k;
    if (k == needle.size()) return i;
  }
  return std::string_view::npos;
}

}  // namespace nora::survey
