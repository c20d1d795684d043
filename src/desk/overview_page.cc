// The overview as a page, as CSV and as JSON: the same numbers with the same reader's rights.
#include <fmt/core.h>

#include <algorithm>

#include "desk/charts.h"
#include "desk/overview.h"
#include "desk/pages.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;

std::string number(const Overview& o, const Cell& cell) { return cell.shown ? group_digits(cell.value) : fmt::format("<{}", o.bound); }
// A cell hidden only because its neighbour is hidden may be large: then it is just not shown.
std::string cell_text(const Overview& o, const Cell& cell) { return !cell.shown && cell.value >= o.bound ? "–" : number(o, cell); }

// Staff go to the rows; the public goes to the definition of the number.
Html number_link(const Context& c, const Overview& o, const Cell& cell, std::string_view definition) {
  return e::a(cls("num"), href(c.view.url(o.exact ? cell.rows : fmt::format("/definitions#{}", definition))), cell_text(o, cell));
}

Html kpi(const Context& c, const Overview& o, const Cell& cell, std::string_view value, std::string_view change) {
  return e::div(cls("card kpi"), e::b(e::a(href(c.view.url(o.exact ? cell.rows : "/definitions#" + cell.label)), value)), e::span(c.t("desk.kpi." + cell.label)), change.empty() ? Html{} : e::p(e::em(change)));
}

Html trend_card(const Context& c, const Overview& o) {
  LineChart chart;
  chart.id = "trend";
  chart.title = c.t("desk.trend.title", {{"n", std::to_string(o.trend.size())}});
  chart.summary = c.t("desk.trend.table");
  chart.time_heading = c.t("desk.col.survey");
  for (const auto& p : o.trend) {
    chart.at.push_back(p.at);
    chart.at_text.push_back(p.at.local(c.view.utc_offset_min));
  }
  bool left_out = false;
  for (int i = 0; i < 4; ++i) {
    Series s{pattern_words(c.view, static_cast<registry::Pattern>('A' + i)), {}};
    bool hidden = false;
    for (const auto& p : o.trend) {
      s.values.push_back(p.seen[i]);
      hidden = hidden || (p.seen[i] > 0 && p.seen[i] < o.bound);
    }
    if (hidden) left_out = true;
    else chart.series.push_back(std::move(s));
  }
  Table now{c.t("desk.pattern.title"), {c.t("desk.col.pattern"), ">" + c.t("desk.col.open_findings")}, {}};
  for (const auto& p : o.patterns)
    now.rows.push_back({http::join(e::b(p.label), " ", c.t(fmt::format("desk.pattern.{}.long", p.label))), number_link(c, o, p, "pattern")});
  return section("patterns", c.t("desk.pattern.title"),
                 http::join(line_chart(chart), left_out ? e::p(cls("s m"), c.t("desk.small_left_out", {{"bound", std::to_string(o.bound)}})) : Html{}, table(now)));
}

Html funnel_card(const Context& c, const Overview& o) {
  std::vector<Bar> list;
  for (std::size_t i = 0; i < o.funnel.size(); ++i) {
    const auto& step = o.funnel[i];
    // Percent of the step before; "fixed" of "notified", because it also counts people who never opened the portal.
    std::string share;
    if (i > 0) {
      const auto& before = step.label == "fixed" ? o.funnel[4] : o.funnel[i - 1];
      if (step.shown && before.shown && before.value > 0 && step.value <= before.value) share = " · " + percent(step.value, before.value);
    }
    list.push_back({c.t("desk.stage." + step.label), number(o, step) + share, step.shown ? step.value : 0, c.view.url(o.exact ? step.rows : "/definitions#funnel")});
  }
  return section("funnel", c.t("desk.funnel.title"), http::join(bars(list), e::p(cls("s m"), c.t("desk.funnel.note"))));
}

Html isp_card(const Context& c, const Overview& o) {
  Table t{c.t("desk.isp.title"), {c.t("desk.col.isp"), ">" + c.t("desk.col.cases"), ">" + c.t("desk.stage.notified"), ">" + c.t("desk.stage.fixed")}, {}};
  for (std::size_t i = 0; i < o.isps.size(); ++i) {
    const auto& row = o.isp_rows[i];
    auto hidden = [&](std::int64_t v) { return (v > 0 && v < o.bound) || !o.isps[i].shown ? http::text("–") : http::text(group_digits(v)); };
    auto name = row.isp.empty() ? c.t("desk.isp.none") : c.parts.isp_names.contains(row.isp) ? c.parts.isp_names.at(row.isp) : row.isp;
    t.rows.push_back({http::text(name), number_link(c, o, o.isps[i], "isp"), hidden(row.notified), hidden(row.fixed)});
  }
  return section("isps", c.t("desk.isp.title"), table_or(t, c.t("desk.no_rows")));
}

