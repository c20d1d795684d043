#include "desk/banner.h"

#include <fmt/core.h>

#include <algorithm>

#include "identify/personal.h"

namespace nora::desk {
namespace {

using http::attr;
using http::Html;
namespace e = http::el;

std::vector<ByteRange> merged(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<ByteRange> out;
  for (const auto& r : ranges) {
    if (r.first >= r.second) continue;
    if (!out.empty() && r.first <= out.back().second) out.back().second = std::max(out.back().second, r.second);
    else if (out.size() < max_marks) out.push_back(r);
  }
  return out;
}

bool mostly_text(std::string_view bytes) {
  std::size_t odd = 0;
  for (unsigned char c : bytes) odd += (c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
  return odd * 10 <= bytes.size();
}

std::string hex_lines(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    auto part = bytes.substr(at, 16);
    std::string hex, plain;
    for (unsigned char c : part) {
      hex += fmt::format("{:02x} ", c);
      plain += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
    }
    out += fmt::format("{:04x}  {:<48} {}\n", at, hex, plain);
  }
  return out;
}

std::string without_cr(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != '\r' || i + 1 >= bytes.size() || bytes[i + 1] != '\n') out += bytes[i];
  return out;
}

}  // namespace

std::vector<ByteRange> matched_parts(identify::Matcher& matcher, const registry::Reply& reply) {
  std::vector<ByteRange> ranges;
  auto raw = as_text(reply.bytes);
  for (const auto& kv : reply.keys) {
    if (kv.value.empty()) continue;
    auto place = raw.find(kv.value);
    if (place == raw.npos) continue;  // the parser changed it (entities, folding): nothing to point at
    auto match = matcher.identify(kv.key, kv.value);
    if (!match || match->slices.empty()) continue;
    // The captures are what was taken out; without captures the whole match decided.
    bool any = false;
    for (std::size_t i = 1; i < match->slices.size(); ++i) {
      const auto& s = match->slices[i];
      if (!s.took_part || s.from >= s.to) continue;
      ranges.emplace_back(place + s.from, place + s.to);
      any = true;
    }
    if (!any) ranges.emplace_back(place + match->slices[0].from, place + match->slices[0].to);
  }
  return merged(std::move(ranges));
}

std::vector<ByteRange> parts_with(const registry::Reply& reply, const std::vector<std::string>& values) {
  std::vector<ByteRange> ranges;
  auto raw = as_text(reply.bytes);
  for (const auto& v : values)
    if (!v.empty())
      if (auto place = raw.find(v); place != raw.npos) ranges.emplace_back(place, place + v.size());
  return merged(std::move(ranges));
}

std::vector<std::string> makers_of(const expose::Knowledge* knowledge) {
  std::vector<std::string> out;
  if (knowledge == nullptr) return out;
  for (const auto& p : knowledge->products())
    if (p.vendor.size() >= 3 && std::find(out.begin(), out.end(), p.vendor) == out.end()) out.push_back(p.vendor);
  return out;
}

Html banner(std::string_view label, const registry::Reply& reply, const std::vector<ByteRange>& marks, const std::vector<std::string>& makers) {
  auto raw = as_text(reply.bytes).substr(0, max_shown_bytes);
  auto region = [&](const Html& content) {
    return e::pre(attr("tabindex", "0"), attr("role", "group"), attr("aria-label", label), content,
                  raw.size() < reply.bytes.size() ? fmt::format("\n… {} / {} B", raw.size(), reply.bytes.size()) : std::string());
  };
  // Read a little further than what is shown: a name that is cut at the end is still a name.
  const auto personal = identify::personal_parts(as_text(reply.bytes).substr(0, max_shown_bytes + identify::max_label_value_bytes), makers);
  if (!mostly_text(raw)) {
    std::string hidden(raw);
    for (const auto& p : personal)
      for (auto i = p.from; i < std::min(p.to, hidden.size()); ++i) hidden[i] = '*';
    return region(http::text(hex_lines(hidden)));
  }
  std::vector<Html> parts;
  // Plain text between two marks, without what is personal. A mark that touches a personal part is not drawn: the mask wins.
  const auto plain = [&](std::size_t from, std::size_t to) {
    for (const auto& p : personal) {
      if (p.to <= from || p.from >= to) continue;
      if (p.from > from) parts.push_back(http::text(without_cr(raw.substr(from, p.from - from))));
      parts.push_back(e::span(attr("class", "masked"), attr("title", std::string(name(p.kind))), std::string(identify::mask)));
      from = std::min(p.to, to);
    }
    if (from < to) parts.push_back(http::text(without_cr(raw.substr(from, to - from))));
  };
  std::size_t at = 0;
  for (auto [from, to] : marks) {
    if (from >= raw.size()) break;
    to = std::min(to, raw.size());
    if (std::any_of(personal.begin(), personal.end(), [&, f = from, t = to](const auto& p) { return p.from < t && f < p.to; })) continue;
    plain(at, from);
    parts.push_back(e::mark(without_cr(raw.substr(from, to - from))));
    at = to;
  }
  plain(at, raw.size());
  return region(http::join(parts));
}

}  // namespace nora::desk
