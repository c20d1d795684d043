// A2: the page behind a notice code. Says what was seen on which device, how to fix it, and lets the owner check at once. No address, no name.
#include <set>

#include "portal/view.h"

namespace nora::portal {

namespace e = http::el;
using exchange::FindingView;
using exchange::NoticeView;
using http::attr;
using http::cls;
using http::href;
using http::id;
using http::join;

namespace {

bool is_fixed(const NoticeView& notice) {
  if (notice.case_state.starts_with("S7_FIXED") || notice.case_state.starts_with("CLOSED")) return true;
  for (const auto& f : notice.findings)
    if (f.state != "fixed") return false;
  return !notice.findings.empty();
}

// The finding that the page speaks about first: open before fixed, red before amber, then in the center's order.
const FindingView* first_finding(const NoticeView& notice) {
  const FindingView* best = nullptr;
  int best_rank = -1;
  for (const auto& f : notice.findings) {
    const int rank = (f.state == "fixed" ? 0 : 4) + (f.severity == "critical" ? 3 : f.severity == "high" ? 2 : bad_severity(f.severity) ? 1 : 0);
    if (rank > best_rank) {
      best = &f;
      best_rank = rank;
    }
  }
  return best;
}

Html plain_of(const View& view, const FindingView& f) {
  const auto plain = "exposure." + f.rule + ".plain";
  return view.site.messages.has(view.lang, plain) ? rich(view.site.messages.get(view.lang, plain)) : Html{};
}

Html found_part(const View& view, const NoticeView& notice, const FindingView& f) {
  const auto door = door_words(view.site.messages, view.lang, f.port, f.proto);
  std::vector<Html> facts;
  const auto fact = [&](std::string_view term, const Html& value) { facts.push_back(join(e::dt(view.t(term)), e::dd(value))); };
  fact("found.device", join(device_words(view.site.messages, view.lang, f),
                            e::small(f.product.empty() ? view.r("found.unknown")
                                                       : view.r("found.sure", {{"sure", view.t("sure." + std::string(sure_word(f.confidence)))},
                                                                               {"percent", std::to_string(static_cast<int>(f.confidence * 100 + 0.5))}}),
                                     " ", e::a(href("#not-mine"), view.t("found.wrong")))));
  fact("found.state", join(rich(rule_title(view.site.messages, view.lang, f.rule)), e::small(plain_of(view, f)), door.empty() ? Html{} : e::small(rich(door)),
                           e::small(view.r("pattern." + std::string(1, f.pattern)))));
  fact("found.when", join(http::element("time", attr("datetime", f.seen.text()), time_words(view.lang, f.seen)), e::small(cls("num"), utc_words(f.seen))));
  fact("found.where", notice.isp_name.empty() ? view.r("found.line") : view.r("found.line_of", {{"isp", notice.isp_name}}));
  std::vector<Html> others;
  std::set<std::string> told{device_words(view.site.messages, view.lang, f)};  // a product's flaw is said once
  for (const auto& other : notice.findings) {
    if (&other == &f) continue;
    const bool another = other.state != "fixed" && told.insert(device_words(view.site.messages, view.lang, other)).second;
    others.push_back(e::li(rich(rule_title(view.site.messages, view.lang, other.rule)), " ",
                           e::small(cls("m"), device_words(view.site.messages, view.lang, other)), " ",
                           e::span(cls(other.state == "fixed" ? "pill ok" : "pill bad"), http::icon(other.state == "fixed" ? "check" : "close"),
                                   view.t(other.state == "fixed" ? "state.fixed" : "state.open")),
                           another ? flaw_part(view, other) : Html{}));
  }
  return join(e::h2(view.t("found.title")), e::div(cls("prod"), http::icon(http::icon_for_type(f.type)), e::dl(cls("fact"), facts)),
              f.state == "fixed" ? Html{} : flaw_part(view, f), notice.sighting ? e::p(cls("card soft"), view.r("found.attacked")) : Html{},
              others.empty() ? Html{} : join(e::h3(view.t("found.others")), e::ul(others)));
}

// What else the owner must know now: the line is partly blocked, or a person looks at their objection.
Html state_part(const View& view, const NoticeView& notice) {
  const auto box = [&](std::string_view text) { return e::div(cls("card soft row"), http::icon("info"), e::p(view.r(text))); };
  if (notice.case_state == "S9A_APPROVED" || notice.case_state == "S9I_ISOLATED") return box("notice.isolated");
  if (notice.case_state == "X_DISPUTED") return box("notice.disputed");
  if (notice.case_state == "S6U_USER_SAYS_FIXED" || notice.case_state == "S6_VERIFYING") return box("notice.verifying");
  return {};
}

Html tell_part(const View& view, std::string_view code, std::string_view error_id) {
  std::vector<Html> choices;
  for (const auto* what : {"did_it", "unplugged", "not_mine", "stuck"})
    choices.push_back(e::label(e::input(attr("type", "radio"), attr("name", "what"), attr("value", what), http::flag("required")), e::span(view.r("tell." + std::string(what)))));
  return join(e::h2(id("not-mine"), view.t("tell.title")), error_id.empty() ? Html{} : e::p(cls("error"), attr("role", "alert"), view.r(error_id)),
              e::form(attr("method", "post"), attr("action", view.url("/k/" + std::string(code) + "/tell")), view.site.csrf.field(view.request),
                      e::fieldset(cls("choice"), e::legend(cls("vh"), view.t("tell.title")), choices), e::p(e::button(cls("btn q"), attr("type", "submit"), view.t("tell.button")))));
}

}  // namespace

Html notice_page(const View& view, std::string_view code, const NoticeView& notice, std::string_view error_id) {
  const auto path = "/k/" + std::string(code);
  const auto* f = first_finding(notice);
  if (!f || is_fixed(notice))
    return page(view, view.t("notice.fixed"), path,
                join(status_box(Tone::ok, e::h1(view.r("notice.fixed")), view.p("notice.fixed.text")), genuine_box(view, &notice), f ? found_part(view, notice, *f) : Html{},
                     check_form(view, code), help_part(view, code)));
  const auto device = device_words(view.site.messages, view.lang, *f);
  const auto title = rule_title(view.site.messages, view.lang, f->rule);
  auto steps = steps_list(view, f->advice);
  if (steps.empty()) steps = steps_list(view, "general");
  return page(view, title, path,
              join(status_box(bad_severity(f->severity) ? Tone::bad : Tone::warn, e::h1(rich(title)), e::p(view.r("notice.summary", {{"day", day_words(view.lang, f->seen)}}))),
                   state_part(view, notice), genuine_box(view, &notice), found_part(view, notice, *f), e::h2(view.t("steps.title", {{"device", device}})),
                   steps.empty() ? view.p("steps.none") : steps, check_form(view, code), tell_part(view, code, error_id), help_part(view, code)));
}

Html told_page(const View& view, std::string_view code, std::string_view what) {
  const auto key = "told." + std::string(what);
  const bool stuck = what == "stuck";
  return page(view, view.t("told.title"), "/k/" + std::string(code),
              join(status_box(stuck ? Tone::warn : Tone::ok, e::h1(view.r("told.title")), view.p(key)), stuck || what == "not_mine" ? Html{} : check_form(view, code),
                   stuck ? help_part(view, code) : Html{}, e::p(e::a(cls("btn q"), href(view.url("/k/" + std::string(code))), view.t("notice.back")))));
}

}  // namespace nora::portal
