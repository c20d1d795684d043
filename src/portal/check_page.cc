// A3: the self-check. The page is streamed: each line goes out as it finishes, then the verdict. No script, no reload, no polling.
#include <set>

#include "portal/view.h"

namespace nora::portal {

namespace e = http::el;
using exchange::CheckLine;
using http::attr;
using http::cls;
using http::href;
using http::id;
using http::join;

namespace {

Html pill(const View& view, std::string_view kind, std::string_view icon, std::string_view word_id) {
  return e::span(cls("pill " + std::string(kind)), icon.empty() ? Html{} : http::icon(icon), view.t(word_id));
}

Html result_pill(const View& view, std::string_view result) {
  if (result == "open" || result == "answered") return pill(view, "warn", "info", "result.open");
  if (result == "still_open") return pill(view, "bad", "close", "result.still_open");
  if (result == "fixed") return pill(view, "ok", "check", "result.fixed");
  if (result == "closed") return pill(view, "ok", "check", "result.closed");
  if (result == "silent") return pill(view, "n", "minus", "result.silent");
  return {};
}

}  // namespace

Html check_page(const View& view, std::string_view code) {
  return page(view, view.t("checking.title"), code.empty() ? "/" : "/k/" + std::string(code),
              join(e::h1(view.r("checking.title")), e::p(cls("m"), view.r("checking.target", {{"address", view.request.peer.text()}})),
                   e::section(attr("aria-label", view.t("checking.lines")), attr("aria-live", "polite"), e::ol(cls("live"), http::hole())), http::hole()));
}

Html check_line_item(const View& view, const CheckLine& line) {
  if (line.step == "started") return e::li(view.r("checking.started"), " ", pill(view, "ok", "check", "result.done"));
  if (line.step == "probe") {
    const auto door = line.port > 0 ? door_words(view.site.messages, view.lang, line.port, line.proto) : view.t("checking.other_door");
    return e::li(rich(door), " ", result_pill(view, line.result));
  }
  if (line.step == "finding") return e::li(rich(rule_title(view.site.messages, view.lang, line.what)), " ", result_pill(view, line.result.empty() ? "still_open" : line.result));
  if (line.step == "clear") return e::li(view.r("checking.clear"), " ", pill(view, "ok", "check", "result.done"));
  return {};  // verdict and refused are the second part of the page
}

Html waiting_item(const View& view) { return e::li(cls("wait m"), view.t("checking.wait")); }

Html done_item(const View& view, int seconds) { return e::li(view.r("checking.done", {{"seconds", std::to_string(seconds)}})); }

Html verdict_part(const View& view, std::string_view code, const CheckLine& last, Instant now) {
  const Args when{{"time", time_words(view.lang, now)}};
  std::vector<Html> buttons;
  if (!code.empty()) buttons.push_back(e::a(cls("btn"), href(view.url("/k/" + std::string(code))), view.t("notice.back")));
  else buttons.push_back(e::a(cls("btn"), href(view.url("/")), view.t("nav.front")));
  const auto end = join(not_checked_part(view), e::p(cls("row noprint"), buttons), e::p(cls("s m noprint"), view.r("verdict.print")));
  const auto box = [&](Tone tone, std::string_view key) {
    return e::div(id("verdict"), attr("role", "status"), attr("data-verdict", last.verdict),
                  status_box(tone, e::h2(view.r("verdict." + std::string(key))), e::p(view.r("verdict." + std::string(key) + ".text", when))));
  };
  if (last.verdict == "green") {
    bool had_one = false;
    for (const auto& f : last.findings) had_one = had_one || f.state == "fixed";
    return join(box(Tone::ok, had_one ? "fixed" : "green"), end);
  }
  if (last.verdict == "red") {
    std::vector<Html> found;
    std::string advice;
    std::set<std::string> told;  // a product's flaw is said once
    for (const auto& f : last.findings) {
      if (f.state == "fixed") continue;
      if (advice.empty()) advice = f.advice;
      const auto plain = "exposure." + f.rule + ".plain";
      found.push_back(e::li(e::b(rich(rule_title(view.site.messages, view.lang, f.rule))), " ", e::span(cls("m"), device_words(view.site.messages, view.lang, f)),
                            view.site.messages.has(view.lang, plain) ? join(e::br(), e::span(cls("s m"), rich(view.site.messages.get(view.lang, plain)))) : Html{},
                            told.insert(device_words(view.site.messages, view.lang, f)).second ? flaw_part(view, f) : Html{}));
    }
    auto steps = steps_list(view, advice);
    if (steps.empty()) steps = steps_list(view, "general");
    return join(box(Tone::bad, "red"), found.empty() ? Html{} : join(e::h2(view.t("found.title")), e::ul(found)),
                steps.empty() ? Html{} : join(e::h2(view.t("steps.short")), steps), e::div(cls("noprint"), check_form(view, code)), end);
  }
  // Behind a shared address stand other people's lines too: nothing was sent there.
  const auto key = last.what == "shared_address" ? std::string("shared") : last.verdict == "not_ours" || last.verdict == "busy" ? last.verdict : std::string("unknown");
  return join(box(Tone::warn, key), e::p(cls("row noprint"), buttons));
}

}  // namespace nora::portal
