// The routes: parse, limit, leave a leaf, ask the center, answer with a page.
#include "portal/portal.h"

#include <atomic>
#include <set>
#include <utility>

#include "base/escape.h"
#include "exchange/notice_code.h"
#include "portal/view.h"

namespace nora::portal {
namespace {

using exchange::CheckLine;
using http::Request;
using http::Response;

// One check at a time per line, and a bound for all.
class Running {
 public:
  bool enter(Ip peer) {
    return peers_.with([&](std::set<Ip>& p) { return p.size() < checks_at_once_max && p.insert(http::Limiter::key(peer)).second; });
  }
  void leave(Ip peer) {
    peers_.with([&](std::set<Ip>& p) { p.erase(http::Limiter::key(peer)); });
  }

 private:
  Guarded<std::set<Ip>> peers_;
};

// The place of one line in Running, held until its check is over, or its page was never begun.
class HeldLine {
 public:
  HeldLine(Running& running, Ip peer) : running_(&running), peer_(peer) {}
  HeldLine(const HeldLine&) = delete;
  HeldLine& operator=(const HeldLine&) = delete;
  ~HeldLine() { free(); }
  void free() {
    if (auto* r = std::exchange(running_, nullptr)) r->leave(peer_);
  }

 private:
  Running* running_;
  Ip peer_;
};

// The reader's own choice is in the path; for "/" the browser's first language decides.
Lang preferred(const Request& request) {
  const auto wish = request.header("accept-language");
  return wish.empty() || wish.substr(0, 2) == "ja" ? Lang::ja : Lang::en;
}

}  // namespace

struct Portal::State {
  Parts site;
  http::Limiter failures;
  Running running;

  explicit State(Parts parts)
      : site(std::move(parts)),
        failures({.per_peer = code_failures_per_minute, .in_all = code_failures_in_all_per_minute, .window = Span::minutes(1)}, site.env.clock) {}

  // What a code leads to. Wrong, unknown, expired and withdrawn codes are one answer, in the same bytes and the same time.
  struct Found {
    std::string code;
    exchange::NoticeView notice;
  };
  enum class Why { unknown, too_many, away };
  std::expected<Found, Why> look_up(const Request& request, std::string_view typed) {
    const auto begin = site.env.clock.monotonic();
    if (!failures.allow(request.peer)) return std::unexpected(Why::too_many);
    Why why = Why::unknown;
    if (const auto code = exchange::parse_notice_code(typed)) {
      auto notice = site.center.notice(*code);
      if (notice) {
        failures.give_back(request.peer);
        return Found{*code, std::move(*notice)};
      }
      if (notice.error().code != Code::not_found) {
        site.env.log.error("portal: " + notice.error().text());
        failures.give_back(request.peer);
        why = Why::away;
      }
    }
    const auto spent = site.env.clock.monotonic() - begin;
    if (why == Why::unknown && spent < code_failure_time) site.env.clock.sleep(code_failure_time - spent);
    return std::unexpected(why);
  }

  Response no_notice(const View& view, Why why) {
    if (why == Why::too_many) return Response::page(message_page(view, Tone::warn, "code.many", "code.many.text"), 429).with("Retry-After", "60");
    if (why == Why::away) return Response::page(message_page(view, Tone::warn, "away.title", "away.text"), 503).with("Retry-After", "60");
    return Response::page(front_page(view, "code.wrong"), 404);
  }

  Response old_form(const View& view) { return Response::page(message_page(view, Tone::warn, "old_form.title", "old_form.text"), 403); }

  Response notice(Request& request, Lang lang) {
    const View view{site, lang, request};
    const auto found = look_up(request, request.param("code"));
    if (!found) return no_notice(view, found.error());
    return Response::page(notice_page(view, found->code, found->notice));
  }

  Response typed_code(Request& request, Lang lang) {
    const View view{site, lang, request};
    if (!site.csrf.ok(request)) return old_form(view);
    const auto found = look_up(request, request.form.get("code"));
    if (!found) return no_notice(view, found.error());
    return Response::see_other(view.url("/k/" + found->code));
  }

  Response tell(Request& request, Lang lang) {
    const View view{site, lang, request};
    if (!site.csrf.ok(request)) return old_form(view);
    const auto found = look_up(request, request.param("code"));
    if (!found) return no_notice(view, found.error());
    const auto what = request.form.get("what");
    if (what != "did_it" && what != "unplugged" && what != "not_mine" && what != "stuck")
      return Response::page(notice_page(view, found->code, found->notice, "tell.choose"), 400);
    if (auto leaf = site.audit.append("owner_told", {{"code", to_hex(site.records.code_hash(found->code))}, {"what", std::string(what)}}); !leaf)
      return failed(view, leaf.error());
    if (auto stored = site.records.told(found->code, what); !stored) return failed(view, stored.error());
    if (auto told = site.center.tell(found->code, what); !told) return failed(view, told.error());
    return Response::page(told_page(view, found->code, what));
  }

  Response failed(const View& view, const Error& error) {
    site.env.log.error("portal: " + error.text());
    return Response::page(message_page(view, Tone::warn, "away.title", "away.text"), 503);
  }

