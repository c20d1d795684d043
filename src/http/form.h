// Parsers for what browsers send: query strings, urlencoded forms, paths, cookies. Foreign bytes: fuzzed (fuzz/form_fuzz.cc). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace nora::http {

inline constexpr std::size_t max_fields = 200;          // names in one query or form
inline constexpr std::size_t max_field_bytes = 16 * 1024;  // one decoded value

// Named values in the order sent. Values are untrusted text (valid UTF-8, no NUL).
class Fields {
 public:
  void add(std::string name, std::string value) { items_.emplace_back(std::move(name), std::move(value)); }
  std::string_view get(std::string_view name) const;            // first value or ""
  bool has(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;    // for checkboxes
  const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }
  bool empty() const { return items_.empty(); }
  bool operator==(const Fields&) const = default;

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

// application/x-www-form-urlencoded (WHATWG URL section 5.1). Errors: bad_input (too many fields, too long, bad %, NUL, not UTF-8).
Result<Fields> parse_form(std::string_view body);
// "/ja/k/7KQ4" decoded. Errors: bad_input (no leading "/", bad %, NUL, control bytes, encoded "/", "." or ".." segment, not UTF-8).
Result<std::string> parse_path(std::string_view raw);
// Value of one cookie in a Cookie header (RFC 6265 section 5.4), or "".
std::string_view cookie_value(std::string_view header, std::string_view name);
std::string encode_form(const Fields& fields);  // the inverse of parse_form, for links and tests

}  // namespace nora::http
