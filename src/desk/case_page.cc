// One case: where it stands, what it is made of, everything that happened, and what was handed to which ISP.
#include <fmt/core.h>

#include <algorithm>

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

constexpr std::size_t max_devices = 4;  // read one by one: the page stays inside its queries

}  // namespace

Answer case_page(Context& c) {
  NORA_TRY(auto id, id_param(c.request, "id"));
  NORA_CHECK(c.disclose("case", {{"case", id}}));
  NORA_TRY(auto found, case_by_id(c.registry, id));
  if (!found) return fail(Code::not_found, "there is no such case");
  const auto& k = *found;
  NORA_TRY(auto events, case_events(c.registry, id));
  NORA_TRY(auto findings, c.registry.findings_of_case(id));
  NORA_TRY(auto given, deliveries(c.registry, id));
  // The devices behind the case; a case of a line may have several, the findings name them.
  std::vector<registry::Device> devices;
  const registry::StoredFinding* urgent = nullptr;
  for (const auto& s : findings) {
    if (s.finding.state == "open" && (urgent == nullptr || s.priority > urgent->priority)) urgent = &s;
    const auto have = [&](const auto& d) { return d.id == s.finding.device; };
    if (s.finding.device == 0 || devices.size() == max_devices || std::any_of(devices.begin(), devices.end(), have)) continue;
    NORA_TRY(auto device, c.registry.device(s.finding.device));
    if (device) devices.push_back(std::move(*device));
  }
  NORA_TRY(auto vulns, vulns_of(c, devices));

  auto words = k.identity.display();
  std::vector<Html> facts{
      fact(c.t("desk.col.state"), http::join(state_pill(c.view, k.state), e::p(cls("s"), c.t("desk.since", {{"at", when_text(c.view, k.state_at)}})))),
      fact(c.t("desk.col.priority"), urgent == nullptr ? http::text("–") : urgency(c.view, urgent->priority, urgent->priority_why)),
      fact(c.t("desk.col.device"), k.device == 0 ? http::text(words.empty() ? c.t("desk.unknown_device") : words)
                                                 : link(c.view, fmt::format("/device/{}", k.device), words.empty() ? c.t("desk.unknown_device") : words)),
      fact(c.t("desk.col.address"), k.ip ? e::a(cls("mono"), href(c.view.url(host_path(*k.ip))), k.ip->text()) : http::text("–")),
      fact(c.t("desk.col.isp"), http::text(k.isp.empty() ? "–" : c.parts.isp_names.contains(k.isp) ? c.parts.isp_names.at(k.isp) : k.isp)),
      fact(c.t("desk.col.track"), k.track == "on-site" ? link(c.view, fmt::format("/onsite/{}", k.id), c.t("desk.track.on-site")) : http::text(c.t("desk.track." + k.track))),
      fact(c.t("desk.case.line"), http::text(c.t(k.line_known ? "desk.case.line_known" : "desk.case.line_unknown"))),
      fact(c.t("desk.col.first_seen"), when(c.view, k.first_seen)),
  };
  for (auto [step, at] : {std::pair("notified", k.notified_at), {"opened", k.opened_at}, {"checked", k.checked_at}, {"fixed", k.fixed_at}})
    facts.push_back(fact(c.t(fmt::format("desk.stage.{}", step)), when(c.view, at)));

  Table what{c.t("desk.findings.title"), {c.t("desk.col.finding"), c.t("desk.col.pattern"), c.t("desk.col.severity"), c.t("desk.col.address"), c.t("desk.col.last_seen"), c.t("desk.col.state"), ">" + c.t("desk.col.priority")}, {}};
  for (const auto& s : findings) {
    const auto& f = s.finding;
    what.rows.push_back({http::text(rule_title(c.view, f.rule)), http::text(pattern_words(c.view, f.pattern)), http::text(severity_word(c.view, f.severity)),
                         e::a(cls("mono"), href(c.view.url(host_path(f.where.ip))), fmt::format("{}:{}/{}", f.where.ip.text(), f.where.port.value, name(f.where.proto))), when(c.view, f.last_seen),
                         finding_pill(c.view, f.state), urgency_pill(c.view, s.priority)});
  }
  Table history{c.t("desk.case.history"), {c.t("desk.col.at"), c.t("desk.col.state"), c.t("desk.col.who"), c.t("desk.col.evidence"), c.t("desk.col.basis")}, {}};
  for (const auto& ev : events)
    history.rows.push_back({when(c.view, ev.at), ev.from == ev.to ? http::text(c.t("desk.case.note")) : state_pill(c.view, ev.to), http::text(ev.who), http::text(ev.evidence),
                            http::text(ev.basis.empty() ? ev.rules_version : ev.basis)});
  Table sent{c.t("desk.case.deliveries"), {c.t("desk.col.list"), c.t("desk.col.isp"), c.t("desk.col.at"), c.t("desk.col.return"), c.t("desk.col.detail")}, {}};
  for (const auto& d : given)
    sent.rows.push_back({c.view.may("operator,approver") ? link(c.view, "/list/" + to_url(d.list_id), d.list_id) : http::text(d.list_id), http::text(d.isp), when(c.view, d.created),
                         d.return_state.empty() ? http::text("–") : http::join(c.t("desk.return." + d.return_state), " ", when(c.view, d.returned_at)), http::text(d.return_detail)});

  auto title = c.t("desk.case.title", {{"id", std::to_string(id)}});
  auto main = http::join(
      e::p(cls("crumb"), link(c.view, "/cases", c.t("desk.cases.title")), " › ", fmt::format("#{}", id)), e::h1(title),
      k.attacked ? e::p(pill("bad", c.t("desk.attacked"), "warn"), " ", c.t("desk.attacked.words")) : Html{},
      e::div(cls("side"),
             e::div(section("findings", c.t("desk.findings.title"), table_or(what, c.t("desk.no_findings"))), vulns_section(c, devices, vulns), section("history", c.t("desk.case.history"), table_or(history, c.t("desk.no_rows"))),
                    section("sent", c.t("desk.case.deliveries"), table_or(sent, c.t("desk.case.not_listed")))),
             e::aside(attr("aria-label", title), e::div(cls("card"), e::dl(cls("fact"), facts)))));
  return http::Response::page(page(c.view, title, "cases", main));
}

}  // namespace nora::desk
