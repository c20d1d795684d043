#include "survey/probes/icons.h"

#include <algorithm>

#include "base/crypto.h"
#include "survey/probes/hashes.h"
#include "survey/probes/http.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view url_start = "data:image/", coding = ";base64,";
constexpr std::size_t max_media_type = 128;   // bytes between "data:image/" and ";base64,"
constexpr std::size_t max_path_bytes = 256;

bool is_picture(std::string_view body) {
  return body.starts_with("\x89PNG") || body.starts_with("GIF8") || body.starts_with("\xff\xd8\xff") || body.starts_with("BM") ||
         body.starts_with(std::string_view("\0\0\1\0", 4)) || body.starts_with("RIFF");
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

// Is what begins at `at` the value of href in a <link rel="… icon …">? Attributes stand in any order, so both sides of the value are read.
bool names_icon(std::string_view body, std::size_t at, std::size_t end) {
  constexpr std::size_t reach = 512;
  const auto from = at > reach ? at - reach : 0;
  const auto open = body.substr(from, at - from).rfind('<');
  if (open == npos || !begins_word(body.substr(from + open, at - from - open), "<link")) return false;
  auto behind = body.substr(end, reach);
  const auto close = behind.find('>');
  const auto tag = std::string(body.substr(from + open, at - from - open)) + std::string(behind.substr(0, close));
  return find_word(attribute(tag, "rel"), "icon") != npos;
}

// The icon that a page names by a path of its own host. Each product has its own place for it.
std::string icon_path(std::string_view body) {
  for (auto at = find_word(body, "<link"); at != npos; at = find_word(body, "<link", at + 1)) {
    auto tag = body.substr(at, 2 * max_path_bytes);
    tag = tag.substr(0, tag.find('>'));
    if (find_word(attribute(tag, "rel"), "icon") == npos) continue;
    auto href = attribute(tag, "href");
    href = href.substr(0, href.find_first_of("?#"));  // a version or a time is not the product's
    if (href.empty() || href.size() > max_path_bytes || href.find(':') != std::string::npos || href.starts_with("//")) return {};
    return href;
  }
  return {};
}

void replace_inline(Parsed& out, std::string& body) {
  std::string kept;
  std::size_t copied = 0, count = 0;
  const std::string_view page = body;
  bool has_icon = false;
  for (auto at = find_word(page, url_start); at != npos; at = find_word(page, url_start, at)) {
    const auto begin = at;
    at += url_start.size();
    const auto head = page.substr(at, max_media_type);
    const auto mark = find_word(head, coding);
    if (mark == npos || head.substr(0, mark).find_first_of("\"'<> ") != npos) continue;
    const auto from = at + mark + coding.size();
    auto end = from;
    while (end < page.size() && is_base64(page[end])) ++end;
    kept += page.substr(copied, from - copied);
    copied = at = end;
    if (++count > max_inline_pictures || end == page.size()) continue;  // cut at the end of what arrived: another hash than the whole picture's
    const auto picture = from_base64(page.substr(from, end - from));
    if (!picture) continue;
    kept += "sha256-" + to_hex(sha256(*picture));
    if (has_icon || !is_icon(as_text(*picture)) || !names_icon(page, begin, end)) continue;
    has_icon = true;
    add_icon(out, *picture);
  }
  if (copied == 0) return;
  kept += page.substr(copied);
  body = std::move(kept);
}

}  // namespace

bool is_icon(std::string_view body) { return is_picture(body) || find_word(body.substr(0, 256), "<svg") != npos; }

void add_icon(Parsed& out, ByteView icon) {
  out.add("favicon.md5", md5_hex(icon));
  out.add("favicon.mmh3", icon_number(icon));
  out.add("favicon.sha256", to_hex(sha256(icon)));
  out.add("favicon.size", std::to_string(icon.size()));
}

void without_pictures(Parsed& out, HttpResponse& response) {
  const auto* type = response.header("content-type");
  const bool says_so = type && (begins_word(*type, "image/") || begins_word(*type, "video/") || begins_word(*type, "multipart/x-mixed-replace"));
  if (says_so || is_picture(response.body)) {
    response.body.clear();
    out.add("http.live_view", "1");
    return;
  }
  replace_inline(out, response.body);
  if (auto path = icon_path(response.body); !path.empty()) out.add("http.icon_path", path);
}

}  // namespace nora::survey
