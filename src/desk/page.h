// The frame of every desk page and the small parts that all pages share: heading, navigation, language switch, tables, pills, times, links
// that keep a filter. Used by every *_page of this folder. Pure functions over View; one View per request, one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/messages.h"
#include "http/html.h"
#include "http/session.h"
#include "registry/types.h"

namespace nora::desk {

using http::Html;
using Args = std::vector<std::pair<std::string_view, std::string>>;

// Who reads, in which language, at which path: what a page needs to write itself.
struct View {
  const Messages& messages;
  Lang lang = Lang::ja;
  std::string stylesheet;
  std::string path;                  // without the language: "/findings?pattern=A"
  std::optional<http::User> user;
  Html csrf;                         // hidden field for the forms of this page
  int utc_offset_min = 540;          // times are shown at this offset, with its name
  std::string offset_name = "JST";
  Instant now;

  // Pages for staff have no easy Japanese of their own: a text that is missing there is taken from Japanese.
  std::string t(std::string_view id, const Args& args = {}) const;
  bool has(std::string_view id) const;
  std::string url(std::string_view path) const;     // "/ja" + path
  bool may(std::string_view roles) const;           // signed in with one of the roles (comma separated)
};

Html page(const View& view, std::string_view title, std::string_view nav, const Html& main);
// A page with one heading and one sentence: errors, "done".
Html note_page(const View& view, std::string_view title, std::string_view sentence);

Html when(const View& view, Instant at);                  // <time>, at the page's offset; "–" for 0
std::string when_text(const View& view, Instant at);
Html pill(std::string_view kind, std::string_view text, std::string_view icon = {});  // kind: ok warn bad n k
Html state_pill(const View& view, std::string_view case_state);
Html finding_pill(const View& view, std::string_view finding_state);
std::string pattern_words(const View& view, registry::Pattern pattern);  // "A reflection"
std::string rule_title(const View& view, std::string_view rule);         // exposure.<rule>.title, else the id
std::string severity_word(const View& view, registry::Severity severity);
Html pattern_legend(const View& view);

// A table in a region that scrolls by keyboard. Columns starting with ">" are right aligned.
struct Table {
  std::string label;                 // names the region
  std::vector<std::string> columns;
  std::vector<std::vector<Html>> rows;
};
Html table(const Table& table);
Html table_or(const Table& table, std::string_view when_empty);

Html section(std::string_view id, std::string_view heading, const Html& content);   // card with an h2
Html fact(std::string_view term, const Html& value);                                // dt + dd
Html link(const View& view, std::string_view path, std::string_view text);
Html field(std::string_view id, std::string_view label, const Html& input);         // label + input
Html text_input(std::string_view id, std::string_view value = {}, bool required = false, int max_length = 200);
Html choice(std::string_view id, const std::vector<std::pair<std::string, std::string>>& options, std::string_view chosen = {});
Html button(std::string_view text, std::string_view kind = {});
// <form method="post"> with the page's CSRF field.
Html post_form(const View& view, std::string_view path, const Html& fields);

std::string host_path(Ip ip);        // "/host/203.0.113.7"
std::string query_with(const http::Fields& query, std::string_view name, std::string_view value);  // "?a=…": changed or added; empty value removes

}  // namespace nora::desk
