// The rows behind every number: findings, devices, cases, attack sources. One filter form, keyset pages, CSV of the same rows.
#include <fmt/core.h>

#include <algorithm>

#include "cases/metrics.h"
#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"
#include "desk/vulns.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;

constexpr std::size_t page_rows = 100;
constexpr std::size_t export_rows_max = 100'000;  // one CSV; more is for the API, which is read page by page

bool wants_csv(const Context& c) { return c.query("format") == "csv"; }

Html filter_form(const Context& c, std::string_view path, const std::vector<Html>& fields) {
  return e::form(cls("row filter"), attr("method", "get"), attr("action", c.view.url(path)), attr("role", "search"),
                 attr("aria-label", c.t("desk.filter")), fields, button(c.t("desk.filter.apply"), "q"));
}
Html filter_text(const Context& c, std::string_view name) {
  return field(name, c.t(fmt::format("desk.filter.{}", name)), text_input(name, c.query(name)));
}
Html filter_pattern(const Context& c) {
  std::vector<std::pair<std::string, std::string>> options{{"", c.t("desk.all")}};
  for (char p : {'A', 'B', 'C', 'D'}) options.emplace_back(std::string(1, p), pattern_words(c.view, static_cast<registry::Pattern>(p)));
  return field("pattern", c.t("desk.filter.pattern"), choice("pattern", options, c.query("pattern")));
}
Html filter_isp(const Context& c) {
  std::vector<std::pair<std::string, std::string>> options{{"", c.t("desk.all")}};
  for (const auto& [id, name] : c.parts.isp_names) options.emplace_back(id, name);
  return field("isp", c.t("desk.filter.isp"), choice("isp", options, c.query("isp")));
}

Html filter_sort(const Context& c) {
  return field("sort", c.t("desk.filter.sort"), choice("sort", {{"", c.t("desk.sort.id")}, {"priority", c.t("desk.sort.priority")}}, c.query("sort")));
}

// Links under a table: next page by key, the same rows as CSV and through the API.
Html pager(const Context& c, std::string_view path, const std::string& last, bool more) {
  std::vector<Html> links;
  if (!c.query("after").empty()) links.push_back(e::a(href(c.view.url(path) + query_with(c.request.query, "after", "")), c.t("desk.first_page")));
  if (more) links.push_back(e::a(cls("btn q sm"), attr("rel", "next"), href(c.view.url(path) + query_with(c.request.query, "after", last)), c.t("desk.next_page")));
  http::Fields without;
  for (const auto& [n, v] : c.request.query.items()) if (n != "after") without.add(n, v);
  links.push_back(e::a(href(c.view.url(path) + query_with(without, "format", "csv")), "CSV"));
  links.push_back(e::a(href(fmt::format("/api{}{}", path, query_with(without, "format", ""))), "JSON"));
  return e::p(cls("row"), links);
}

std::string isp_name(const Context& c, const std::string& isp) {
  if (isp.empty()) return "–";
  auto at = c.parts.isp_names.find(isp);
  return at == c.parts.isp_names.end() ? isp : at->second;
}
std::string device_words(const Context& c, const registry::Identity& identity) {
  auto words = identity.display();
  return words.empty() ? c.t("desk.unknown_device") : words;
}

std::string csv_line(std::initializer_list<std::string_view> cells) {
  std::string line;
  for (auto cell : cells) line += (line.empty() ? "" : ",") + to_csv_cell(cell);
  return line + "\r\n";
}

// Walks all pages of a query until the end or the limit.
template <class Fetch, class Line>
Result<std::string> all_rows(Fetch fetch, Line line) {
  std::string body;
  registry::Id after = 0;
  for (std::size_t done = 0; done < export_rows_max;) {
    NORA_TRY(auto rows, fetch(after));
    if (rows.empty()) break;
    for (const auto& r : rows) body += line(r, after);
    done += rows.size();
    if (rows.size() < registry::max_page_rows) break;
  }
  return body;
}

}  // namespace

