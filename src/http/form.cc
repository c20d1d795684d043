#include "http/form.h"

#include <algorithm>

#include "base/escape.h"
#include "base/text.h"

namespace nora::http {
namespace {

Result<std::string> percent_decode(std::string_view raw, bool plus_is_blank) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '+' && plus_is_blank) {
      out += ' ';
    } else if (raw[i] == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Code::bad_input, "a percent sign without two hex digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += raw[i];
    }
  }
  if (out.find('\0') != std::string::npos) return fail(Code::bad_input, "a NUL byte in the address or the form");
  return out;
}

// Valid UTF-8 without surrogates and overlong forms (RFC 3629).
bool is_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    int more = 0;
    std::uint32_t value = 0, least = 0;
    if (c < 0x80) { ++i; continue; }
    if (c >= 0xc2 && c <= 0xdf) { more = 1; value = c & 0x1f; least = 0x80; }
    else if (c >= 0xe0 && c <= 0xef) { more = 2; value = c & 0x0f; least = 0x800; }
    else if (c >= 0xf0 && c <= 0xf4) { more = 3; value = c & 0x07; least = 0x10000; }
    else return false;
    if (i + more >= s.size()) return false;
    for (int k = 1; k <= more; ++k) {
      const auto d = static_cast<unsigned char>(s[i + k]);
      if ((d & 0xc0) != 0x80) return false;
      value = value << 6 | (d & 0x3f);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

std::string_view Fields::get(std::string_view name) const {
  for (const auto& [key, value] : items_)
    if (key == name) return value;
  return {};
}

bool Fields::has(std::string_view name) const {
  return std::any_of(items_.begin(), items_.end(), [&](const auto& item) { return item.first == name; });
}

std::vector<std::string> Fields::all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : items_)
    if (key == name) out.push_back(value);
  return out;
}

Result<Fields> parse_form(std::string_view body) {
  Fields fields;
  std::size_t count = 0;
  while (!body.empty()) {
    const auto end = body.find('&');
    const auto pair = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
    if (pair.empty()) continue;
    if (++count > max_fields) return fail(Code::bad_input, "more than 200 fields");
    const auto equals = pair.find('=');
    NORA_TRY(auto name, percent_decode(pair.substr(0, equals), true));
    NORA_TRY(auto value, percent_decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true));
    if (name.size() > max_field_bytes || value.size() > max_field_bytes) return fail(Code::bad_input, "a field is longer than 16 KiB");
    if (!is_utf8(name) || !is_utf8(value)) return fail(Code::bad_input, "a field is not UTF-8");
    fields.add(std::move(name), std::move(value));
  }
  return fields;
}

Result<std::string> parse_path(std::string_view raw) {
  if (raw.empty() || raw[0] != '/') return fail(Code::bad_input, "the path does not begin with a slash");
  for (std::size_t at = 0; (at = raw.find('%', at)) != std::string_view::npos; ++at)
    if (const auto three = raw.substr(at, 3); three == "%2f" || three == "%2F" || three == "%5c" || three == "%5C")
      return fail(Code::bad_input, "an encoded slash in the path");
  NORA_TRY(auto path, percent_decode(raw, false));
  if (!is_utf8(path)) return fail(Code::bad_input, "the path is not UTF-8");
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return fail(Code::bad_input, "a control byte in the path");
  for (std::size_t from = 1; from <= path.size();) {
    const auto end = std::min(path.find('/', from), path.size());
    const auto segment = std::string_view(path).substr(from, end - from);
    if (segment == "." || segment == "..") return fail(Code::bad_input, "a dot segment in the path");
    from = end + 1;
  }
  return path;
}

std::string_view cookie_value(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const auto end = header.find(';');
    auto pair = header.substr(0, end);
    header = end == std::string_view::npos ? std::string_view{} : header.substr(end + 1);
    while (!pair.empty() && (pair.front() == ' ' || pair.front() == '\t')) pair.remove_prefix(1);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
  }
  return {};
}

std::string encode_form(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields.items()) {
    if (!out.empty()) out += '&';
    out += to_url(name) + "=" + to_url(value);
  }
  return out;
}

}  // namespace nora::http
