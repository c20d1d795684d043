#include "expose/version_order.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string>
#include <vector>

namespace nora::expose {
namespace {

// How one maker counts, where it differs from the careful rule for all: dotted numbers, stages (alpha, beta, rc), "build N". A row that makes more pairs
// comparable needs a source; rows that make fewer comparable (second_number) are caution.
struct Rule {
  std::string_view vendor;           // first word, lower case
  bool zero_padded = false;          // "1.05" and "1.5" are the same number; otherwise such a pair is not ordered
  bool letter_after = false;         // "1.02b" is later than "1.02"
  std::string_view second_number{};  // characters that begin a second number, without which two versions may be any of a series
};
constexpr std::array<Rule, 4> rules = {{
    {.vendor = "yamaha", .zero_padded = true},      // Rev.11.01.34: two digits in each part, "8.01" is not a fraction
    {.vendor = "openssl", .letter_after = true},    // 1.0.2k: letters are patch releases (https://openssl-library.org/policies/releasestrat/, before 3.0)
    {.vendor = "netgear", .second_number = "_"},    // V1.0.4.84_10.0.58
    {.vendor = "synology", .second_number = "-"},   // 6.2.3-25426
}};
constexpr Rule default_rule{};

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}
bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return c >= 'a' && c <= 'z'; }

const Rule& rule_of(std::string_view vendor) {
  const auto name = lower(vendor);
  for (const auto& r : rules)
    if (name.starts_with(r.vendor) && (name.size() == r.vendor.size() || !letter(name[r.vendor.size()]))) return r;
  return default_rule;
}

struct Number {
  std::uint64_t value = 0;
  std::size_t width = 0;
  bool padded = false;  // "05"
};
struct Parsed {
  std::vector<Number> numbers;
  char suffix = 0;                  // "1.02b"
  int stage = 0;                    // -3 alpha, -2 beta, -1 rc, 0 released
  std::uint64_t stage_number = 0;
  std::optional<std::vector<Number>> second;  // build, or what the vendor's rule splits off
  bool date = false;                // begins with YYYYMMDD
};

class Reader {
 public:
  Reader(std::string_view text, const Rule& rule) : text_(text), rule_(rule) {}
  std::optional<Parsed> read() {
    skip_prefix();
    Parsed out;
    if (!numbers(out.numbers)) return std::nullopt;
    out.date = out.numbers[0].width == 8 && out.numbers[0].value >= 19'700'101 && out.numbers[0].value < 21'000'000;
    if (!rule_.second_number.empty() && at_ < text_.size() && rule_.second_number.find(text_[at_]) != std::string_view::npos) {
      ++at_;
      out.second.emplace();
      if (!numbers(*out.second)) return std::nullopt;
    }
    if (!stage(out)) return std::nullopt;
    if (!out.second && word("build")) {
      skip(" .:_-");
      out.second.emplace();
      if (!numbers(*out.second)) return std::nullopt;
    }
    skip(" ");
    if (at_ != text_.size()) return std::nullopt;
    return out;
  }

 private:
  void skip(std::string_view any) { while (at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos) ++at_; }
  bool word(std::string_view w) {
    std::size_t p = at_;
    while (p < text_.size() && std::string_view(" ,_-.(").find(text_[p]) != std::string_view::npos) ++p;
    if (text_.substr(p, w.size()) != w || (p + w.size() < text_.size() && letter(text_[p + w.size()]))) return false;
    at_ = p + w.size();
    return true;
  }
  void skip_prefix() {
    skip(" ");
    for (const std::string_view p : {"firmware", "fw"}) if (text_.substr(at_).starts_with(p)) { at_ += p.size(); skip(" .:_-"); break; }
    for (const std::string_view p : {"version", "ver", "revision", "rev", "release", "v"})
      if (text_.substr(at_).starts_with(p)) { at_ += p.size(); skip(" .:_"); break; }
  }
  bool numbers(std::vector<Number>& out) {
    for (;;) {
      Number n;
      const std::size_t from = at_;
      while (at_ < text_.size() && digit(text_[at_])) {
        if (at_ - from >= 18) return false;
        n.value = n.value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
      }
      n.width = at_ - from;
      if (n.width == 0) return false;
      n.padded = n.width > 1 && text_[from] == '0';
      out.push_back(n);
      // A separator counts only when another number follows, and not when the vendor's rule splits there.
      if (at_ + 1 < text_.size() && (text_[at_] == '.' || text_[at_] == '-' || text_[at_] == '_') && digit(text_[at_ + 1]) &&
          rule_.second_number.find(text_[at_]) == std::string_view::npos) { ++at_; continue; }
      return true;
    }
  }
  bool stage(Parsed& out) {
    constexpr std::array<std::pair<std::string_view, int>, 3> words = {{{"alpha", -3}, {"beta", -2}, {"rc", -1}}};
    for (const auto& [w, rank] : words) {
      if (!word(w)) continue;
      out.stage = rank;
      skip(".-_ ");
      const std::size_t from = at_;
      while (at_ < text_.size() && digit(text_[at_]) && at_ - from < 9) out.stage_number = out.stage_number * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
      return true;
    }
    if (at_ < text_.size() && letter(text_[at_])) {
      if (at_ + 1 < text_.size() && text_[at_ + 1] != ' ') return word_follows();
      out.suffix = text_[at_++];
    }
    return true;
  }
  // "1.2build3": a word straight behind the number is read by the caller.
  bool word_follows() const { return text_.substr(at_).starts_with("build"); }

  std::string_view text_;
  const Rule& rule_;
  std::size_t at_ = 0;
};

std::optional<std::weak_ordering> order(const std::vector<Number>& a, const std::vector<Number>& b, const Rule& rule) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const Number x = i < a.size() ? a[i] : Number{}, y = i < b.size() ? b[i] : Number{};
    // "1.05" against "1.5": the same number, or a decimal fraction? Only the vendor's rule can tell.
    if (!rule.zero_padded && x.width != y.width && x.width > 0 && y.width > 0 && (x.padded || y.padded)) return std::nullopt;
    if (x.value != y.value) return x.value <=> y.value;
  }
  return std::weak_ordering::equivalent;
}

std::string squeezed(std::string_view text) {
  std::string out;
  for (const char c : text) if (!std::isspace(static_cast<unsigned char>(c))) out += c;
  return out;
}

}  // namespace

std::optional<std::weak_ordering> compare_versions(std::string_view vendor, std::string_view first, std::string_view second) {
  if (first.empty() || second.empty() || first.size() > max_version_bytes || second.size() > max_version_bytes) return std::nullopt;
  const auto x = lower(first), y = lower(second);
  const Rule& rule = rule_of(vendor);
  const auto a = Reader(x, rule).read(), b = Reader(y, rule).read();
  if (!a || !b) return squeezed(x) == squeezed(y) ? std::optional(std::weak_ordering::equivalent) : std::nullopt;
  if (a->date != b->date) return std::nullopt;
  const auto main = order(a->numbers, b->numbers, rule);
  if (!main || *main != 0) return main;
  if (a->suffix != b->suffix) {
    if (!rule.letter_after) return std::nullopt;
    return a->suffix <=> b->suffix;
  }
  if (a->stage != b->stage) return a->stage <=> b->stage;
  if (a->stage_number != b->stage_number) return a->stage_number <=> b->stage_number;
  if (a->second.has_value() != b->second.has_value()) return std::nullopt;  // 5.4.5 against "5.4.5 build 170124": it may be any build
  if (!a->second) return std::weak_ordering::equivalent;
  return order(*a->second, *b->second, rule);
}

}  // namespace nora::expose