Answer findings_page(Context& c) {
  NORA_TRY(auto filter, filter_from(c.request.query));
  const PageKey key{filter.by_priority, filter.after, filter.after_priority};
  NORA_CHECK(c.disclose(wants_csv(c) ? "findings_csv" : "findings", {{"query", http::encode_form(c.request.query)}}));
  if (wants_csv(c)) {
    filter.limit = registry::max_page_rows;
    NORA_TRY(auto body, all_rows([&](registry::Id after) { filter.after = after; return registry::find_findings(c.registry, filter); },
                                 [&](const registry::FindingRow& r, registry::Id& after) {
                                   const auto& f = r.stored.finding;
                                   after = f.id;
                                   filter.after_priority = r.stored.priority;
                                   return csv_line({std::to_string(f.id), std::string(1, static_cast<char>(f.pattern)), f.rule, registry::name(f.severity), f.rsit,
                                                    f.where.ip.text(), std::to_string(f.where.port.value), name(f.where.proto), f.first_seen.text(),
                                                    f.last_seen.text(), f.state, r.identity.vendor.value, r.identity.product.value, r.identity.type.value,
                                                    r.cluster, r.isp, r.case_state, std::to_string(r.stored.priority)});
                                 }));
    return http::Response::csv(csv_line({"id", "pattern", "rule", "severity", "rsit", "ip", "port", "proto", "first_seen", "last_seen", "state", "vendor",
                                         "product", "type", "cluster", "isp", "case_state", "priority"}) + body, "findings.csv");
  }
  filter.limit = page_rows + 1;
  NORA_TRY(auto rows, registry::find_findings(c.registry, filter));
  const bool more = rows.size() > page_rows;
  if (more) rows.pop_back();
  Table t{c.t("desk.findings.title"),
          {c.t("desk.col.finding"), c.t("desk.col.pattern"), c.t("desk.col.severity"), c.t("desk.col.address"), c.t("desk.col.device"), c.t("desk.col.isp"),
           c.t("desk.col.last_seen"), c.t("desk.col.state"), c.t("desk.col.priority"), c.t("desk.col.case")},
          {}};
  for (const auto& r : rows) {
    const auto& f = r.stored.finding;
    t.rows.push_back({http::text(rule_title(c.view, f.rule)), http::text(std::string(1, static_cast<char>(f.pattern))), http::text(severity_word(c.view, f.severity)),
                      e::a(cls("mono"), href(c.view.url(host_path(f.where.ip))), fmt::format("{}:{}/{}", f.where.ip.text(), f.where.port.value, name(f.where.proto))),
                      f.device == 0 ? http::text("–") : link(c.view, fmt::format("/device/{}", f.device), device_words(c, r.identity)),
                      http::text(isp_name(c, r.isp)), when(c.view, f.last_seen), finding_pill(c.view, f.state), urgency_pill(c.view, r.stored.priority),
                      r.stored.case_id == 0 ? http::text("–") : link(c.view, fmt::format("/case/{}", r.stored.case_id), fmt::format("#{}", r.stored.case_id))});
  }
  auto form = filter_form(c, "/findings", {filter_pattern(c), filter_isp(c), filter_text(c, "ip"), filter_text(c, "q"),
                                           field("state", c.t("desk.filter.state"), choice("state", {{"", c.t("desk.all")}, {"open", c.t("desk.finding.open")}, {"fixed", c.t("desk.finding.fixed")}, {"gone", c.t("desk.finding.gone")}}, c.query("state"))),
                                           filter_text(c, "cve"), filter_sort(c)});
  return http::Response::page(page(c.view, c.t("desk.findings.title"), "findings",
      http::join(e::h1(c.t("desk.findings.title")), e::p(link(c.view, "/sightings", c.t("desk.sightings.title"))), form, table_or(t, c.t("desk.no_rows")),
                 pager(c, "/findings", rows.empty() ? "" : key_after(key, rows.back().stored.finding.id, rows.back().stored.priority), more), pattern_legend(c.view))));
}

