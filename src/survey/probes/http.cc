#include "survey/probes/http.h"

#include <algorithm>

#include "base/crypto.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::size_t max_tags = 4096;
constexpr std::size_t max_title_bytes = 512;

// One line from `at`, without its CRLF or LF; moves `at` behind it.
std::string_view line(std::string_view text, std::size_t& at) {
  auto end = text.find('\n', at);
  auto stop = end == npos ? text.size() : end;
  auto out = text.substr(at, stop - at);
  at = end == npos ? text.size() : end + 1;
  if (!out.empty() && out.back() == '\r') out.remove_suffix(1);
  return out;
}

std::string unchunk(std::string_view body) {
  std::string out;
  std::size_t at = 0;
  while (at < body.size()) {
    auto size_line = line(body, at);
    std::size_t size = 0, digits = 0;
    for (char c : size_line) {
      int value = c >= '0' && c <= '9' ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
      if (value < 0 || ++digits > 6) break;
      size = size * 16 + static_cast<std::size_t>(value);
    }
    if (digits == 0 || size == 0) break;
    out += body.substr(at, size);
    at = std::min(body.size(), at + size);
    line(body, at);
  }
  return out;
}

// Headers whose values differ between two answers of the same device.
bool varies(std::string_view name) {
  for (auto word : {"date", "expires", "age", "x-request-id", "etag", "last-modified"})
    if (same_word(name, word)) return true;
  return false;
}

void put_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x110000) {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// Where a redirect leads, if it stays on this host, port and scheme; "" otherwise.
std::string same_host_path(std::string_view location, const Item& item) {
  auto clean = [](std::string_view path) {
    if (path.empty() || path.front() != '/' || path.size() > 256) return std::string();
    if (path.size() > 1 && path[1] == '/') return std::string();  // "//host": another host
    for (char c : path)
      if (c <= ' ' || c > '~' || c == '?') return std::string();  // a query may be an order: it is not followed
    return std::string(path.substr(0, path.find('#')));
  };
  if (!location.empty() && location.front() == '/') return clean(location);
  std::string scheme = item.probe == "https" ? "https://" : "http://";
  if (!begins_word(location, scheme)) return {};
  auto rest = location.substr(scheme.size());
  auto slash = rest.find('/');
  auto authority = rest.substr(0, slash);
  std::string host = item.ip.find(':') == std::string::npos ? item.ip : "[" + item.ip + "]";
  std::uint16_t standard = item.probe == "https" ? 443 : 80;
  bool same = authority == host + ":" + std::to_string(item.port) || (item.port == standard && authority == host);
  if (!same) return {};
  return slash == npos ? "/" : clean(rest.substr(slash));
}

}  // namespace

std::string attribute(std::string_view tag, std::string_view name) {
  std::string wanted = std::string(name) + "=";
  for (auto at = find_word(tag, wanted); at != npos; at = find_word(tag, wanted, at + 1)) {
    if (at > 0 && !is_blank(tag[at - 1])) continue;
    auto rest = tag.substr(at + wanted.size());
    if (rest.empty()) return {};
    if (rest.front() == '"' || rest.front() == '\'') {
      auto end = rest.find(rest.front(), 1);
      return std::string(rest.substr(1, end == npos ? npos : end - 1));
    }
    return std::string(rest.substr(0, rest.find_first_of(" \t\r\n>")));
  }
  return {};
}

const std::string* HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same_word(key, name)) return &value;
  return nullptr;
}

std::optional<HttpResponse> read_http(ByteView bytes) {
  auto text = as_text(bytes);
  if (!text.starts_with("HTTP/")) return std::nullopt;
  HttpResponse out;
  std::size_t at = 0;
  out.status_line = std::string(line(text, at).substr(0, 256));
  if (auto blank = out.status_line.find(' '); blank != std::string::npos)
    for (std::size_t i = blank + 1; i < out.status_line.size() && i < blank + 4; ++i)
      if (out.status_line[i] >= '0' && out.status_line[i] <= '9') out.status = out.status * 10 + (out.status_line[i] - '0');
  while (at < text.size()) {
    auto row = line(text, at);
    if (row.empty()) break;
    auto colon = row.find(':');
    if (colon == npos || out.headers.size() >= max_headers) continue;
    out.headers.emplace_back(std::string(trim(row.substr(0, colon)).substr(0, 128)),
                             std::string(trim(row.substr(colon + 1)).substr(0, max_value_bytes)));
  }
  auto body = text.substr(std::min(at, text.size()));
  const auto* coding = out.header("transfer-encoding");
  out.body = coding && find_word(*coding, "chunked") != npos ? unchunk(body) : std::string(body);
  return out;
}

