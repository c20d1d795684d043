// On-site cases: who stands behind a device with social impact, found from clues and confirmed by a second person; the visit and its form.
// The contacts come from a store of their own and appear on these pages only. Works without JavaScript; the form prints on paper.
#include <fmt/core.h>

#include <algorithm>

#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::flag;
using http::href;
namespace e = http::el;

constexpr std::string_view roles[] = {"site", "operator", "maintainer", "vendor"};

Result<cases::OnSite> store_of(const Context& c) {
  if (!c.parts.onsite) return fail(Code::refused, "no store for on-site contacts is set", "start nora serve with --onsite-store");
  return c.parts.onsite();
}

std::string role_word(const Context& c, const std::string& role) { return c.t(role.empty() ? "desk.party.unknown" : "desk.party." + role); }

struct Loaded {
  registry::Id id = 0;
  cases::OnSiteCase opened;
  std::vector<cases::Clue> clues;
  std::vector<cases::Party> parties;
  std::optional<cases::Visit> visit;
  std::optional<CaseRow> row;
  std::vector<registry::StoredFinding> findings;
};
Result<Loaded> load(Context& c, std::string_view what) {
  Loaded l;
  NORA_TRY(l.id, id_param(c.request, "id"));
  NORA_CHECK(c.disclose(what, {{"case", l.id}}));
  NORA_TRY(auto onsite, store_of(c));
  NORA_TRY(auto all, onsite.all());
  auto at = std::find_if(all.begin(), all.end(), [&](const auto& k) { return k.case_id == l.id; });
  if (at == all.end()) return fail(Code::not_found, "there is no such on-site case");
  l.opened = *at;
  NORA_TRY(l.clues, onsite.clues(l.id));
  NORA_TRY(l.parties, onsite.parties(l.id));
  NORA_TRY(l.visit, onsite.visit(l.id));
  NORA_TRY(l.row, case_by_id(c.registry, l.id));
  NORA_TRY(l.findings, c.registry.findings_of_case(l.id));
  return l;
}

Html findings_list(const Context& c, const Loaded& l) {
  std::vector<Html> items;
  for (const auto& s : l.findings)
    items.push_back(e::li(rule_title(c.view, s.finding.rule), " · ", e::span(cls("mono"), fmt::format("{}:{}/{}", s.finding.where.ip.text(), s.finding.where.port.value, name(s.finding.where.proto))), " · ",
                          when(c.view, s.finding.last_seen), " ", finding_pill(c.view, s.finding.state)));
  return e::ul(items);
}

Html clues_section(const Context& c, const Loaded& l) {
  Table t{c.t("desk.clues.title"), {c.t("desk.col.kind"), c.t("desk.col.party"), c.t("desk.col.value"), c.t("desk.col.contact"), c.t("desk.col.source")}, {}};
  for (const auto& k : l.clues)
    t.rows.push_back({http::text(c.t("desk.clue." + k.kind)), http::text(role_word(c, k.role)), http::text(k.text), http::text(k.contact.empty() ? "–" : k.contact), http::text(k.source)});
  return section("clues", c.t("desk.clues.title"), http::join(e::p(c.t("desk.clues.lead")), table_or(t, c.t("desk.clues.none"))));
}

Html parties_section(const Context& c, const Loaded& l) {
  Table t{c.t("desk.parties.title"), {c.t("desk.col.party"), c.t("desk.col.name"), c.t("desk.col.contact"), c.t("desk.col.proposed_by"), c.t("desk.col.confirmed_by"), ""}, {}};
  t.columns.back() = c.t("desk.col.action");
  for (const auto& p : l.parties) {
    Html act = http::text("–");
    if (p.confirmed_by.empty())
      act = p.proposed_by == c.user() ? e::span(cls("s m"), c.t("desk.party.second_needed"))
                                      : post_form(c.view, fmt::format("/onsite/{}/confirm", l.id),
                                                  http::join(e::input(attr("type", "hidden"), attr("name", "party"), attr("value", p.id)),
                                                             e::button(cls("btn sm"), attr("type", "submit"), attr("aria-label", fmt::format("{}: {}", c.t("desk.party.confirm"), p.name)), c.t("desk.party.confirm"))));
    t.rows.push_back({http::text(role_word(c, p.role)), http::text(p.name), http::text(p.contact.empty() ? "–" : p.contact), http::text(p.proposed_by),
                      p.confirmed_by.empty() ? pill("warn", c.t("desk.party.open"), "info") : pill("ok", p.confirmed_by, "check"), act});
  }
  std::vector<std::pair<std::string, std::string>> options;
  for (auto r : roles) options.emplace_back(std::string(r), role_word(c, std::string(r)));
  std::vector<Html> ticks;
  for (const auto& k : l.clues) {
    auto id = fmt::format("clue-{}", k.id);
    ticks.push_back(e::label(attr("for", id), e::input(http::id(id), attr("type", "checkbox"), attr("name", "clue"), attr("value", k.id)), e::span(k.text)));
  }
  auto form = e::details(e::summary(c.t("desk.party.add")),
                         e::div(post_form(c.view, fmt::format("/onsite/{}/party", l.id),
                                          http::join(field("role", c.t("desk.col.party"), choice("role", options)), field("name", c.t("desk.col.name"), text_input("name", "", true)),
                                                     field("contact", c.t("desk.col.contact"), text_input("contact")),
                                                     ticks.empty() ? Html{} : e::fieldset(cls("choice"), e::legend(c.t("desk.party.because")), ticks), button(c.t("desk.party.propose"))))));
  return section("parties", c.t("desk.parties.title"), http::join(e::p(c.t("desk.parties.lead")), table_or(t, c.t("desk.parties.none")), form));
}

