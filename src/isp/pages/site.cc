// Frame, routing and the worklist.
#include "isp/pages/site.h"

#include <algorithm>

#include "base/escape.h"
#include "isp/pages/view.h"

namespace nora::isp {
namespace {

Lang language_of(std::string_view path) { return path.starts_with("/en/") ? Lang::en : Lang::ja; }

std::string home(const http::Request& r) { return r.header("accept-language").starts_with("en") ? "/en/worklist" : "/ja/worklist"; }

std::string_view next_step(std::string_view state) {
  if (state == "new" || state == "no_ground" || state == "matched" || state == "queued" || state == "notified" || state == "bounced" || state == "isolated" || state == "released") return state;
  if (state == "ambiguous" || state == "near_boundary" || state == "shared_no_port" || state == "none") return "unclear";
  return "held";
}

}  // namespace

http::Handler Site::page(std::string_view roles, Work work) const {
  return p_.sessions.require(roles, [this, work](http::Request& request, const http::User& user) -> http::Response {
    View v{request, user, language_of(request.path), p_.messages, p_.csrf.field(request), {}};
    auto answer = p_.party.with([&](std::unique_ptr<Party>& party) {
      const auto& s = party->settings;
      v.isp = v.lang == Lang::en && !s.name_en.empty() ? s.name_en : !s.name_ja.empty() ? s.name_ja : s.isp;
      return (this->*work)(v, *party);
    });
    if (answer) return std::move(*answer);
    const auto& error = answer.error();
    int status = error.code == Code::not_found ? 404 : error.code == Code::usage || error.code == Code::bad_input ? 400 : error.code == Code::refused ? 403 : 500;
    return http::Response::page(frame(v, v.t("isp.error"), "", http::join(e::h1(v.t("isp.error")), e::p(cls("error"), error.what), e::p(error.fix),
                                                                          e::p(e::a(href(v.url("/worklist")), v.t("isp.back"))))),
                                status);
  });
}

Html Site::frame(const View& v, std::string_view title, std::string_view nav, const Html& main) const {
  auto entry = [&](std::string_view key, std::string_view path) {
    return e::a(href(v.url(path)), key == nav ? attr("aria-current", "page") : http::Attr{}, v.t(fmt::format("isp.nav.{}", key)));
  };
  auto rest = v.request.path.size() > 3 ? v.request.path.substr(3) : std::string("/worklist");
  auto tongue = [&](Lang lang, std::string_view word) {
    return e::a(href(fmt::format("/{}{}", code(lang), v.request.method == http::Method::post ? "/worklist" : rest)), attr("lang", html_lang(lang)), attr("hreflang", html_lang(lang)),
                lang == v.lang ? attr("aria-current", "true") : http::Attr{}, word);
  };
  auto body = http::join(
      e::a(cls("skip"), href("#main"), v.t("isp.skip")),
      e::header(cls("top"), e::div(cls("wide"), e::a(cls("brand"), href(v.url("/worklist")), http::icon("shield"), e::span("Nora · ", v.isp)),
                                   e::nav(attr("aria-label", v.t("isp.nav.main")), entry("worklist", "/worklist"), entry("isolation", "/isolation"), entry("grounds", "/grounds")),
                                   e::form(cls("who"), attr("method", "post"), attr("action", "/logout"), v.csrf, e::span(cls("s m"), v.user.name), " ", button(v.t("isp.nav.logout"), "q sm")),
                                   e::nav(cls("lang"), attr("aria-label", v.t("isp.language")), tongue(Lang::ja, "日本語"), tongue(Lang::en, "English")))),
      e::main_(http::id("main"), cls("wide"), main),
      e::footer(e::div(cls("wide"), e::p(v.t("isp.stays_here")), e::p(v.t("isp.footer", {{"isp", v.isp}, {"at", v.when(p_.env.clock.now())}})))));
  http::Head head;
  head.lang = v.lang;
  head.title = fmt::format("{} – {} – Nora", title, v.isp);
  head.stylesheet = p_.files.href("nora.css");
  return http::document(head, body);
}

Site::Answer Site::worklist(View& v, Party& party) const {
  auto tab = std::string(v.request.query.get("tab"));
  auto find = std::string(v.request.query.get("q")).substr(0, 200);
  auto after = std::string(v.request.query.get("after"));
  NORA_TRY(auto leaf, party.audit->append("list_view", {{"by", v.user.id}, {"tab", to_clean_utf8(tab)}, {"find", to_clean_utf8(find)}}));
  (void)leaf;
  NORA_TRY(auto counts, count_by_state(party));
  NORA_TRY(auto list, rows(party, {.state = tab, .text = find, .after = after, .limit = rows_per_page + 1}));
  const bool more = list.size() > rows_per_page;
  if (more) list.resize(rows_per_page);
  std::int64_t all = 0, to_match = 0, ready = 0;
  for (const auto& [state, n] : counts) all += n;
  std::vector<Html> tabs;
  auto add_tab = [&](std::string_view key, std::int64_t n) {
    auto current = key == (tab.empty() ? "all" : tab);
    tabs.push_back(e::a(href(key == "all" ? v.url("/worklist") : v.url(fmt::format("/worklist?tab={}", key))), current ? attr("aria-current", "page") : http::Attr{},
                        v.t(fmt::format("isp.tab.{}", key)), " ", e::span(cls("num"), n)));
  };
  add_tab("all", all);
  for (const auto& [key, states] : state_groups()) {
    std::int64_t n = 0;
    for (auto s : states)
      if (auto it = counts.find(std::string(s)); it != counts.end()) n += it->second;
    if (key == "to_match") to_match = n;
    if (key == "ready") ready = n;
    add_tab(key, n);
  }
  std::vector<Html> lines;
  for (const auto& r : list) {
    auto product = product_text(r.item);
    auto path = v.url("/row/" + to_url(r.item.row_id));
    lines.push_back(e::tr(e::td(e::time(attr("datetime", r.item.where.at.text()), cls("num"), v.when(r.item.where.at))), e::td(e::span(cls("mono"), address_text(r.item))),
                          e::td(product.empty() ? v.t("isp.unknown") : product), e::td(std::string(1, r.item.pattern)), e::td(r.line.empty() ? "–" : r.line.reveal()),
                          e::td(state_pill(r.state, v.word("isp.state", r.state))),
                          e::td(e::a(href(path), attr("aria-label", fmt::format("{} {}", v.t(fmt::format("isp.next.{}", next_step(r.state))), address_text(r.item))),
                                     v.t(fmt::format("isp.next.{}", next_step(r.state)))))));
  }
  Html table = lines.empty()
                   ? e::p(v.t("isp.empty"))
                   : e::div(cls("tw dense"), attr("tabindex", "0"), attr("role", "region"), attr("aria-label", v.t("isp.table")),
                            e::table(e::thead(e::tr(e::th(attr("scope", "col"), v.t("isp.col.seen")), e::th(attr("scope", "col"), v.t("isp.col.address")), e::th(attr("scope", "col"), v.t("isp.col.product")),
                                                    e::th(attr("scope", "col"), v.t("isp.col.pattern")), e::th(attr("scope", "col"), v.t("isp.col.line")), e::th(attr("scope", "col"), v.t("isp.col.state")),
                                                    e::th(attr("scope", "col"), v.t("isp.col.next")))),
                                     e::tbody(lines)));
  Html next;
  if (more) {
    http::Fields q;
    if (!tab.empty()) q.add("tab", tab);
    if (!find.empty()) q.add("q", find);
    q.add("after", list.back().item.row_id);
    next = e::p(e::a(cls("btn q sm"), attr("rel", "next"), href(v.url("/worklist?" + http::encode_form(q))), v.t("isp.next_page", {{"n", std::to_string(rows_per_page)}})));
  }
  Html tools;
  if (v.user.has_role("operator"))
    tools = e::aside(attr("aria-label", v.t("isp.match.title")),
                     e::section(cls("card"), e::h2(v.t("isp.match.title")), e::p(cls("s"), v.t("isp.match.note")),
                                e::form(attr("method", "post"), attr("action", v.url("/match")), v.csrf, button(fmt::format("{} {}", v.t("isp.match.do"), to_match), "full"))),
                     e::section(cls("card"), e::h2(v.t("isp.send.title")), e::p(cls("s"), v.t("isp.send.note")),
                                e::form(attr("method", "post"), attr("action", v.url("/send")), v.csrf, button(v.t("isp.send.do", {{"n", std::to_string(ready)}}), "full"))));
  auto main = http::join(
      e::h1(v.t("isp.title.worklist")), e::nav(cls("tabs"), attr("aria-label", v.t("isp.tabs")), tabs),
      e::div(cls(tools.empty() ? "" : "side"),
             e::div(e::form(cls("qf"), attr("role", "search"), attr("method", "get"), attr("action", v.url("/worklist")), e::label(cls("vh"), attr("for", "q"), v.t("isp.find.label")),
                            e::input(http::id("q"), attr("name", "q"), attr("value", find), attr("placeholder", v.t("isp.find.label"))), button(v.t("isp.find"), "q")),
                    table, next, e::p(cls("s m"), v.t("isp.patterns"))),
             tools));
  return http::Response::page(frame(v, v.t("isp.title.worklist"), "worklist", main));
}

Site::Answer Site::match_now(View& v, Party& party) const {
  NORA_TRY(auto counts, match_rows(party));
  (void)counts;
  return http::Response::see_other(v.url("/worklist"));
}

// Queues only; the ticker of `nora isp serve` hands the mails to the server, so that a slow server blocks no page.
Site::Answer Site::send_now(View& v, Party& party) const {
  NORA_TRY(auto counts, queue_notices(party, p_.messages));
  (void)counts;
  return http::Response::see_other(v.url("/worklist?tab=sent"));
}

void Site::add_routes(http::Router& router) const {
  router.get("/", [](http::Request& r) { return http::Response::see_other(home(r)); });
  for (auto lang : {"ja", "en"}) {
    auto at = [&](std::string_view path) { return fmt::format("/{}{}", lang, path); };
    router.get(at("/worklist"), page("", &Site::worklist));
    router.get(at("/row/{id}"), page("", &Site::one_row));
    router.post(at("/match"), page("operator", &Site::match_now));
    router.post(at("/send"), page("operator", &Site::send_now));
    router.post(at("/row/{id}/isolate"), page("operator", &Site::ask_isolation));
    router.get(at("/isolation"), page("", &Site::isolation_list));
    router.post(at("/isolation/{id}/approve"), page("approver", &Site::approve));
    router.post(at("/isolation/{id}/release"), page("operator,approver", &Site::release));
    router.get(at("/grounds"), page("", &Site::ground_list));
  }
}

}  // namespace nora::isp
