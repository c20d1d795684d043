#include "desk/context.h"

#include <charconv>

namespace nora::desk {

Status Context::disclose(std::string_view what, json::Object detail) const {
  detail["what"] = std::string(what);
  detail["who"] = view.user ? view.user->id : std::string();
  if (!parts.leaf) return fail(Code::refused, "there is no audit log, so nothing is shown", "start nora serve with --key-dir");
  auto done = parts.leaf("desk_view", detail);
  if (!done) return fail(Code::refused, "the audit log cannot be written, so nothing is shown: " + done.error().what, done.error().fix);
  return {};
}

namespace {

std::unexpected<Error> bad(std::string_view field) { return fail(Code::bad_input, "the filter \"" + std::string(field) + "\" cannot be read"); }

bool read_number(std::string_view text, std::int64_t& to) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc{} && end == text.data() + text.size() && to >= 0;
}

}  // namespace

Result<PageKey> page_key(const http::Fields& q) {
  PageKey key;
  const auto sort = q.get("sort");
  if (!sort.empty() && sort != "priority") return bad("sort");
  key.by_priority = sort == "priority";
  const std::string_view text = q.get("after");
  if (text.empty()) return key;
  const auto dot = text.find('.');
  if (key.by_priority != (dot != text.npos)) return bad("after");
  if (key.by_priority && !read_number(text.substr(0, dot), key.after_priority)) return bad("after");
  if (!read_number(key.by_priority ? text.substr(dot + 1) : text, key.after)) return bad("after");
  return key;
}

std::string key_after(const PageKey& key, registry::Id last, std::int64_t last_priority) {
  return key.by_priority ? std::to_string(last_priority) + "." + std::to_string(last) : std::to_string(last);
}

Result<registry::Filter> filter_from(const http::Fields& q) {
  registry::Filter f;
  if (auto text = q.get("ip"); !text.empty()) {
    auto prefix = Prefix::parse(text);
    if (!prefix) return bad("ip");
    f.prefix = *prefix;
  }
  if (auto text = q.get("pattern"); !text.empty()) {
    if (text.size() != 1 || text[0] < 'A' || text[0] > 'D') return bad("pattern");
    f.pattern = static_cast<registry::Pattern>(text[0]);
  }
  if (auto text = q.get("severity"); !text.empty()) {
    auto severity = registry::parse_severity(text);
    if (!severity) return bad("severity");
    f.min_severity = *severity;
  }
  NORA_TRY(const auto key, page_key(q));
  f.by_priority = key.by_priority;
  f.after = key.after;
  f.after_priority = key.after_priority;
  f.cve = q.get("cve");
  f.vendor = q.get("vendor");
  f.product = q.get("product");
  f.type = q.get("type");
  f.rule = q.get("rule");
  f.isp = q.get("isp");
  f.cluster = q.get("cluster");
  f.finding_state = q.get("state");
  f.case_state = q.get("case_state");
  f.text = q.get("q");
  f.unknown_only = q.get("unknown") == "1";
  return f;
}

Result<registry::Id> id_param(const http::Request& request, std::string_view name) {
  auto text = request.param(name);
  registry::Id id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id <= 0) return fail(Code::not_found, "there is no such page");
  return id;
}

}  // namespace nora::desk