Html visit_section(const Context& c, const Loaded& l) {
  auto v = l.visit.value_or(cases::Visit{});
  auto tick = [&](std::string_view name, std::string_view words, bool on) {
    return e::label(attr("for", name), e::input(http::id(name), attr("type", "checkbox"), attr("name", name), attr("value", "1"), flag("checked", on)), e::span(words));
  };
  auto form = post_form(c.view, fmt::format("/onsite/{}/visit", l.id),
                        http::join(e::div(cls("g2"), field("planned_for", c.t("desk.visit.planned"), e::input(http::id("planned_for"), attr("name", "planned_for"), attr("type", "date"), attr("value", v.planned_for))),
                                          field("visitor", c.t("desk.visit.visitor"), text_input("visitor", v.visitor)), field("action", c.t("desk.visit.action"), text_input("action", v.action)),
                                          field("deadline", c.t("desk.visit.deadline"), e::input(http::id("deadline"), attr("name", "deadline"), attr("type", "date"), attr("value", v.deadline)))),
                                   e::fieldset(cls("choice"), e::legend(c.t("desk.visit.checklist")), tick("exposure_confirmed", c.t("desk.visit.exposure"), v.exposure_confirmed),
                                               tick("free_of_charge_told", c.t("desk.visit.free"), v.free_of_charge_told), tick("done", c.t("desk.visit.done"), v.done)),
                                   field("notes", c.t("desk.visit.notes"), e::textarea(http::id("notes"), attr("name", "notes"), attr("rows", "4"), attr("maxlength", "2000"), v.notes)), button(c.t("desk.visit.save"))));
  return section("visit", c.t("desk.visit.title"),
                 http::join(v.recorded_at ? e::p(cls("s m"), c.t("desk.visit.recorded", {{"by", v.recorded_by}, {"at", when_text(c.view, *v.recorded_at)}})) : Html{}, form));
}

}  // namespace

Answer onsite_queue_page(Context& c) {
  NORA_TRY(auto onsite, store_of(c));
  NORA_TRY(auto all, onsite.all());
  CaseFilter filter;
  filter.track = "on-site";
  filter.limit = 1000;
  NORA_TRY(auto rows, find_cases(c.registry, filter));
  Table t{c.t("desk.onsite.title"), {c.t("desk.col.case"), c.t("desk.onsite.what"), c.t("desk.col.state"), c.t("desk.onsite.opened"), c.t("desk.col.address")}, {}};
  for (const auto& k : all) {
    auto at = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.id == k.case_id; });
    t.rows.push_back({link(c.view, fmt::format("/onsite/{}", k.case_id), fmt::format("#{}", k.case_id)), http::text(k.what), at == rows.end() ? http::text("–") : state_pill(c.view, at->state), when(c.view, k.opened),
                      at == rows.end() || !at->ip ? http::text("–") : e::span(cls("mono"), at->ip->text())});
  }
  return http::Response::page(page(c.view, c.t("desk.onsite.title"), "onsite",
      http::join(e::h1(c.t("desk.onsite.title")), e::p(c.t("desk.onsite.lead")), table_or(t, c.t("desk.onsite.none")))));
}

Answer onsite_page(Context& c) {
  NORA_TRY(auto l, load(c, "onsite"));
  auto title = c.t("desk.onsite.case", {{"id", std::to_string(l.id)}});
  auto main = http::join(e::p(cls("crumb"), link(c.view, "/onsite", c.t("desk.onsite.title")), " › ", fmt::format("#{}", l.id)), e::h1(title), e::p(l.opened.what),
                         l.row ? e::p(state_pill(c.view, l.row->state), " ", link(c.view, fmt::format("/case/{}", l.id), c.t("desk.case.title", {{"id", std::to_string(l.id)}}))) : Html{}, findings_list(c, l),
                         e::p(cls("noprint"), e::a(cls("btn q sm"), href(c.view.url(fmt::format("/onsite/{}/form", l.id))), http::icon("print"), c.t("desk.onsite.print"))), clues_section(c, l), parties_section(c, l),
                         visit_section(c, l));
  return http::Response::page(page(c.view, title, "onsite", main));
}

