#include "desk/vulns.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/escape.h"
#include "base/text.h"
#include "expose/priority.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;
using expose::Verdict;
using expose::Vulnerability;

constexpr std::size_t max_title_bytes = 300, max_texts_shown = 3;

std::string source_words(const View& view, std::string_view source) {
  const auto id = fmt::format("desk.source.{}", source);
  return view.has(id) ? view.t(id) : std::string(source);
}

std::string times(double factor) { return fmt::format("×{:.3g}", factor); }

std::vector<Html> reasons(const View& view, const expose::PriorityInput& in) {
  const auto p = expose::priority_of(in);
  std::vector<Html> out;
  const auto say = [&](std::string_view id, Args args, double factor) {
    out.push_back(e::li(view.t(fmt::format("desk.why.{}", id), args), " ", e::span(cls("num"), times(factor))));
  };
  if (in.exposures.empty()) say("hidden", {}, p.exposed);
  else say("exposed", {{"pattern", pattern_words(view, in.exposures[0].pattern)}, {"rule", rule_title(view, in.exposures[0].rule)}}, p.exposed);
  if (in.kev) say(in.ransomware ? "ransomware" : "kev", {{"day", in.kev_since.empty() ? "–" : in.kev_since}}, p.exploited);
  else say("no_kev", {}, p.exploited);
  if (in.epss) say("epss", {{"score", fmt::format("{:.3f}", in.epss->score)}, {"percent", expose::percentile_text(*in.epss)}}, p.likely);
  else say("no_epss", {}, p.likely);
  if (!in.support_ended) say("support_unknown", {}, p.ended);
  else if (!*in.support_ended) say("supported", {}, p.ended);
  else say("ended", {{"day", in.support_end.empty() || in.support_end == "ended" ? view.t("desk.unknown") : in.support_end}}, p.ended);
  say(!in.verdict ? "no_flaw" : *in.verdict == Verdict::affected_by_version ? "affected" : "possibly", {}, p.sure);
  return out;
}

struct Told {  // what the records of one vulnerability say
  std::vector<Vulnerability> records;
  std::vector<std::string> sources, references, remedies;
};
Told told_by(const std::vector<std::string>& docs) {
  Told out;
  const auto add = [](std::vector<std::string>& to, const std::string& text) { if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text); };
  for (const auto& doc : docs) {
    const auto object = json::parse_object(doc);
    if (!object) continue;  // a record that cannot be read takes no row away
    auto v = expose::vulnerability_from(*object);
    if (!v) continue;
    add(out.sources, v->source);
    for (const auto& url : v->references) add(out.references, url);
    for (const auto& text : v->remedies) add(out.remedies, text);
    out.records.push_back(std::move(*v));
  }
  return out;
}

Html signs(const View& view, const expose::PriorityInput& in) {
  std::vector<Html> out;
  if (in.kev) out.push_back(e::li(pill("bad", view.t("desk.vuln.kev"), "warn"), " ", e::span(cls("s m"), in.kev_since)));
  if (in.ransomware) out.push_back(e::li(pill("bad", view.t("desk.vuln.ransomware"), "warn")));
  if (in.epss) out.push_back(e::li(view.t("desk.vuln.epss", {{"percent", fmt::format("{:.1f}", in.epss->score * 100)}})));
  if (in.support_ended.value_or(false)) out.push_back(e::li(pill("warn", view.t("desk.vuln.ended"), "info")));
  return out.empty() ? http::text("–") : e::ul(cls("plain"), out);
}

}  // namespace

Result<std::vector<registry::DeviceVulnDocs>> vulns_of(const Context& c, const std::vector<registry::Device>& devices) {
  std::vector<registry::Id> ids;
  for (const auto& d : devices) ids.push_back(d.id);
  return registry::Vulns(c.registry.db()).with_docs(ids, max_vulns_shown + 1);
}

std::string verdict_words(const View& view, const registry::DeviceVuln& row) {
  if (static_cast<Verdict>(row.verdict) == Verdict::affected_by_version) return view.t("desk.verdict.affected", {{"source", source_words(view, row.source)}});
  const auto in = expose::priority_input_from(row.why);
  const auto doubt = in ? in->doubt : expose::Doubt::other;
  return view.t(doubt == expose::Doubt::version ? "desk.verdict.possibly.version" : doubt == expose::Doubt::component ? "desk.verdict.possibly.component" : "desk.verdict.possibly.other");
}