std::string without_nonce(std::string_view value) {
  std::string out(value);
  for (std::string_view word : {"nonce=\"", "opaque=\""}) {
    auto at = find_word(out, word);
    if (at == npos) continue;
    auto from = at + word.size(), end = out.find('"', from);
    out.erase(from, (end == std::string::npos ? out.size() : end) - from);
  }
  return out;
}

Bytes stable_http(const HttpResponse& response) {
  std::string out = response.status_line + "\r\n";
  for (const auto& [name, value] : response.headers) {
    if (varies(name)) continue;
    out += name + ": ";
    if (same_word(name, "set-cookie")) out += value.substr(0, value.find('='));
    else if (same_word(name, "www-authenticate")) out += without_nonce(value);
    else out += value;
    out += "\r\n";
  }
  out += "\r\n" + response.body;
  return to_bytes(out);
}

std::string decode_entities(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto end = text[i] == '&' ? text.find(';', i) : npos;
    if (end == npos || end - i > 10) {
      out += text[i];
      continue;
    }
    auto name = text.substr(i + 1, end - i - 1);
    if (name == "amp") out += '&';
    else if (name == "lt") out += '<';
    else if (name == "gt") out += '>';
    else if (name == "quot") out += '"';
    else if (name == "apos") out += '\'';
    else if (name == "nbsp") out += ' ';
    else if (name == "copy") put_utf8(out, 0xa9);
    else if (name == "reg") put_utf8(out, 0xae);
    else if (name.size() > 1 && name[0] == '#') {
      bool hex = lower(name[1]) == 'x';
      std::uint32_t value = 0;
      bool good = name.size() > (hex ? 2u : 1u);
      for (char c : name.substr(hex ? 2 : 1)) {
        int digit = c >= '0' && c <= '9' ? c - '0' : hex && lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
        if (digit < 0 || value > 0x10ffff) {
          good = false;
          break;
        }
        value = value * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit);
      }
      if (good && value >= ' ' && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff)) put_utf8(out, value);
    } else {
      out += text.substr(i, end - i + 1);
    }
    i = end;
  }
  return out;
}

std::string html_title(std::string_view body) {
  auto open = find_word(body, "<title");
  if (open == npos) return {};
  auto from = body.find('>', open);
  if (from == npos) return {};
  auto end = find_word(body, "</title", from);
  auto raw = body.substr(from + 1, end == npos ? max_title_bytes : std::min(end - from - 1, max_title_bytes));
  std::string one_line;
  for (char c : trim(raw)) {
    if (is_blank(c)) {
      if (!one_line.empty() && one_line.back() != ' ') one_line += ' ';
    } else {
      one_line += c;
    }
  }
  return std::string(trim(decode_entities(one_line)));
}

std::string body_shape(std::string_view body) {
  std::string path;
  std::size_t tags = 0;
  for (std::size_t i = 0; i + 1 < body.size() && tags < max_tags; ++i) {
    if (body[i] != '<') continue;
    std::size_t k = i + 1;
    if (body[k] == '/') ++k;
    auto start = k;
    while (k < body.size() && k - start < 24 &&
           ((lower(body[k]) >= 'a' && lower(body[k]) <= 'z') || (k > start && body[k] >= '0' && body[k] <= '9')))
      ++k;
    if (k == start) continue;
    path += body[i + 1] == '/' ? "/" : "";
    path += lower(body.substr(start, k - start)) + " ";
    ++tags;
    i = k - 1;
  }
  if (path.empty()) return {};
  return to_hex(sha256(as_bytes(path)));
}