Answer devices_page(Context& c) {
  NORA_TRY(auto filter, filter_from(c.request.query));
  const PageKey key{filter.by_priority, filter.after, filter.after_priority};
  NORA_CHECK(c.disclose(wants_csv(c) ? "devices_csv" : "devices", {{"query", http::encode_form(c.request.query)}}));
  auto places = [](const registry::DeviceRow& r) {
    std::string text;
    for (const auto& p : r.endpoints) text += fmt::format("{}{}:{}/{}", text.empty() ? "" : " ", p.ip.text(), p.port.value, name(p.proto));
    return text;
  };
  if (wants_csv(c)) {
    filter.limit = registry::max_page_rows;
    NORA_TRY(auto body, all_rows([&](registry::Id after) { filter.after = after; return registry::find_devices(c.registry, filter); },
                                 [&](const registry::DeviceRow& r, registry::Id& after) {
                                   const auto& i = r.device.identity;
                                   after = r.device.id;
                                   filter.after_priority = r.priority;
                                   return csv_line({std::to_string(r.device.id), i.vendor.value, i.product.value, i.firmware.value, i.type.value,
                                                    fmt::format("{:.2f}", i.product.confidence), r.device.cluster, places(r), r.isp, std::to_string(r.open_findings),
                                                    r.device.first_seen.text(), r.device.last_seen.text(), std::to_string(r.priority)});
                                 }));
    return http::Response::csv(csv_line({"id", "vendor", "product", "firmware", "type", "confidence", "cluster", "endpoints", "isp", "open_findings", "first_seen", "last_seen", "priority"}) + body,
                               "devices.csv");
  }
  filter.limit = page_rows + 1;
  NORA_TRY(auto rows, registry::find_devices(c.registry, filter));
  const bool more = rows.size() > page_rows;
  if (more) rows.pop_back();
  Table t{c.t("desk.devices.title"),
          {c.t("desk.col.device"), c.t("desk.col.type"), ">" + c.t("desk.col.sure"), c.t("desk.col.address"), c.t("desk.col.isp"), ">" + c.t("desk.col.open_findings"), c.t("desk.col.priority"), c.t("desk.col.last_seen")},
          {}};
  for (const auto& r : rows) {
    std::vector<Html> where;
    Ip last;
    for (const auto& p : r.endpoints) {
      if (where.empty() || p.ip != last) where.push_back(http::join(where.empty() ? "" : " ", e::a(cls("mono"), href(c.view.url(host_path(p.ip))), p.ip.text())));
      where.push_back(http::join(" ", e::span(cls("mono s"), fmt::format("{}/{}", p.port.value, name(p.proto)))));
      last = p.ip;
    }
    const auto& i = r.device.identity;
    t.rows.push_back({http::join(link(c.view, fmt::format("/device/{}", r.device.id), device_words(c, i)),
                                 r.device.cluster.empty() ? Html{} : http::join(" ", link(c.view, "/cluster/" + to_url(r.device.cluster), r.device.cluster))),
                      http::text(i.type.value.empty() ? "–" : i.type.value), http::text(i.product.value.empty() ? "–" : fmt::format("{:.0f}%", 100 * i.product.confidence)),
                      http::join(where), http::text(isp_name(c, r.isp)), http::text(group_digits(r.open_findings)), urgency_pill(c.view, r.priority), when(c.view, r.device.last_seen)});
  }
  auto form = filter_form(c, "/devices", {filter_pattern(c), filter_isp(c), filter_text(c, "ip"), filter_text(c, "q"),
                                          field("unknown", c.t("desk.filter.unknown"), choice("unknown", {{"", c.t("desk.all")}, {"1", c.t("desk.unknown_device")}}, c.query("unknown"))), filter_text(c, "cve"),
                                          filter_sort(c)});
  return http::Response::page(page(c.view, c.t("desk.devices.title"), "devices",
      http::join(e::h1(c.t("desk.devices.title")), form, table_or(t, c.t("desk.no_rows")), pager(c, "/devices", rows.empty() ? "" : key_after(key, rows.back().device.id, rows.back().priority), more))));
}

