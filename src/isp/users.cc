#include "isp/users.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/text.h"

namespace nora::isp {
namespace {

bool good_id(std::string_view id) {
  return !id.empty() && id.size() <= 32 && std::ranges::all_of(id, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'; });
}

Status write(const std::string& url, std::string_view sql, const store::Params& params) {
  NORA_TRY(auto db, store::Db::open(url));
  NORA_TRY([[maybe_unused]] auto n, db->exec(sql, params));
  return {};
}

}  // namespace

Status IspUsers::add(store::Db& db, std::string_view id, std::string_view name, const std::vector<std::string>& roles, Instant now) {
  if (!good_id(id)) return fail(Code::usage, "a user id is [a-z0-9._-], at most 32");
  if (roles.empty()) return fail(Code::usage, "a user needs a role: operator, approver or auditor");
  std::string joined;
  for (const auto& role : roles) {
    if (std::ranges::find(all_roles, role) == std::end(all_roles)) return fail(Code::usage, fmt::format("there is no role \"{}\"", to_terminal(role)), "Use operator, approver or auditor");
    joined += (joined.empty() ? "" : ",") + role;
  }
  return db.transaction([&]() -> Status {
    NORA_TRY(auto n, db.exec("update isp_user set name = ?, roles = ?, disabled = 0 where id = ?", {name, joined, id}));
    if (n > 0) return {};
    NORA_TRY(n, db.exec("insert into isp_user (id, name, roles, added, disabled) values (?,?,?,?,0)", {id, name, joined, now}));
    return {};
  });
}

Result<http::User> IspUsers::find(store::Db& db, std::string_view id) {
  NORA_TRY(auto found, db.query("select id, name, roles from isp_user where id = ? and disabled = 0", {id}));
  if (found.empty()) return fail(Code::not_found, fmt::format("there is no user \"{}\"", to_terminal(id)), "Add one: nora isp user add");
  return http::User{found[0][0].str(), found[0][1].str(), split_names(found[0][2].str())};
}

Result<http::User> IspUsers::user(std::string_view id) {
  NORA_TRY(auto db, store::Db::open(url_));
  return find(*db, id);
}

Status IspUsers::put_link(std::string_view user, const Hash& hash, Instant not_after) {
  return write(url_, "insert into login_link (token_hash, user_id, not_after) values (?,?,?)", {hash, user, not_after});
}

Result<std::string> IspUsers::take_link(const Hash& hash, Instant now) {
  NORA_TRY(auto db, store::Db::open(url_));
  NORA_TRY(auto found, db->query("delete from login_link where token_hash = ? returning user_id, not_after", {hash}));
  if (found.empty() || found[0][1].instant() <= now) return fail(Code::not_found, "this link was used already, or its time is over");
  return found[0][0].str();
}

Status IspUsers::put_session(const http::SessionRow& row) {
  return write(url_, "insert into web_session (token_hash, user_id, not_after) values (?,?,?)", {row.token_hash, row.user, row.not_after});
}

Result<http::SessionRow> IspUsers::session(const Hash& hash) {
  NORA_TRY(auto db, store::Db::open(url_));
  NORA_TRY(auto found, db->query("select user_id, not_after from web_session where token_hash = ?", {hash}));
  if (found.empty()) return fail(Code::not_found, "no such session");
  return http::SessionRow{hash, found[0][0].str(), found[0][1].instant()};
}

Status IspUsers::drop_session(const Hash& hash) { return write(url_, "delete from web_session where token_hash = ?", {hash}); }

}  // namespace nora::isp