std::string body_text(std::string_view body) {
  std::string raw;
  std::size_t i = 0;
  while (i < body.size() && raw.size() < 4 * max_text_bytes) {
    if (body[i] != '<') {
      if (!is_blank(body[i])) raw += body[i];
      else if (!raw.empty() && raw.back() != ' ') raw += ' ';
      ++i;
      continue;
    }
    if (!raw.empty() && raw.back() != ' ') raw += ' ';
    const auto tag = body.substr(i, 8);
    auto end = npos;
    if (tag.starts_with("<!--")) {
      end = body.find("-->", i);
    } else {
      auto from = i;
      for (std::string_view hidden : {"script", "style", "title"})
        if (find_word(tag, "<" + std::string(hidden)) == 0) from = find_word(body, "</" + std::string(hidden), i);
      if (from == npos) break;  // never closed: nothing behind it is shown
      end = body.find('>', from);
    }
    if (end == npos) break;
    i = body.find('>', end) + 1;
  }
  std::string text(trim(decode_entities(raw)));
  if (text.size() > max_text_bytes) {
    std::size_t cut = max_text_bytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
    text.resize(cut);
  }
  return text;
}

void add_http(Parsed& out, const HttpResponse& r, const Item& item) {
  out.add("http.status", std::to_string(r.status));
  std::string order;
  for (const auto& [name, value] : r.headers) order += (order.empty() ? "" : ",") + lower(name);
  out.add("http.header_order", order);
  auto put = [&](std::string_view key, std::string_view header) {
    if (const auto* value = r.header(header)) out.add(key, *value);
  };
  put("http_header.server", "server");
  if (const auto* auth = r.header("www-authenticate")) {
    out.add("http_header.wwwauth", without_nonce(*auth));
    if (auto realm = attribute(" " + *auth, "realm"); !realm.empty()) out.add("http.realm", realm);
  }
  if (const auto* cookie = r.header("set-cookie")) out.add("http_header.cookie", cookie->substr(0, cookie->find('=')) + "=");
  put("http_header.via", "via");
  put("http_header.x-powered-by", "x-powered-by");
  put("http.location", "location");
  if (auto title = html_title(r.body); !title.empty()) out.add("html_title", title);
  if (!r.body.empty()) out.add("http.body_hash", to_hex(sha256(as_bytes(r.body))));
  if (auto shape = body_shape(r.body); !shape.empty()) out.add("http.body_shape", shape);
  if (auto text = body_text(r.body); !text.empty()) out.add("http.body_text", text);
  bool form = false, password = false;
  std::string generator;
  std::size_t tags = 0;
  for (auto at = r.body.find('<'); at != std::string::npos && tags < max_tags; at = r.body.find('<', at + 1), ++tags) {
    auto tag = std::string_view(r.body).substr(at, 512);  // a bounded look ahead: 64 KiB of "<" must not cost 64 Ki searches of 64 KiB
    tag = tag.substr(0, tag.find('>'));
    if (begins_word(tag, "<form")) form = true;
    else if (begins_word(tag, "<input") && same_word(attribute(tag, "type"), "password")) password = true;
    else if (generator.empty() && begins_word(tag, "<meta") && same_word(attribute(tag, "name"), "generator"))
      generator = decode_entities(attribute(tag, "content"));
  }
  if (form) out.add("http.form", "1");
  if (password) out.add("http.password_field", "1");
  if (!generator.empty()) out.add("http.generator", generator);
  if (r.status >= 300 && r.status < 400)
    if (const auto* location = r.header("location")) out.redirect = same_host_path(*location, item);
  const auto* server = r.header("server");
  std::string words = server ? lower(*server) : "";
  bool names_proxy = words.find("squid") != npos || words.find("tinyproxy") != npos || words.find("privoxy") != npos || r.header("via") ||
                     r.header("proxy-agent") || r.header("x-squid-error");
  out.proxy_suspect = names_proxy || r.status == 407;
  out.printer_suspect = words.find("cups") != npos || words.find("ipp/") != npos;
}

}  // namespace nora::survey
