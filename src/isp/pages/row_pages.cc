// One row (finding, evidence of the match, draft, isolation), the isolation list, the grounds.
#include <charconv>

#include "base/escape.h"
#include "isp/pages/view.h"

namespace nora::isp {
namespace {

Result<std::int64_t> id_of(const http::Request& r) {
  auto text = r.param("id");
  std::int64_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return fail(Code::not_found, "there is no such isolation");
  return id;
}

}  // namespace

Site::Answer Site::one_row(View& v, Party& party) const {
  NORA_TRY(auto r, row(party, v.request.param("id")));
  NORA_TRY(auto leaf, party.audit->append("row_view", {{"by", v.user.id}, {"row", r.item.row_id}}));
  (void)leaf;
  const auto& i = r.item;
  auto product = product_text(i);
  auto finding = e::section(
      cls("card"), e::h2(v.t("isp.row.finding")),
      e::dl(cls("fact"), fact(v.t("isp.col.product"), product.empty() ? v.t("isp.unknown") : product), fact(v.t("isp.class"), fmt::format("{} ({})", i.finding_class, i.pattern)),
            fact(v.t("isp.severity"), i.severity), fact(v.t("isp.col.address"), e::span(cls("mono"), address_text(i))), fact(v.t("isp.col.seen"), v.when(i.where.at)),
            fact(v.t("isp.code"), e::span(cls("mono"), i.notice_code)), fact(v.t("isp.col.line"), r.line.empty() ? "–" : r.line.reveal()),
            fact(v.t("isp.col.state"), state_pill(r.state, v.word("isp.state", r.state)))),
      e::p(cls("s m"), i.evidence));
  NORA_TRY(auto history, match_history(party, i.row_id));
  std::vector<Html> matches;
  for (const auto& m : history)
    matches.push_back(e::dl(cls("fact"), fact(v.t("isp.match.at"), v.when(m.at)), fact(v.t("isp.match.status"), state_pill(m.status == "unique" ? "matched" : m.status, m.status)),
                            fact(v.t("isp.match.reason"), m.reason), fact(v.t("isp.match.margin"), m.margin ? v.t("isp.seconds", {{"n", fmt::format("{:.1f}", m.margin->as_seconds())}}) : v.t("isp.no_border")),
                            fact(v.t("isp.match.uncertainty"), v.t("isp.seconds", {{"n", fmt::format("{:.1f}", m.uncertainty.as_seconds())}})), fact(v.t("isp.match.ground"), m.ground),
                            fact(v.t("isp.match.record"), e::span(cls("mono"), m.record)), fact(v.t("isp.match.leaf"), fmt::format("{}", m.leaf))));
  Html evidence;
  if (matches.empty()) {
    evidence = e::p(v.t("isp.row.match.none"));
  } else {
    evidence = matches.front();
    if (matches.size() > 1) evidence += e::details(e::summary(fmt::format("{} ({})", v.t("isp.row.history"), matches.size() - 1)), e::div(std::vector<Html>(matches.begin() + 1, matches.end())));
  }
  Html draft;
  if (r.state == "matched" && v.user.has_role("operator")) {
    NORA_TRY(auto drafts, draft_notices(party, p_.messages, "preview", i.row_id));
    std::vector<Html> parts;
    for (const auto& d : drafts) {
      if (!d.notice) { parts.push_back(e::p(v.t("isp.draft.held", {{"why", v.word("isp.why", d.why)}}))); continue; }
      std::vector<Html> checks;
      for (const auto& c : check_notice(*d.notice)) checks.push_back(http::join(e::span(cls(c.good ? "pill ok" : "pill bad"), http::icon(c.good ? "check" : "warn"), c.name), " "));
      parts.push_back(e::p(cls("s m"), d.notice->to()));
      parts.push_back(e::pre(attr("lang", "ja"), attr("tabindex", "0"), d.notice->subject() + "\n\n" + d.notice->body()));
      parts.push_back(e::p(checks));
    }
    draft = e::section(cls("card"), e::h2(v.t("isp.row.preview")), parts);
  }
  Html isolate;
  if (!r.line.empty() && v.user.has_role("operator"))
    isolate = e::section(
        cls("card"), e::h2(v.t("isp.isolate.title")), e::p(cls("s"), v.t("isp.isolate.text")),
        e::form(attr("method", "post"), attr("action", v.url(fmt::format("/row/{}/isolate", to_url(i.row_id)))), v.csrf,
                e::fieldset(cls("choice"), e::legend(v.t("isp.isolate.scope")),
                            i.has_port ? e::label(e::input(attr("type", "radio"), attr("name", "scope"), attr("value", "block-in"), http::flag("checked")),
                                                  v.t("isp.isolate.scope.block", {{"port", std::to_string(i.where.port.value)}}))
                                       : Html{},
                            e::label(e::input(attr("type", "radio"), attr("name", "scope"), attr("value", "walled-garden"), http::flag("checked", !i.has_port)), v.t("isp.isolate.scope.garden"))),
                e::div(cls("field"), e::label(attr("for", "reason"), v.t("isp.isolate.reason")), e::input(http::id("reason"), attr("name", "reason"), attr("maxlength", 500), http::flag("required"))),
                e::div(cls("field"), e::label(attr("for", "hours"), v.t("isp.isolate.hours")),
                       e::input(http::id("hours"), attr("name", "hours"), attr("type", "number"), attr("min", 1), attr("max", max_hours), attr("value", "24"), http::flag("required"))),
                e::p(button(v.t("isp.isolate.ask"), "d full"))));
  auto main = http::join(e::p(cls("crumb"), e::a(href(v.url("/worklist")), v.t("isp.title.worklist"))), e::h1(cls("mono"), address_text(i)),
                         e::div(cls("side"), e::div(finding, e::section(cls("card"), e::h2(v.t("isp.row.match")), evidence), draft),
                                e::aside(attr("aria-label", v.t("isp.title.isolation")), isolate)));
  return http::Response::page(frame(v, address_text(i), "worklist", main));
}

Site::Answer Site::ask_isolation(View& v, Party& party) const {
  NORA_TRY(auto scope, parse_scope(v.request.form.get("scope")));
  auto hours_text = v.request.form.get("hours");
  std::int64_t hours = 0;
  std::from_chars(hours_text.data(), hours_text.data() + hours_text.size(), hours);
  NORA_TRY(auto done, request_isolation(party, {std::string(v.request.param("id")), v.user.id, to_clean_utf8(v.request.form.get("reason")), scope, hours}));
  (void)done;
  return http::Response::see_other(v.url("/isolation"));
}

Site::Answer Site::isolation_list(View& v, Party& party) const {
  NORA_TRY(auto leaf, party.audit->append("list_view", {{"by", v.user.id}, {"tab", "isolation"}}));
  (void)leaf;
  NORA_TRY(auto list, isolations(party));
  std::vector<Html> cards;
  for (const auto& i : list) {
    Html acts;
    auto post = [&](std::string_view verb, const Html& inside) {
      return e::form(attr("method", "post"), attr("action", v.url(fmt::format("/isolation/{}/{}", i.id, verb))), v.csrf, inside);
    };
    if (i.state == "requested" && v.user.id == i.requested_by) acts += e::p(cls("s m"), v.t("isp.isolate.self"));
    if ((i.state == "requested" && v.user.id != i.requested_by) || i.state == "approved")
      if (v.user.has_role("approver")) acts += post("approve", http::join(e::p(cls("s"), v.t("isp.isolate.warning")), button(v.t("isp.isolate.approve"), "d")));
    if ((i.state == "applied" || i.state == "releasing") && (v.user.has_role("operator") || v.user.has_role("approver")))
      acts += post("release", http::join(e::div(cls("field"), e::label(attr("for", fmt::format("why{}", i.id)), v.t("isp.isolate.reason")),
                                                e::input(http::id(fmt::format("why{}", i.id)), attr("name", "reason"), attr("maxlength", 500), http::flag("required"))),
                                         e::p(button(v.t("isp.isolate.release"), "q"))));
    cards.push_back(e::section(
        cls("card"), e::h2(fmt::format("{} · {} · ", i.id, i.scope), i.line.reveal()),
        e::dl(cls("fact"), fact(v.t("isp.col.state"), state_pill(i.state, v.word("isp.iso", i.state))), fact(v.t("isp.col.address"), e::a(href(v.url("/row/" + to_url(i.row_id))), i.address.text())),
              fact(v.t("isp.isolate.reason"), i.reason), fact(v.t("isp.isolate.by"), i.requested_by), fact(v.t("isp.isolate.approver"), i.approved_by.empty() ? "–" : i.approved_by),
              fact(v.t("isp.isolate.expires"), v.when(i.expires))),
        i.last_error.empty() ? Html{} : e::p(cls("error"), i.last_error), acts));
  }
  auto main = http::join(e::h1(v.t("isp.title.isolation")), e::p(v.t("isp.isolate.text")), cards.empty() ? e::p(v.t("isp.isolate.none")) : e::div(cls("g2"), cards));
  return http::Response::page(frame(v, v.t("isp.title.isolation"), "isolation", main));
}

Site::Answer Site::approve(View& v, Party& party) const {
  NORA_TRY(auto id, id_of(v.request));
  NORA_TRY(auto before, isolation(party, id));
  if (before.state == "requested") NORA_CHECK(approve_isolation(party, id, v.user.id));
  NORA_TRY(auto done, apply_isolation(party, p_.nas, id, v.user.id));
  (void)done;
  return http::Response::see_other(v.url("/isolation"));
}

Site::Answer Site::release(View& v, Party& party) const {
  NORA_TRY(auto id, id_of(v.request));
  NORA_TRY(auto done, release_isolation(party, p_.nas, id, v.user.id, to_clean_utf8(v.request.form.get("reason"))));
  (void)done;
  return http::Response::see_other(v.url("/isolation"));
}

Site::Answer Site::ground_list(View& v, Party& party) const {
  NORA_TRY(auto grounds, party.grounds());
  std::vector<Html> lines;
  for (const auto& g : grounds.all())
    lines.push_back(e::tr(e::th(attr("scope", "row"), g.finding_class), e::td(law::name(g.kind)), e::td(fmt::format("{} {}", g.reference, g.version)), e::td(g.approved_by), e::td(v.when(g.valid_until))));
  auto main = http::join(e::h1(v.t("isp.grounds.title")),
                         lines.empty() ? e::p(v.t("isp.grounds.none"))
                                       : e::div(cls("tw"), attr("tabindex", "0"), attr("role", "region"), attr("aria-label", v.t("isp.grounds.title")),
                                                e::table(e::thead(e::tr(e::th(attr("scope", "col"), v.t("isp.grounds.class")), e::th(attr("scope", "col"), v.t("isp.match.ground")),
                                                                        e::th(attr("scope", "col"), v.t("isp.grounds.reference")), e::th(attr("scope", "col"), v.t("isp.grounds.by")),
                                                                        e::th(attr("scope", "col"), v.t("isp.grounds.until")))),
                                                         e::tbody(lines))));
  return http::Response::page(frame(v, v.t("isp.grounds.title"), "grounds", main));
}

}  // namespace nora::isp