// The paper for the visit: what is known is filled in, the rest are lines to write on.
Answer onsite_form_page(Context& c) {
  NORA_TRY(auto l, load(c, "onsite_form"));
  auto v = l.visit.value_or(cases::Visit{});
  auto line = [&](std::string_view label, std::string_view value) { return fact(label, value.empty() ? e::span(cls("blank"), " ") : http::text(value)); };
  std::vector<Html> parties;
  for (auto role : {"site", "operator", "maintainer"}) {
    auto at = std::find_if(l.parties.begin(), l.parties.end(), [&](const auto& p) { return p.role == role && !p.confirmed_by.empty(); });
    parties.push_back(e::h3(role_word(c, role)));
    parties.push_back(e::dl(cls("fact"), line(c.t("desk.col.name"), at == l.parties.end() ? "" : at->name), line(c.t("desk.col.contact"), at == l.parties.end() ? "" : at->contact)));
  }
  auto box = [&](std::string_view words, bool on) { return e::li(on ? "☑ " : "☐ ", words); };
  auto title = c.t("desk.form.title", {{"id", std::to_string(l.id)}});
  auto main = http::join(e::h1(title), e::p(c.t("desk.form.free")), e::p(cls("noprint s m"), c.t("desk.form.how")), e::h2(c.t("desk.form.found")), e::p(l.opened.what), findings_list(c, l), e::h2(c.t("desk.parties.title")), parties,
                         e::h2(c.t("desk.form.device")), e::dl(cls("fact"), line(c.t("desk.form.label"), ""), line(c.t("desk.form.serial"), ""), line(c.t("desk.form.mac"), ""), line(c.t("desk.form.path"), "")),
                         e::h2(c.t("desk.visit.title")),
                         e::dl(cls("fact"), line(c.t("desk.visit.planned"), v.planned_for), line(c.t("desk.visit.visitor"), v.visitor), line(c.t("desk.visit.action"), v.action), line(c.t("desk.visit.deadline"), v.deadline)),
                         e::ul(cls("plain"), box(c.t("desk.visit.exposure"), v.exposure_confirmed), box(c.t("desk.visit.free"), v.free_of_charge_told), box(c.t("desk.visit.done"), v.done)), e::h2(c.t("desk.visit.notes")),
                         v.notes.empty() ? e::div(cls("blank tall")) : e::p(v.notes), e::dl(cls("fact"), line(c.t("desk.form.sign_site"), ""), line(c.t("desk.form.sign_visitor"), "")));
  return http::Response::page(page(c.view, title, "onsite", main));
}

Answer onsite_party(Context& c) {
  NORA_TRY(auto id, id_param(c.request, "id"));
  cases::Party party;
  party.role = c.form("role");
  if (std::find(std::begin(roles), std::end(roles), party.role) == std::end(roles)) return fail(Code::bad_input, "this role does not exist");
  party.name = to_clean_utf8(c.form("name"));
  party.contact = to_clean_utf8(c.form("contact"));
  if (party.name.empty()) return fail(Code::bad_input, c.t("desk.party.name_needed"));
  NORA_TRY(auto onsite, store_of(c));
  NORA_TRY(auto clues, onsite.clues(id));
  for (const auto& ticked : c.request.form.all("clue"))
    for (const auto& k : clues) if (std::to_string(k.id) == ticked) party.clues.push_back(k.id);
  NORA_CHECK(c.parts.leaf("onsite_party", {{"case", id}, {"role", party.role}, {"who", c.user()}}));
  NORA_CHECK(onsite.propose(id, party, c.user(), c.view.now));
  return http::Response::see_other(c.view.url(fmt::format("/onsite/{}", id)));
}

Answer onsite_confirm(Context& c) {
  NORA_TRY(auto id, id_param(c.request, "id"));
  NORA_TRY(auto onsite, store_of(c));
  NORA_TRY(auto parties, onsite.parties(id));
  for (const auto& p : parties) {
    if (std::to_string(p.id) != c.form("party")) continue;
    if (p.proposed_by == c.user()) return fail(Code::refused, c.t("desk.party.second_needed"));
    NORA_CHECK(c.parts.leaf("onsite_confirm", {{"case", id}, {"party", p.id}, {"who", c.user()}}));
    NORA_CHECK(onsite.confirm(p.id, c.user(), c.view.now));
    return http::Response::see_other(c.view.url(fmt::format("/onsite/{}", id)));
  }
  return fail(Code::not_found, "there is no such party");
}

Answer onsite_visit(Context& c) {
  NORA_TRY(auto id, id_param(c.request, "id"));
  cases::Visit v;
  v.planned_for = to_clean_utf8(c.form("planned_for"));
  v.visitor = to_clean_utf8(c.form("visitor"));
  v.action = to_clean_utf8(c.form("action"));
  v.deadline = to_clean_utf8(c.form("deadline"));
  v.notes = to_clean_utf8(c.form("notes"));
  v.exposure_confirmed = c.form("exposure_confirmed") == "1";
  v.free_of_charge_told = c.form("free_of_charge_told") == "1";
  v.done = c.form("done") == "1";
  NORA_TRY(auto onsite, store_of(c));
  NORA_CHECK(c.parts.leaf("onsite_visit", {{"case", id}, {"who", c.user()}}));
  NORA_CHECK(onsite.record_visit(id, v, c.user(), c.view.now));
  return http::Response::see_other(c.view.url(fmt::format("/onsite/{}", id)));
}

}  // namespace nora::desk
