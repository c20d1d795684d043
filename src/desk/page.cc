#include "desk/page.h"

#include <fmt/core.h>

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::element;
using http::href;
namespace e = http::el;

struct NavEntry {
  std::string_view key, path, roles;  // roles "" = everybody
};
constexpr NavEntry nav_entries[] = {
    {"overview", "/", ""},
    {"findings", "/findings", "analyst,operator,approver"},
    {"devices", "/devices", "analyst,operator,approver"},
    {"clusters", "/clusters", "analyst,operator,approver"},
    {"cases", "/cases", "analyst,operator,approver"},
    {"onsite", "/onsite", "analyst,operator,approver"},
    {"lists", "/lists", "operator,approver"},
    {"law", "/law", "analyst,operator,approver,auditor"},
    {"runs", "/runs", "analyst,operator,approver,auditor"},
    {"audit", "/audit", "operator,approver,auditor"},
    {"users", "/users", "operator,auditor"},
};

Html language_switch(const View& view) {
  std::vector<Html> links;
  for (Lang lang : all_langs) {
    auto word = lang == Lang::ja ? "日本語" : lang == Lang::easy ? "やさしい日本語" : "English";
    auto target = fmt::format("/{}{}", code(lang), view.path);
    links.push_back(e::a(href(target), attr("lang", html_lang(lang)), attr("hreflang", html_lang(lang)),
                         lang == view.lang ? attr("aria-current", "true") : http::Attr{}, word));
  }
  return e::nav(cls("lang"), attr("aria-label", view.t("desk.nav.language")), links);
}

}  // namespace

std::string View::t(std::string_view id, const Args& args) const {
  return messages.get(lang == Lang::easy && !messages.has(Lang::easy, id) ? Lang::ja : lang, id, args);
}
bool View::has(std::string_view id) const { return messages.has(lang, id) || (lang == Lang::easy && messages.has(Lang::ja, id)); }
std::string View::url(std::string_view where) const { return fmt::format("/{}{}", code(lang), where); }

bool View::may(std::string_view roles) const {
  if (!user) return false;
  while (!roles.empty()) {
    auto comma = roles.find(',');
    if (user->has_role(roles.substr(0, comma))) return true;
    roles.remove_prefix(comma == roles.npos ? roles.size() : comma + 1);
  }
  return false;
}

Html page(const View& view, std::string_view title, std::string_view nav, const Html& main) {
  std::vector<Html> entries;
  for (const auto& n : nav_entries) {
    if (!n.roles.empty() && !view.may(n.roles)) continue;
    entries.push_back(e::a(href(view.url(n.path)), n.key == nav ? attr("aria-current", "page") : http::Attr{},
                           view.t(fmt::format("desk.nav.{}", n.key))));
  }
  Html who;
  if (view.user)
    who = e::form(cls("who"), attr("method", "post"), attr("action", "/logout"), view.csrf, e::span(cls("s m"), view.user->name), " ",
                  e::button(cls("btn q sm"), attr("type", "submit"), view.t("desk.logout")));
  auto body = http::join(
      e::a(cls("skip"), href("#main"), view.t("desk.skip")),
      e::header(cls("top"),
                e::div(cls("wide"), e::a(cls("brand"), href(view.url("/")), http::icon("shield"), e::span("Nora")),
                       e::nav(attr("aria-label", view.t("desk.nav.main")), entries), who, language_switch(view))),
      e::main_(http::id("main"), cls("wide"), main),
      e::footer(e::div(cls("wide"), e::p(view.t("desk.footer", {{"at", when_text(view, view.now)}})))));
  http::Head head;
  head.lang = view.lang;
  head.title = fmt::format("{} – Nora", title);
  head.stylesheet = view.stylesheet;
  return http::document(head, body);
}

Html note_page(const View& view, std::string_view title, std::string_view sentence) {
  return page(view, title, "", http::join(e::h1(title), e::p(sentence), e::p(e::a(href(view.url("/")), view.t("desk.back_overview")))));
}

std::string when_text(const View& view, Instant at) {
  return at.us == 0 ? "–" : at.local(view.utc_offset_min) + " " + view.offset_name;
}
Html when(const View& view, Instant at) {
  if (at.us == 0) return http::text("–");
  return e::time(attr("datetime", at.text()), cls("num"), when_text(view, at));
}

Html pill(std::string_view kind, std::string_view text, std::string_view icon) {
  return e::span(cls(fmt::format("pill {}", kind)), icon.empty() ? Html{} : http::icon(icon), text);
}

