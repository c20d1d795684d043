#include "base/escape.h"

#include <algorithm>
#include <fmt/format.h>

namespace nora {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

// Decodes one code point at text[at]; returns its length, or 0 when the byte does not begin a valid sequence (RFC 3629: no overlong, no surrogate).
std::size_t decode(std::string_view text, std::size_t at, char32_t& out) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    out = first;
    return 1;
  }
  const std::size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5 || at + length > text.size()) return 0;
  char32_t value = first & (0xff >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  if ((length == 3 && value < 0x800) || (length == 4 && value < 0x10000) || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
  out = value;
  return length;
}

bool is_bidi(char32_t c) { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c; }
bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

template <class Good, class Bad>
void walk(std::string_view raw, Good&& good, Bad&& bad) {
  for (std::size_t at = 0; at < raw.size();) {
    char32_t c = 0;
    const std::size_t n = decode(raw, at, c);
    if (n == 0) {
      bad(static_cast<unsigned char>(raw[at]));
      ++at;
    } else {
      good(c, raw.substr(at, n));
      at += n;
    }
  }
}

}  // namespace

std::string to_clean_utf8(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  walk(raw, [&](char32_t c, std::string_view s) {
    if ((is_control(c) && c != '\n' && c != '\t') || is_bidi(c)) out += replacement;
    else out += s;
  }, [&](unsigned char) { out += replacement; });
  return out;
}

std::string to_html(std::string_view raw) {
  std::string out;
  for (char c : to_clean_utf8(raw)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string to_csv_cell(std::string_view raw) {
  std::string clean = to_clean_utf8(raw);
  // A spreadsheet runs cells that begin with these (OWASP CSV injection); the lead byte counts in the raw text too, since a CR was cleaned away.
  const char lead = raw.empty() ? '\0' : raw[0];
  if (lead == '=' || lead == '+' || lead == '-' || lead == '@' || lead == '\t' || lead == '\r' || lead == '\n') clean.insert(0, "'");
  if (clean.find_first_of("\",\n;") == std::string::npos && lead != ' ') return clean;
  std::string out = "\"";
  for (char c : clean) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string to_terminal(std::string_view raw) {
  std::string out;
  walk(raw, [&](char32_t c, std::string_view s) {
    if (c == '\\') out += "\\\\";
    else if (is_control(c)) out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else if (is_bidi(c) || c == 0x2028 || c == 0x2029) out += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c));
    else out += s;
  }, [&](unsigned char b) { out += fmt::format("\\x{:02x}", b); });
  return out;
}

std::string to_log(std::string_view raw) { return to_terminal(raw); }

std::string to_mail_body(std::string_view raw) {
  constexpr int max_code_points = 200;
  std::string clean, out;
  int count = 0;
  walk(to_clean_utf8(raw), [&](char32_t c, std::string_view s) {
    if (count >= max_code_points) return;
    ++count;
    if (c == '\n' || c == '\t') clean += ' ';
    else clean += s;
  }, [](unsigned char) {});
  // Mail programs turn "http://…" and "www." into links; a banner must never become one.
  for (std::size_t i = 0; i < clean.size(); ++i) {
    out += clean[i];
    if (clean[i] == ':' && clean.compare(i + 1, 2, "//") == 0) out += ' ';
    if (clean[i] == '.' && i >= 3 && (clean.compare(i - 3, 3, "www") == 0 || clean.compare(i - 3, 3, "WWW") == 0)) out += ' ';
    if (clean[i] == '@') out += ' ';
  }
  return out;
}

std::string to_sql_like(std::string_view raw) {
  std::string out;
  for (char c : raw) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string to_url(std::string_view raw) {
  std::string out;
  for (unsigned char c : raw) {
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') out += static_cast<char>(c);
    else out += fmt::format("%{:02X}", c);
  }
  return out;
}

std::string to_json_string(std::string_view raw) {
  std::string out = "\"";
  walk(to_clean_utf8(raw), [&](char32_t c, std::string_view s) {
    if (c == '"' || c == '\\') (out += '\\') += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out += s;
  }, [](unsigned char) {});
  return out + "\"";
}

void append_json_string(std::string& out, std::string_view raw) {
  // Most values are plain ASCII and need nothing.
  const bool plain = std::all_of(raw.begin(), raw.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
  });
  if (!plain) { out += to_json_string(raw); return; }
  out += '"';
  out += raw;
  out += '"';
}

}  // namespace nora
