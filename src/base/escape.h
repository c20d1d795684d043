// One escaping function per sink for untrusted bytes (trust.md T2). Every folder that writes foreign text uses exactly these.
// Untrusted is a type that cannot be streamed or concatenated: it has to pass one of the functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace nora {

class Untrusted {
 public:
  Untrusted() = default;
  explicit Untrusted(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string_view raw() const { return bytes_; }  // for matching and storing only
  bool operator==(const Untrusted&) const = default;

 private:
  std::string bytes_;
};

// Valid UTF-8 in, the same out; every invalid byte becomes U+FFFD; NUL, C0 (but tab and newline), C1 and bidi controls become U+FFFD too.
std::string to_clean_utf8(std::string_view raw);
std::string to_html(std::string_view raw);       // text and double-quoted attributes; cleaned first
std::string to_csv_cell(std::string_view raw);   // RFC 4180 quoting; a leading = + - @ tab CR gets an apostrophe in front
std::string to_terminal(std::string_view raw);   // one line: control bytes, escapes and bidi marks as \xHH or \u{...}
std::string to_log(std::string_view raw);        // as terminal: one record stays one line
std::string to_mail_body(std::string_view raw);  // one line, cleaned, at most 200 code points, no "http" link survives clickable
std::string to_sql_like(std::string_view raw);   // escapes % _ \ for LIKE … ESCAPE '\'
std::string to_url(std::string_view raw);        // percent-encoding of everything but unreserved characters (RFC 3986 section 2.3)
std::string to_json_string(std::string_view raw);  // with the quotes; cleaned UTF-8; < > & and U+2028/9 escaped so that HTML cannot be broken
void append_json_string(std::string& out, std::string_view raw);  // the same, behind what is there

}  // namespace nora
