// HTTP/1.x responses -> match keys: status, header values and order, title, structure of the body, form marks. Used by parse.cc (http,
// https, upnp, ipp, http-relay). Parts: [response]. RFC 9110, RFC 9112. Pure; runs in the jail.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "survey/probes/parsed.h"

namespace nora::survey {

struct HttpResponse {
  int status = 0;
  std::string status_line;
  std::vector<std::pair<std::string, std::string>> headers;  // name as sent, value trimmed
  std::string body;                                          // chunks joined (RFC 9112 section 7.1), cut at what arrived
  const std::string* header(std::string_view name) const;
};
inline constexpr std::size_t max_headers = 100;

// Nothing when the bytes do not begin with "HTTP/".
std::optional<HttpResponse> read_http(ByteView bytes);
// The header part without what varies per answer (Date, Expires, cookies' values, nonces), then the body: what is stored and hashed.
Bytes stable_http(const HttpResponse& response);
// All keys of a response; sets redirect, proxy_suspect, printer_suspect.
void add_http(Parsed& out, const HttpResponse& response, const Item& item);

// Parts of pages; exposed for tests.
std::string html_title(std::string_view body);
std::string attribute(std::string_view tag, std::string_view name);  // of "<tag a=1 b='2'"; empty when absent
std::string decode_entities(std::string_view text);
inline constexpr std::size_t max_text_bytes = 1024;
std::string body_text(std::string_view body);   // what a reader sees, blanks collapsed; firmware and owner clues stand there
std::string body_shape(std::string_view body);  // SHA-256 over the sequence of tag names
std::string without_nonce(std::string_view header_value);

}  // namespace nora::survey
