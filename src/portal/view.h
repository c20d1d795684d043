// View: what one page needs to write itself: language, texts, who asks, the forms' token. Private to src/portal. One View per request.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange/portal_wire.h"
#include "http/html.h"
#include "http/message.h"
#include "portal/portal.h"
#include "portal/words.h"

namespace nora::portal {

using http::Html;
using Args = std::vector<std::pair<std::string_view, std::string>>;

struct View {
  const Portal::Parts& site;
  Lang lang;
  const http::Request& request;

  std::string raw(std::string_view id, const Args& args = {}) const { return site.messages.get(lang, "portal." + std::string(id), args); }
  std::string t(std::string_view id, const Args& args = {}) const { return unmarked(raw(id, args)); }  // titles, labels
  Html r(std::string_view id, const Args& args = {}) const { return rich(raw(id, args)); }
  Html p(std::string_view id, const Args& args = {}) const { return http::el::p(r(id, args)); }
  std::string url(std::string_view path) const { return "/" + std::string(code(lang)) + std::string(path); }
};

// The frame of every page. `path` is where the language switch leads in the other language ("/k/…", "/how").
Html page(const View& view, std::string_view title, std::string_view path, const Html& main);

// Shared parts.
enum class Tone { bad, warn, ok };
Html status_box(Tone tone, const Html& heading, const Html& words);  // heading: an h1 or h2
Html genuine_box(const View& view, const exchange::NoticeView* notice);
Html check_form(const View& view, std::string_view code);            // with the consent box
Html help_part(const View& view, std::string_view code);
Html flaw_part(const View& view, const exchange::FindingView& finding);  // empty: no flaw that attackers use, support not known to have ended
Html code_form(const View& view, std::string_view error_id);
Html steps_list(const View& view, const std::string& advice);        // empty if there are no texts
Html not_checked_part(const View& view);

// Pages.
Html front_page(const View& view, std::string_view code_error_id);
Html notice_page(const View& view, std::string_view code, const exchange::NoticeView& notice, std::string_view error_id = {});
Html told_page(const View& view, std::string_view code, std::string_view what);
Html how_page(const View& view);
Html access_page(const View& view);
Html message_page(const View& view, Tone tone, std::string_view title_id, std::string_view text_id);  // errors

// The live page has two holes: the lines, then the verdict.
Html check_page(const View& view, std::string_view code);
Html check_line_item(const View& view, const exchange::CheckLine& line);  // empty: nothing to say
Html waiting_item(const View& view);                                      // hidden by the style sheet as soon as another line follows
Html done_item(const View& view, int seconds);
Html verdict_part(const View& view, std::string_view code, const exchange::CheckLine& last, Instant now);

}  // namespace nora::portal
