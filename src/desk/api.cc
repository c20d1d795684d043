// The JSON API of the desk (docs/api.md): NDJSON, one object a row, the filters of the pages, keyset pages by "after". The same rights, the
// same leaves, the same rows. A last line {"next": ID} says that there is more.
#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "cases/metrics.h"
#include "desk/banner.h"
#include "desk/pages.h"
#include "desk/queries.h"
#include "expose/priority.h"
#include "identify/personal.h"
#include "registry/vulns.h"

namespace nora::desk {
namespace {

std::string clean(const std::string& s) { return to_clean_utf8(s); }
// Foreign bytes may stand in any text, also in one that looks like ours: every string of a row is cleaned before it is written.
void clean_all(json::Value& v) {
  if (auto* s = v.if_string()) {
    auto cleaned = to_clean_utf8({s->data(), s->size()});
    *s = boost::json::string(cleaned);
  } else if (auto* o = v.if_object()) {
    for (auto& field : *o) clean_all(field.value());
  } else if (auto* a = v.if_array()) {
    for (auto& item : *a) clean_all(item);
  }
}
std::string line_of(json::Object o) {
  json::Value v(std::move(o));
  clean_all(v);
  return json::text(v) + "\n";
}
json::Value time_or_null(Instant t) { return t.us == 0 ? json::Value(nullptr) : json::Value(boost::json::string(t.text())); }

json::Object identity_json(const registry::Identity& i) {
  json::Object o{{"vendor", clean(i.vendor.value)}, {"product", clean(i.product.value)}, {"firmware", clean(i.firmware.value)}, {"type", clean(i.type.value)}};
  o["confidence"] = i.product.confidence;
  for (auto [name, list] : {std::pair("cpes", &i.cpes), std::pair("components", &i.components)}) {
    json::Array names;
    for (const auto& cpe : *list) names.emplace_back(clean(cpe));
    o[name] = std::move(names);
  }
  return o;
}

// What went into a priority, as stored, with its level; null: not judged yet.
json::Value why_json(std::string_view why) {
  const auto in = expose::priority_input_from(why);
  if (!in) return nullptr;
  auto o = to_json(*in);
  const auto p = expose::priority_of(*in);
  o["level"] = p.level;
  o["factors"] = json::Object{{"exposed", p.exposed}, {"kev", p.exploited}, {"epss", p.likely}, {"support", p.ended}, {"verdict", p.sure}};
  o["words"] = p.words;
  return o;
}

Answer rows(std::string body, const std::string& next) {
  // A key of two parts is a text, an id a number.
  if (!next.empty()) body += next.find('.') == next.npos ? fmt::format("{{\"next\":{}}}\n", next) : fmt::format("{{\"next\":\"{}\"}}\n", next);
  http::Response r;
  r.content_type = "application/x-ndjson";
  r.body = std::move(body);
  return r;
}

Result<std::size_t> limit_of(const Context& c) {
  std::size_t limit = registry::max_page_rows;
  if (auto text = c.query("limit"); !text.empty()) {
    limit = 0;
    for (char ch : text) {
      if (ch < '0' || ch > '9' || limit > registry::max_page_rows) return fail(Code::bad_input, "limit is not a number");
      limit = limit * 10 + static_cast<std::size_t>(ch - '0');
    }
    if (limit == 0 || limit > registry::max_page_rows) return fail(Code::bad_input, "limit must be 1 to 1000");
  }
  return limit;
}

}  // namespace

Answer api_findings(Context& c) {
  NORA_TRY(auto filter, filter_from(c.request.query));
  NORA_TRY(filter.limit, limit_of(c));
  NORA_CHECK(c.disclose("api_findings", {{"query", http::encode_form(c.request.query)}}));
  NORA_TRY(auto found, registry::find_findings(c.registry, filter));
  std::string body;
  const auto makers = makers_of(c.parts.knowledge);
  for (const auto& r : found) {
    const auto& f = r.stored.finding;
    json::Object o{{"id", f.id}, {"device", f.device}, {"case", r.stored.case_id}, {"rule", f.rule}, {"pattern", std::string(1, static_cast<char>(f.pattern))}, {"severity", std::string(registry::name(f.severity))},
                   {"rsit", f.rsit}, {"ip", f.where.ip.text()}, {"port", f.where.port.value}, {"proto", std::string(name(f.where.proto))}, {"at", f.where.at.text()}, {"first_seen", f.first_seen.text()},
                   {"last_seen", f.last_seen.text()}, {"state", f.state}, {"segment", r.stored.segment}, {"seen_segments", r.stored.seen_segments}, {"isp", r.isp}, {"case_state", r.case_state}, {"cluster", r.cluster}};
    json::Array evidence;
    for (const auto& line : f.evidence) evidence.emplace_back(clean(identify::without_names(line, makers)));
    o["evidence"] = std::move(evidence);
    o["identity"] = identity_json(r.identity);
    if (f.amplification) o["amplification"] = *f.amplification;
    o["priority"] = r.stored.priority;
    o["why"] = why_json(r.stored.priority_why);
    body += line_of(std::move(o));
  }
  return rows(std::move(body), found.size() == filter.limit ? key_after({filter.by_priority, 0, 0}, found.back().stored.finding.id, found.back().stored.priority) : "");
}

Answer api_devices(Context& c) {
  NORA_TRY(auto filter, filter_from(c.request.query));
  NORA_TRY(filter.limit, limit_of(c));
  NORA_CHECK(c.disclose("api_devices", {{"query", http::encode_form(c.request.query)}}));
  NORA_TRY(auto found, registry::find_devices(c.registry, filter));
  std::string body;
  for (const auto& r : found) {
    json::Object o{{"id", r.device.id}, {"cluster", r.device.cluster}, {"isp", r.isp}, {"open_findings", r.open_findings}, {"first_seen", r.device.first_seen.text()}, {"last_seen", r.device.last_seen.text()}};
    o["identity"] = identity_json(r.device.identity);
    json::Array places;
    for (const auto& p : r.endpoints)
      places.push_back(json::Object{{"ip", p.ip.text()}, {"port", p.port.value}, {"proto", std::string(name(p.proto))}, {"from", p.from.text()}, {"to", p.to.text()}});
    o["endpoints"] = std::move(places);
    o["priority"] = r.priority;
    body += line_of(std::move(o));
  }
  return rows(std::move(body), found.size() == filter.limit ? key_after({filter.by_priority, 0, 0}, found.back().device.id, found.back().priority) : "");
}

Answer api_cases(Context& c) {
  NORA_TRY(const auto key, page_key(c.request.query));
  CaseFilter filter;
  filter.isp = c.query("isp");
  filter.track = c.query("track");
  filter.state = c.query("state");
  filter.by_priority = key.by_priority;
  filter.after = key.after;
  filter.after_priority = key.after_priority;
  NORA_TRY(filter.limit, limit_of(c));
  if (auto stage = c.query("stage"); !stage.empty()) {
    if (std::find(std::begin(funnel_steps), std::end(funnel_steps), stage) == std::end(funnel_steps)) return fail(Code::bad_input, "the filter \"stage\" cannot be read");
    NORA_TRY(filter.ids, cases::funnel_cases(c.registry, stage));
  }
  NORA_CHECK(c.disclose("api_cases", {{"query", http::encode_form(c.request.query)}}));
  NORA_TRY(auto found, find_cases(c.registry, filter));
  std::string body;
  for (const auto& r : found) {
    json::Object o{{"id", r.id}, {"device", r.device}, {"isp", r.isp}, {"track", r.track}, {"state", r.state}, {"root_cause", clean(r.root_cause)}, {"findings", r.findings}, {"attacked", r.attacked}, {"line_known", r.line_known}};
    o["state_at"] = time_or_null(r.state_at);
    o["first_seen"] = time_or_null(r.first_seen);
    o["notified_at"] = time_or_null(r.notified_at);
    o["opened_at"] = time_or_null(r.opened_at);
    o["checked_at"] = time_or_null(r.checked_at);
    o["fixed_at"] = time_or_null(r.fixed_at);
    o["ip"] = r.ip ? json::Value(boost::json::string(r.ip->text())) : json::Value(nullptr);
    o["identity"] = identity_json(r.identity);
    o["priority"] = r.priority;
    body += line_of(std::move(o));
  }
  return rows(std::move(body), found.size() == filter.limit ? key_after(key, found.back().id, found.back().priority) : "");
}

Answer api_sightings(Context& c) {
  NORA_CHECK(c.disclose("api_sightings"));
  NORA_TRY(auto found, c.registry.sightings(registry::max_page_rows));
  NORA_TRY(auto joins, c.registry.sighting_joins());
  std::string body;
  for (const auto& s : found) {
    json::Object o{{"id", s.id}, {"ip", s.ip.text()}, {"kind", s.kind}, {"verdict", s.verdict}, {"sensor", s.sensor}, {"first", s.first.text()}, {"last", s.last.text()}, {"packets", s.packets}, {"destinations", s.destinations}};
    for (const auto& j : joins) {
      if (j.sighting != s.id) continue;
      o["device"] = j.device;
      o["because"] = j.because;
      o["confidence"] = j.confidence;
    }
    body += line_of(std::move(o));
  }
  return rows(std::move(body), {});
}

Answer api_clusters(Context& c) {
  NORA_CHECK(c.disclose("api_clusters"));
  NORA_TRY(auto counts, registry::count_clusters(c.registry));
  NORA_TRY(auto names, cluster_names(c.registry));
  std::string body;
  for (const auto& k : counts) {
    json::Object o{{"cluster", k.label}, {"devices", k.count}};
    json::Array proposals;
    for (const auto& n : names)
      if (n.cluster == k.label)
        proposals.push_back(json::Object{{"id", n.id}, {"vendor", clean(n.vendor)}, {"product", clean(n.product)}, {"type", clean(n.type)}, {"proposed_by", n.proposed_by}, {"accepted_by", n.accepted_by}, {"undone", n.undone_at.us != 0}});
    o["names"] = std::move(proposals);
    body += line_of(std::move(o));
  }
  return rows(std::move(body), {});
}

// What public sources say about one device (all rows, most urgent first), or which devices one vulnerability concerns (by device, in pages).
Answer api_vulns(Context& c) {
  NORA_TRY(const auto key, page_key(c.request.query));
  NORA_TRY(const auto limit, limit_of(c));
  const std::string cve(c.query("cve"));
  registry::Id device = 0;
  if (auto text = c.query("device"); !text.empty()) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), device);
    if (error != std::errc{} || end != text.data() + text.size() || device <= 0) return fail(Code::bad_input, "the filter \"device\" cannot be read");
  }
  if (cve.empty() == (device == 0)) return fail(Code::bad_input, "say what to look at", "exactly one of device and cve");
  NORA_CHECK(c.disclose("api_vulns", {{"query", http::encode_form(c.request.query)}}));
  registry::Vulns vulns(c.registry.db());
  NORA_TRY(const auto found, device != 0 ? vulns.of_device(device) : vulns.of_cve(cve, key.after, limit));
  std::string body;
  for (const auto& r : found)
    body += line_of({{"device", r.device}, {"cve", r.cve}, {"verdict", expose::name(static_cast<expose::Verdict>(r.verdict))}, {"source", r.source}, {"reason", r.reason}, {"priority", r.priority},
                     {"since", r.at.text()}, {"why", why_json(r.why)}});
  return rows(std::move(body), device == 0 && found.size() == limit ? key_after({}, found.back().device, 0) : "");
}

}  // namespace nora::desk
