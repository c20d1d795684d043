// The frame of every page and the parts that several pages share.
#include "portal/view.h"

namespace nora::portal {

namespace e = http::el;
using http::attr;
using http::cls;
using http::href;
using http::id;
using http::join;

Html page(const View& view, std::string_view title, std::string_view path, const Html& main) {
  std::vector<Html> languages;
  const std::pair<Lang, std::string_view> names[] = {{Lang::ja, "日本語"}, {Lang::easy, "やさしい日本語"}, {Lang::en, "English"}};
  for (const auto& [lang, name] : names)
    languages.push_back(e::a(href("/" + std::string(code(lang)) + std::string(path)), attr("lang", html_lang(lang)), attr("hreflang", html_lang(lang)),
                             lang == view.lang ? attr("aria-current", "page") : http::Attr{}, name));
  const auto name = view.t("name");
  const auto heading = title.empty() ? name : unmarked(title) + (view.lang == Lang::en ? " – " : "｜") + name;
  return http::document(
      {.lang = view.lang, .title = heading, .stylesheet = view.site.files.href("nora.css"), .description = view.t("description")},
      join(e::a(cls("skip"), href("#main"), view.t("skip")),
           e::header(cls("top"), e::div(cls("wrap"), e::a(cls("brand"), href(view.url("/")), http::icon("shield"), e::span(name)),
                                        e::nav(attr("aria-label", view.t("nav.lang")), languages))),
           e::main_(id("main"), cls("wrap"), main),
           e::footer(e::div(cls("wrap"),
                            e::nav(attr("aria-label", view.t("nav.about")), e::a(href(view.url("/")), view.t("nav.front")), e::a(href(view.url("/how")), view.t("nav.how")),
                                   e::a(href(view.url("/access")), view.t("nav.access"))),
                            view.p("no_tracking")))));
}

Html status_box(Tone tone, const Html& heading, const Html& words) {
  const auto [kind, picture] = tone == Tone::bad ? std::pair("bad", "warn") : tone == Tone::warn ? std::pair("warn", "info") : std::pair("ok", "ok");
  return e::div(cls("status " + std::string(kind)), http::icon(picture), heading, words);
}

Html genuine_box(const View& view, const exchange::NoticeView* notice) {
  const bool words = notice && !notice->word1.empty() && !notice->word2.empty();
  const auto isp = notice && !notice->isp_name.empty() ? notice->isp_name : view.t("your_isp");
  return e::details(
      e::summary(view.t("genuine.title")),
      e::div(words ? join(view.p("genuine.words"), e::p(e::span(cls("words"), notice->word1, view.lang == Lang::en ? " · " : "・", notice->word2))) : Html{},
             e::ul(e::li(view.r("genuine.bill", {{"isp", isp}})), e::li(view.r("genuine.never")), e::li(view.r("genuine.type")))));
}

Html check_form(const View& view, std::string_view code) {
  return e::section(
      cls("card soft"), attr("aria-labelledby", "check"), e::h2(id("check"), view.t(code.empty() ? "check.title" : "check.again")), view.p("check.what"),
      e::form(attr("method", "post"), attr("action", view.url("/check")), view.site.csrf.field(view.request),
              code.empty() ? Html{} : e::input(attr("type", "hidden"), attr("name", "code"), attr("value", code)),
              e::div(cls("choice"), e::label(e::input(attr("type", "checkbox"), attr("name", "consent"), attr("value", "yes"), http::flag("required")),
                                             e::span(view.r("check.consent")))),
              e::p(e::button(cls("btn full"), attr("type", "submit"), view.t("check.button"))),
              e::p(cls("s m"), view.r("check.line"), " ", e::span(cls("mono"), view.request.peer.text()))));
}

Html help_part(const View& view, std::string_view code) {
  const auto& phone = view.site.text.phone;
  std::vector<Html> faqs;
  for (const auto* question : {"how", "who", "nothing"}) {
    const auto base = "faq." + std::string(question);
    faqs.push_back(e::details(e::summary(view.t(base + ".q")), e::div(view.p(base + ".a"))));
  }
  return join(e::h2(id("help"), view.t("help.title")),
              phone.empty() ? view.p("help.isp") : e::p(view.r("help.phone", {{"phone", phone}})),
              code.empty() ? Html{} : e::p(view.r("help.code"), " ", e::span(cls("mono nowrap"), code)), faqs);
}

Html code_form(const View& view, std::string_view error_id) {
  const bool wrong = !error_id.empty();
  return e::section(
      cls("card"), attr("aria-labelledby", "code-title"), e::h2(id("code-title"), view.t("code.title")),
      wrong ? e::p(cls("error"), id("code-error"), attr("role", "alert"), view.r(error_id)) : Html{},
      e::form(attr("method", "post"), attr("action", view.url("/code")), view.site.csrf.field(view.request), e::label(attr("for", "code"), view.t("code.label")),
              e::p(e::input(id("code"), attr("name", "code"), cls("code-in mono"), attr("type", "text"), attr("inputmode", "text"), attr("autocomplete", "off"),
                            attr("autocapitalize", "characters"), attr("spellcheck", "false"), attr("maxlength", "40"), http::flag("required"),
                            attr("aria-describedby", wrong ? "code-error code-hint" : "code-hint"), wrong ? attr("aria-invalid", "true") : http::Attr{})),
              e::p(cls("s m"), id("code-hint"), view.r("code.hint")), e::p(e::button(cls("btn"), attr("type", "submit"), view.t("code.button")))));
}

Html steps_list(const View& view, const std::string& advice) {
  std::vector<Html> steps;
  for (const auto* n : {"1", "2", "3"}) {
    const auto base = "advice." + advice + ".step" + n;
    if (advice.empty() || !view.site.messages.has(view.lang, base)) break;
    const auto more = base + ".more";
    steps.push_back(e::li(e::h3(rich(view.site.messages.get(view.lang, base))),
                          view.site.messages.has(view.lang, more) ? e::p(rich(view.site.messages.get(view.lang, more))) : Html{}));
  }
  return steps.empty() ? Html{} : e::ol(cls("steps"), steps);
}

// In plain words; what a flaw is called stands behind a fold, for the person who helps.
Html flaw_part(const View& view, const exchange::FindingView& f) {
  std::vector<Html> words;
  if (!f.flaw.empty()) words.push_back(join(view.r("flaw.used"), view.lang == Lang::en ? " " : "", view.r("flaw." + f.flaw)));
  if (f.support_ended) words.push_back(f.support_end.empty() ? view.r("flaw.ended") : view.r("flaw.ended_on", {{"day", f.support_end}}));
  if (words.empty()) return {};
  std::vector<Html> sentences, ids;
  for (const auto& w : words) sentences.push_back(e::p(w));
  for (const auto& cve : f.flaw_ids) ids.push_back(e::li(cls("mono"), cve));
  return e::section(cls("card soft"), attr("aria-label", view.t("flaw.title")), sentences,
                    ids.empty() ? Html{} : e::details(e::summary(view.t("flaw.technician")), e::div(view.p("flaw.ids"), e::ul(ids))));
}

Html not_checked_part(const View& view) {
  return join(e::h2(view.t("not_checked.title")),
              e::ul(e::li(view.r("not_checked.inside")), e::li(view.r("not_checked.login")), e::li(view.r("not_checked.other"))));
}

Html message_page(const View& view, Tone tone, std::string_view title_id, std::string_view text_id) {
  return page(view, view.t(title_id), "/",
              join(status_box(tone, e::h1(view.r(title_id)), view.p(text_id)), e::p(e::a(cls("btn"), href(view.url("/")), view.t("nav.front")))));
}

}  // namespace nora::portal