  Response check(Request& request, Lang lang) {
    const View view{site, lang, request};
    if (!site.csrf.ok(request)) return old_form(view);
    std::string code;
    if (!request.form.get("code").empty()) {
      auto found = look_up(request, request.form.get("code"));
      if (!found) return no_notice(view, found.error());
      code = std::move(found->code);
    }
    if (request.form.get("consent") != "yes") return Response::page(message_page(view, Tone::warn, "no_consent.title", "no_consent.text"), 400);
    if (!running.enter(request.peer)) return Response::page(message_page(view, Tone::warn, "verdict.busy", "busy.text"), 429).with("Retry-After", "60");
    auto line = std::make_shared<HeldLine>(running, request.peer);
    // The leaf before the act: consent of whom (keyed), to which words, for which case.
    const auto leaf = site.audit.append("check_consent", {{"peer", to_hex(site.records.peer_hash(request.peer))},
                                                          {"text", std::string(consent_text_id)},
                                                          {"code", code.empty() ? std::string() : to_hex(site.records.code_hash(code))}});
    if (!leaf) return failed(view, leaf.error());
    const auto consent = site.records.consented(request.peer, consent_text_id, nora::code(lang), code);
    if (!consent) return failed(view, consent.error());
    return Response::streamed_page([this, lang, request, code, consent_id = *consent, line](http::StreamWriter& out) {
      stream_check(out, View{site, lang, request}, code, consent_id, *line);
    });
  }

  void stream_check(http::StreamWriter& out, const View& view, const std::string& code, std::int64_t consent_id, HeldLine& line_held) {
    const auto begin = site.env.clock.monotonic();
    const auto [before, rest] = http::split_at_hole(check_page(view, code));
    const auto [between, after] = http::split_at_hole(rest);
    // A browser begins to show a stream after about 1 KiB (measured: Chromium shows the first line at once when the head came with it).
    if (!out.write(before + waiting_item(view))) return;
    CheckLine last;
    int lines = 0;
    const auto asked = site.center.check(view.request.peer, code, {view.request.at, std::string(consent_text_id)}, [&](const CheckLine& line) {
      ++lines;
      if (line.done) {
        last = line;
        return true;
      }
      const auto item = check_line_item(view, line);
      return item.empty() || out.write(item + waiting_item(view));
    });
    if (!asked) {
      site.env.log.warn("portal: " + asked.error().text());
      last.verdict = asked.error().code == Code::refused ? "not_ours" : "unknown";
    } else if (!last.done) {
      last.verdict = "unknown";  // the visitor left; the check itself goes on at the center
    }
    if (auto kept = site.records.checked(consent_id, last.verdict, lines); !kept) site.env.log.error("portal: " + kept.error().text());
    const auto seconds = static_cast<int>((site.env.clock.monotonic() - begin).as_seconds() + 0.5);
    // Before the last words: whoever reads them may check again at once, and the server lets go of a page only after it was sent.
    line_held.free();
    out.write(done_item(view, seconds) + between + verdict_part(view, code, last, site.env.clock.now()) + after);
  }
};

Portal::Portal(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {}
Portal::~Portal() = default;

void Portal::add_routes(http::Router& router) {
  auto* s = state_.get();
  s->site.files.add_routes(router);
  router.get("/", [](Request& r) { return Response::see_other("/" + std::string(code(preferred(r))) + "/"); });
  router.get("/k/{code}", [](Request& r) { return Response::see_other("/" + std::string(code(preferred(r))) + "/k/" + to_url(r.param("code"))); });
  router.get("/robots.txt", [](Request&) { return Response::text("User-agent: *\nDisallow: /ja/k/\nDisallow: /easy/k/\nDisallow: /en/k/\nDisallow: /k/\n"); });
  for (const auto lang : all_langs) {
    const auto base = "/" + std::string(code(lang));
    const auto get = [&](std::string_view path, auto page) {
      router.get(base + std::string(path), [s, lang, page](Request& r) { return page(View{s->site, lang, r}); });
    };
    get("/", [](const View& v) { return Response::page(front_page(v, {})); });
    get("", [](const View& v) { return Response::see_other(v.url("/")); });
    get("/code", [](const View& v) { return Response::see_other(v.url("/")); });   // a reload after a form
    get("/check", [](const View& v) { return Response::see_other(v.url("/#check")); });
    get("/how", [](const View& v) { return Response::page(how_page(v)); });
    get("/access", [](const View& v) { return Response::page(access_page(v)); });
    router.get(base + "/k/{code}", [s, lang](Request& r) { return s->notice(r, lang); });
    router.get(base + "/k/{code}/tell", [lang](Request& r) { return Response::see_other("/" + std::string(code(lang)) + "/k/" + to_url(r.param("code"))); });
    router.post(base + "/code", [s, lang](Request& r) { return s->typed_code(r, lang); });
    router.post(base + "/k/{code}/tell", [s, lang](Request& r) { return s->tell(r, lang); });
    router.post(base + "/check", [s, lang](Request& r) { return s->check(r, lang); });
  }
  router.not_found([s](Request& r) {
    const auto lang = r.path.starts_with("/en") ? Lang::en : r.path.starts_with("/easy") ? Lang::easy : r.path.starts_with("/ja") ? Lang::ja : preferred(r);
    return Response::page(message_page(View{s->site, lang, r}, Tone::warn, "missing.title", "missing.text"), 404);
  });
}

}  // namespace nora::portal