Answer cases_page(Context& c) {
  NORA_TRY(const auto key, page_key(c.request.query));
  CaseFilter filter;
  filter.isp = c.query("isp");
  filter.track = c.query("track");
  filter.state = c.query("state");
  filter.by_priority = key.by_priority;
  filter.after = key.after;
  filter.after_priority = key.after_priority;
  if (auto stage = c.query("stage"); !stage.empty()) {
    if (std::find(std::begin(funnel_steps), std::end(funnel_steps), stage) == std::end(funnel_steps)) return fail(Code::bad_input, "the filter \"stage\" cannot be read");
    NORA_TRY(filter.ids, cases::funnel_cases(c.registry, stage));
  }
  if (auto attacked = c.query("attacked"); !attacked.empty()) filter.attacked = attacked == "1";
  NORA_CHECK(c.disclose(wants_csv(c) ? "cases_csv" : "cases", {{"query", http::encode_form(c.request.query)}}));
  if (wants_csv(c)) {
    filter.limit = registry::max_page_rows;
    auto at = [](Instant t) { return t.us == 0 ? std::string() : t.text(); };
    NORA_TRY(auto body, all_rows([&](registry::Id after) { filter.after = after; return find_cases(c.registry, filter); },
                                 [&](const CaseRow& r, registry::Id& after) {
                                   after = r.id;
                                   filter.after_priority = r.priority;
                                   return csv_line({std::to_string(r.id), r.isp, r.track, r.state, at(r.state_at), r.identity.vendor.value, r.identity.product.value,
                                                    r.ip ? r.ip->text() : "", std::to_string(r.findings), r.attacked ? "1" : "0", at(r.first_seen), at(r.notified_at), at(r.opened_at),
                                                    at(r.checked_at), at(r.fixed_at), std::to_string(r.priority)});
                                 }));
    return http::Response::csv(csv_line({"id", "isp", "track", "state", "state_at", "vendor", "product", "ip", "findings", "attacked", "first_seen", "notified_at", "opened_at", "checked_at", "fixed_at", "priority"}) + body,
                               "cases.csv");
  }
  filter.limit = page_rows + 1;
  NORA_TRY(auto rows, find_cases(c.registry, filter));
  const bool more = rows.size() > page_rows;
  if (more) rows.pop_back();
  Table t{c.t("desk.cases.title"),
          {c.t("desk.col.case"), c.t("desk.col.state"), c.t("desk.col.since"), c.t("desk.col.device"), c.t("desk.col.address"), c.t("desk.col.isp"), ">" + c.t("desk.col.findings"), c.t("desk.col.priority"), c.t("desk.col.track")},
          {}};
  for (const auto& r : rows)
    t.rows.push_back({link(c.view, fmt::format("/case/{}", r.id), fmt::format("#{}", r.id)),
                      http::join(state_pill(c.view, r.state), r.attacked ? http::join(" ", pill("bad", c.t("desk.attacked"), "warn")) : Html{}), when(c.view, r.state_at),
                      http::text(device_words(c, r.identity)), r.ip ? e::a(cls("mono"), href(c.view.url(host_path(*r.ip))), r.ip->text()) : http::text("–"),
                      http::text(isp_name(c, r.isp)), http::text(group_digits(r.findings)), urgency_pill(c.view, r.priority), http::text(c.t(fmt::format("desk.track.{}", r.track)))});
  std::vector<std::pair<std::string, std::string>> stages{{"", c.t("desk.all")}};
  for (auto s : funnel_steps) stages.emplace_back(std::string(s), c.t(fmt::format("desk.stage.{}", s)));
  auto form = filter_form(c, "/cases", {field("stage", c.t("desk.filter.stage"), choice("stage", stages, c.query("stage"))), filter_isp(c),
                                        field("attacked", c.t("desk.filter.attacked"), choice("attacked", {{"", c.t("desk.all")}, {"1", c.t("desk.attacked")}}, c.query("attacked"))), filter_sort(c)});
  return http::Response::page(page(c.view, c.t("desk.cases.title"), "cases",
      http::join(e::h1(c.t("desk.cases.title")), form, table_or(t, c.t("desk.no_rows")), pager(c, "/cases", rows.empty() ? "" : key_after(key, rows.back().id, rows.back().priority), more))));
}

Answer sightings_page(Context& c) {
  NORA_CHECK(c.disclose("sightings"));
  NORA_TRY(auto rows, c.registry.sightings(200));
  NORA_TRY(auto joins, c.registry.sighting_joins());
  std::map<registry::Id, const registry::SightingJoin*> joined;
  for (const auto& j : joins) joined[j.sighting] = &j;
  Table t{c.t("desk.sightings.title"),
          {c.t("desk.col.address"), c.t("desk.col.kind"), c.t("desk.col.verdict"), c.t("desk.col.first_seen"), c.t("desk.col.last_seen"), ">" + c.t("desk.col.packets"), ">" + c.t("desk.col.destinations"), c.t("desk.col.join")},
          {}};
  for (const auto& s : rows) {
    auto at = joined.find(s.id);
    Html join = http::text("–");
    if (at != joined.end())
      join = at->second->device == 0 ? http::text(at->second->because)
                                     : http::join(link(c.view, fmt::format("/device/{}", at->second->device), c.t("desk.likely_device")), ": ", at->second->because);
    t.rows.push_back({e::a(cls("mono"), href(c.view.url(host_path(s.ip))), s.ip.text()), http::text(s.kind), http::text(s.verdict), when(c.view, s.first), when(c.view, s.last),
                      http::text(group_digits(s.packets)), http::text(group_digits(s.destinations)), join});
  }
  return http::Response::page(page(c.view, c.t("desk.sightings.title"), "findings",
      http::join(e::h1(c.t("desk.sightings.title")), e::p(c.t("desk.sightings.lead")), table_or(t, c.t("desk.no_rows")))));
}

}  // namespace nora::desk