// Colour is never alone: the word stands in the pill, and the three that matter have an icon as well.
Html state_pill(const View& view, std::string_view state) {
  if (state.empty()) return pill("n", view.t("desk.state.none"));
  auto id = fmt::format("desk.state.{}", state);
  auto word = view.has(id) ? view.t(id) : std::string(state);
  auto one_of = [&](std::initializer_list<std::string_view> starts) {
    for (auto start : starts) if (state.starts_with(start)) return true;
    return false;
  };
  if (one_of({"S7_", "S9R", "CLOSED"})) return pill("ok", word, "check");
  if (one_of({"S7R", "S7X", "S8", "S9"})) return pill("bad", word, "warn");
  if (one_of({"S3A", "S3N", "S3C", "S10", "S12"})) return pill("warn", word, "info");
  if (one_of({"X_"})) return pill("n", word);
  return pill("k", word);
}
Html finding_pill(const View& view, std::string_view state) {
  auto word = view.t(fmt::format("desk.finding.{}", state));
  if (state == "open") return pill("bad", word, "warn");
  if (state == "fixed") return pill("ok", word, "check");
  return pill("n", word);
}

std::string pattern_words(const View& view, registry::Pattern pattern) {
  char letter = static_cast<char>(pattern);
  return fmt::format("{} {}", letter, view.t(fmt::format("desk.pattern.{}", letter)));
}
std::string rule_title(const View& view, std::string_view rule) {
  auto id = fmt::format("exposure.{}.title", rule);
  return view.has(id) ? view.t(id) : std::string(rule);
}
std::string severity_word(const View& view, registry::Severity severity) {
  return view.t(fmt::format("desk.severity.{}", static_cast<int>(severity)));
}
Html pattern_legend(const View& view) {
  std::vector<Html> words;
  for (char letter : {'A', 'B', 'C', 'D'})
    words.push_back(http::join(words.empty() ? "" : " · ", e::b(std::string(1, letter)), " ", view.t(fmt::format("desk.pattern.{}.long", letter))));
  return e::p(cls("s m"), words);
}

Html table(const Table& t) {
  std::vector<Html> head;
  for (const auto& column : t.columns) {
    bool right = column.starts_with(">");
    head.push_back(e::th(attr("scope", "col"), right ? cls("r") : http::Attr{}, right ? column.substr(1) : column));
  }
  std::vector<Html> rows;
  for (const auto& row : t.rows) {
    std::vector<Html> cells;
    for (std::size_t i = 0; i < row.size(); ++i)
      cells.push_back(e::td(i < t.columns.size() && t.columns[i].starts_with(">") ? cls("r num") : http::Attr{}, row[i]));
    rows.push_back(e::tr(cells));
  }
  return e::div(cls("tw"), attr("tabindex", "0"), attr("role", "group"), attr("aria-label", t.label),
                e::table(e::thead(e::tr(head)), e::tbody(rows)));
}
Html table_or(const Table& t, std::string_view when_empty) { return t.rows.empty() ? e::p(cls("m"), when_empty) : table(t); }

Html section(std::string_view id, std::string_view heading, const Html& content) {
  return e::section(cls("card"), attr("aria-labelledby", id), e::h2(http::id(id), heading), content);
}
Html fact(std::string_view term, const Html& value) { return http::join(e::dt(term), e::dd(value)); }
Html link(const View& view, std::string_view path, std::string_view text) { return e::a(href(view.url(path)), text); }
Html field(std::string_view id, std::string_view label, const Html& input) { return e::div(cls("field"), e::label(attr("for", id), label), input); }
Html text_input(std::string_view id, std::string_view value, bool required, int max_length) {
  return e::input(http::id(id), attr("name", id), attr("type", "text"), attr("value", value), attr("maxlength", max_length),
                  attr("autocomplete", "off"), http::flag("required", required));
}
Html choice(std::string_view id, const std::vector<std::pair<std::string, std::string>>& options, std::string_view chosen) {
  std::vector<Html> items;
  for (const auto& [value, word] : options) items.push_back(e::option(attr("value", value), http::flag("selected", value == chosen), word));
  return e::select(http::id(id), attr("name", id), items);
}
Html button(std::string_view text, std::string_view kind) {
  return e::button(cls(kind.empty() ? "btn" : fmt::format("btn {}", kind)), attr("type", "submit"), text);
}
Html post_form(const View& view, std::string_view path, const Html& fields) {
  return e::form(attr("method", "post"), attr("action", view.url(path)), view.csrf, fields);
}

std::string host_path(Ip ip) { return "/host/" + ip.text(); }

std::string query_with(const http::Fields& query, std::string_view name, std::string_view value) {
  http::Fields changed;
  for (const auto& [n, v] : query.items())
    if (n != name && !v.empty()) changed.add(n, v);
  if (!value.empty()) changed.add(std::string(name), std::string(value));
  return changed.empty() ? "" : "?" + http::encode_form(changed);
}

}  // namespace nora::desk