Html urgency_pill(const View& view, std::int64_t priority) {
  if (priority <= 0) return http::text("–");
  const auto level = expose::level_of(priority);
  return pill(level == "now" ? "bad" : level == "soon" ? "warn" : "n", fmt::format("{} · {}", priority, view.t(fmt::format("desk.level.{}", level))), level == "now" ? "warn" : "");
}

Html urgency(const View& view, std::int64_t priority, std::string_view why) {
  const auto shown = urgency_pill(view, priority);
  const auto in = expose::priority_input_from(why);
  if (priority <= 0 || !in) return shown;
  return e::details(cls("why"), e::summary(shown, e::span(cls("vh"), " ", view.t("desk.why.title"))),
                    e::div(in->cve.empty() ? Html{} : e::p(cls("s"), view.t("desk.why.cve", {{"cve", in->cve}})), e::ul(cls("plain s"), reasons(view, *in)), e::p(cls("s m"), view.t("desk.why.policy"))));
}

Html vulns_section(const Context& c, const std::vector<registry::Device>& devices, const std::vector<registry::DeviceVulnDocs>& rows) {
  if (devices.empty()) return {};
  const auto& view = c.view;
  Table t{c.t("desk.vulns.title"), {c.t("desk.col.vuln"), c.t("desk.col.verdict_words"), c.t("desk.col.signs"), c.t("desk.col.priority")}, {}};
  for (const auto& r : rows) {
    if (t.rows.size() == max_vulns_shown) break;
    const auto told = told_by(r.docs);
    const auto in = expose::priority_input_from(r.row.why);
    std::vector<Html> more{e::p(e::span(attr("lang", "en"), r.row.reason))};
    std::string sources;
    for (const auto& s : told.sources) sources += (sources.empty() ? "" : ", ") + source_words(view, s);
    more.push_back(e::p(c.t("desk.vuln.sources", {{"sources", sources.empty() ? "–" : sources}})));
    for (std::size_t i = 0; i < std::min(told.remedies.size(), max_texts_shown); ++i) more.push_back(e::p(c.t("desk.vuln.remedy"), " ", shortened(told.remedies[i], max_title_bytes)));
    std::vector<Html> links;
    for (std::size_t i = 0; i < std::min(told.references.size(), max_texts_shown); ++i) links.push_back(e::li(cls("mono s"), shortened(told.references[i], max_title_bytes)));
    if (!links.empty()) more.push_back(e::ul(cls("plain"), links));
    const bool sure = static_cast<Verdict>(r.row.verdict) == Verdict::affected_by_version;
    t.rows.push_back({http::join(e::a(cls("mono"), href(view.url("/devices?cve=" + to_url(r.row.cve))), r.row.cve), e::p(cls("s"), shortened(expose::title_of(told.records, view.lang != Lang::en), max_title_bytes)),
                                 devices.size() < 2 ? Html{} : link(view, fmt::format("/device/{}", r.row.device), c.t("desk.device.number", {{"id", std::to_string(r.row.device)}}))),
                      e::details(cls("why"), e::summary(pill(sure ? "bad" : "n", verdict_words(view, r.row), sure ? "warn" : "")), e::div(cls("s"), more)),
                      in ? signs(view, *in) : http::text("–"), urgency(view, r.row.priority, r.row.why)});
  }
  bool known = false;
  for (const auto& d : devices) known = known || d.identity.product_known();
  std::vector<Html> all;
  if (!rows.empty())
    for (const auto& d : devices) all.push_back(e::a(href(fmt::format("/api/vulns?device={}", d.id)), devices.size() < 2 ? std::string("JSON") : fmt::format("JSON {}", d.id)));
  return section("vulns", c.t("desk.vulns.title"),
                 http::join(e::p(cls("s m"), c.t("desk.vulns.lead")), table_or(t, c.t(known ? "desk.vulns.none" : "desk.vulns.unknown_product")),
                            rows.size() > max_vulns_shown ? e::p(cls("s"), c.t("desk.vulns.more", {{"n", std::to_string(max_vulns_shown)}})) : Html{}, all.empty() ? Html{} : e::p(cls("row"), all)));
}

}  // namespace nora::desk