Html coverage_card(const Context& c, const Overview& o) {
  std::vector<Html> facts{fact(c.t("desk.coverage.surveys"), http::text(group_digits(o.coverage.surveys))), fact(c.t("desk.coverage.last"), when(c.view, o.as_of)),
                          fact(c.t("desk.coverage.sent"), http::text(group_digits(o.coverage.sent))), fact(c.t("desk.coverage.replies"), http::text(group_digits(o.coverage.replies)))};
  if (o.known.shown) {
    auto unknown = o.devices - o.known.value;
    facts.push_back(fact(c.t("desk.coverage.unknown"), http::join(percent(unknown, o.devices), o.exact ? http::join(" · ", link(c.view, "/clusters", c.t("desk.nav.clusters"))) : Html{})));
  }
  if (c.parts.mandate != nullptr) {
    std::uint64_t v4 = 0;
    std::size_t v6 = 0;
    for (const auto& r : c.parts.mandate->text().ranges) r.is_v4() ? v4 += r.size() : ++v6;
    facts.push_back(fact(c.t("desk.coverage.range"), http::text(c.t("desk.coverage.range.words", {{"v4", group_digits(static_cast<std::int64_t>(v4))}, {"v6", std::to_string(v6)}}))));
  }
  return section("coverage", c.t("desk.coverage.title"), e::dl(cls("fact"), facts));
}

Html products_section(const Context& c, const Overview& o) {
  Table t{c.t("desk.products.title"), {c.t("desk.col.device"), c.t("desk.col.type"), c.t("desk.col.pattern"), ">" + c.t("desk.col.open_devices"), ">" + c.t("desk.stage.fixed"), c.t("desk.support_end")}, {}};
  for (std::size_t i = 0; i < o.products.size(); ++i) {
    const auto& p = o.products[i];
    Html support = http::text("–");
    if (c.parts.knowledge != nullptr && !p.product.empty()) {
      registry::Identity identity;
      identity.vendor = {p.vendor, 1.0, {}};
      identity.product = {p.product, 1.0, {}};
      identity.type = {p.type, 1.0, {}};
      const auto* known = c.parts.knowledge->product_of(identity);
      const auto* line = c.parts.knowledge->support_end_of(identity);
      // Only what was read at its source, or the demo's invention, stands on the public page.
      const auto end = known != nullptr && !known->support_end.empty() && (known->verified || known->demo) ? known->support_end : line != nullptr && line->verified ? line->end_of_support : std::string();
      if (!end.empty())
        support = end == "ended" || end < c.view.now.date() ? pill("bad", c.t("desk.support.ended_at", {{"date", end == "ended" ? "" : end}}), "warn") : http::text(end);
    }
    const auto& cell = o.product_cells[i];
    t.rows.push_back({p.product.empty() ? e::i(c.t("desk.unknown_device")) : http::text(p.vendor.empty() ? p.product : p.vendor + " " + p.product), http::text(p.type.empty() ? "–" : p.type), http::text(p.patterns),
                      number_link(c, o, cell, "product"), cell.shown && !(p.fixed > 0 && p.fixed < o.bound) ? http::text(group_digits(p.fixed)) : http::text("–"), support});
  }
  return http::join(e::h2(c.t("desk.products.title")), table_or(t, c.t("desk.no_rows")), pattern_legend(c.view));
}

constexpr std::string_view definitions[] = {"open", "sources", "known", "fixed", "pattern", "funnel", "isp", "product", "small", "never"};

}  // namespace

Answer overview_page(Context& c) {
  NORA_TRY(auto o, read_overview(c));
  std::string fixed_change = o.totals.findings_open + o.totals.findings_fixed > 0 && o.fixed.shown && o.open.shown
                                 ? c.t("desk.kpi.fixed.share", {{"share", percent(o.fixed.value, o.open.value + o.fixed.value)}}) : "";
  std::string open_change;
  if (o.trend.size() >= 2) {
    std::int64_t first = 0, last = 0;
    for (int i = 0; i < 4; ++i) first += o.trend.front().seen[i], last += o.trend.back().seen[i];
    if (first >= std::max<std::int64_t>(o.bound, 1) && (last == 0 || last >= o.bound)) open_change = c.t("desk.kpi.open.before", {{"first", group_digits(first)}});
  }
  auto main = http::join(
      e::h1(cls("hero"), headline(c, o)),
      e::p(cls("m"), o.as_of.us == 0 ? c.t("desk.no_survey") : c.t("desk.as_of", {{"at", when_text(c.view, o.as_of)}}), " · ", link(c.view, "/definitions", c.t("desk.how_counted")), " · ",
           e::a(href(c.view.url("/overview.csv")), "CSV"), " · ", e::a(href("/api/overview"), "JSON")),
      e::div(cls("g4"), kpi(c, o, o.open, number(o, o.open), open_change), kpi(c, o, o.sources, number(o, o.sources), ""), kpi(c, o, o.known, o.known.shown ? percent(o.known.value, o.devices) : cell_text(o, o.known), ""),
             kpi(c, o, o.fixed, number(o, o.fixed), fixed_change)),
      e::div(cls("side"), trend_card(c, o), funnel_card(c, o)), e::div(cls("g2"), isp_card(c, o), coverage_card(c, o)), products_section(c, o));
  return http::Response::page(page(c.view, c.t("desk.overview.title"), "overview", main));
}

