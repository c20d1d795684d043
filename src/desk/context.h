// What one request to the desk has at hand. Made by Desk for every request; used by all page functions. One thread, lives as long as the request.
#pragma once

#include "desk/desk.h"
#include "desk/page.h"
#include "registry/views.h"

namespace nora::desk {

struct Context {
  const DeskParts& parts;
  http::Request& request;
  View view;
  registry::Registry& registry;

  std::string t(std::string_view id, const Args& args = {}) const { return view.t(id, args); }
  std::string_view query(std::string_view name) const { return request.query.get(name); }
  std::string_view form(std::string_view name) const { return request.form.get(name); }
  const std::string& user() const { return view.user->id; }  // only for pages of staff
  Env& env() const { return const_cast<Env&>(parts.env); }

  // The leaf of a disclosure; it is written before the rows are read. Errors: refused when the log cannot be written: show nothing then.
  Status disclose(std::string_view what, json::Object detail = {}) const;
};

// Where a page of rows begins: "after=ID", or with sort=priority "after=PRIORITY.ID" of the last row before it.
struct PageKey {
  bool by_priority = false;
  registry::Id after = 0;
  std::int64_t after_priority = 0;
};
Result<PageKey> page_key(const http::Fields& query);                                       // bad_input
std::string key_after(const PageKey& key, registry::Id last, std::int64_t last_priority);  // the value of "after" for the next page

// A registry filter from the query part of a URL. Errors: bad_input (names the field), for example a prefix that is none.
Result<registry::Filter> filter_from(const http::Fields& query);

Result<registry::Id> id_param(const http::Request& request, std::string_view name);  // bad_input

}  // namespace nora::desk