Answer overview_csv(Context& c) {
  NORA_TRY(auto o, read_overview(c));
  std::string body = "part,label,value,rows\r\n";
  auto line = [&](std::string_view part, const Cell& cell) {
    body += fmt::format("{},{},{},{}\r\n", part, to_csv_cell(cell.label), cell.shown ? std::to_string(cell.value) : "", to_csv_cell(c.view.url(cell.rows)));
  };
  for (const auto* cell : {&o.open, &o.sources, &o.known, &o.fixed}) line("number", *cell);
  for (const auto& cell : o.patterns) line("pattern", cell);
  for (const auto& cell : o.funnel) line("funnel", cell);
  for (const auto& cell : o.isps) line("isp", cell);
  for (std::size_t i = 0; i < o.products.size(); ++i) {
    auto cell = o.product_cells[i];
    cell.label = o.products[i].vendor + " " + o.products[i].product;
    line("product", cell);
  }
  for (const auto& p : o.trend)
    for (int i = 0; i < 4; ++i) line("trend", Cell{fmt::format("{} {}", p.at.text(), static_cast<char>('A' + i)), "/run/" + to_url(p.survey), p.seen[i], !(p.seen[i] > 0 && p.seen[i] < o.bound)});
  return http::Response::csv(std::move(body), "overview.csv");
}

Answer overview_json(Context& c) {
  NORA_TRY(auto o, read_overview(c));
  auto cell = [&](const Cell& x) {
    json::Object j;
    j["label"] = to_clean_utf8(x.label);
    if (x.shown) j["value"] = x.value;
    else j["value"] = nullptr;
    j["rows"] = c.view.url(x.rows);
    return j;
  };
  auto cells = [&](const std::vector<Cell>& list) {
    json::Array a;
    for (const auto& x : list) a.push_back(cell(x));
    return a;
  };
  json::Object j;
  j["as_of"] = o.as_of.us == 0 ? json::Value(nullptr) : json::Value(boost::json::string(o.as_of.text()));
  j["exact"] = o.exact;
  j["suppressed_below"] = o.bound;
  j["headline"] = headline(c, o);
  j["numbers"] = json::Array{cell(o.open), cell(o.sources), cell(o.known), cell(o.fixed)};
  j["devices"] = o.devices;
  j["by_pattern"] = cells(o.patterns);
  j["funnel"] = cells(o.funnel);
  j["by_isp"] = cells(o.isps);
  json::Array by_product;
  for (std::size_t i = 0; i < o.products.size(); ++i) {
    auto row = cell(o.product_cells[i]);
    row["vendor"] = to_clean_utf8(o.products[i].vendor);
    row["product"] = to_clean_utf8(o.products[i].product);
    row["type"] = to_clean_utf8(o.products[i].type);
    row["patterns"] = o.products[i].patterns;
    by_product.push_back(std::move(row));
  }
  j["by_product"] = std::move(by_product);
  json::Array points;
  for (const auto& p : o.trend) {
    json::Object point{{"survey", p.survey}, {"at", p.at.text()}};
    for (int i = 0; i < 4; ++i) {
      std::string letter(1, static_cast<char>('A' + i));
      if (p.seen[i] > 0 && p.seen[i] < o.bound) point[letter] = nullptr;
      else point[letter] = p.seen[i];
    }
    points.push_back(std::move(point));
  }
  j["trend"] = std::move(points);
  j["coverage"] = json::Object{{"surveys", o.coverage.surveys}, {"sent", o.coverage.sent}, {"replies", o.coverage.replies}};
  return http::Response::json(j);
}

Answer definitions_page(Context& c) {
  std::vector<Html> parts{e::h1(c.t("desk.definitions.title")), e::p(c.t("desk.definitions.lead", {{"bound", std::to_string(c.parts.suppress_below)}}))};
  for (auto d : definitions)
    parts.push_back(e::section(http::id(d), e::h2(c.t(fmt::format("desk.def.{}.term", d))), e::p(c.t(fmt::format("desk.def.{}.text", d), {{"bound", std::to_string(c.parts.suppress_below)}}))));
  parts.push_back(pattern_legend(c.view));
  return http::Response::page(page(c.view, c.t("desk.definitions.title"), "overview", http::join(parts)));
}

}  // namespace nora::desk
