#include "desk/users.h"
#include "base/text.h"

#include <fmt/core.h>

#include <algorithm>

namespace nora::desk {
namespace {

// Retention: links and sessions until they end; staff rows until the operator removes them.
constexpr std::string_view first = R"(
CREATE TABLE staff (
  id text PRIMARY KEY, name text NOT NULL, roles text NOT NULL, added bigint NOT NULL, disabled bigint NOT NULL DEFAULT 0);
CREATE TABLE login_link (token_hash {blob} PRIMARY KEY, staff text NOT NULL, not_after bigint NOT NULL);
CREATE TABLE staff_session (token_hash {blob} PRIMARY KEY, staff text NOT NULL, not_after bigint NOT NULL))";

const std::vector<store::Migration>& migrations() {
  static const std::vector<store::Migration> all = {{1, "staff and sessions", first}};
  return all;
}

std::string joined(const std::vector<std::string>& roles) {
  std::string text;
  for (const auto& r : roles) text += (text.empty() ? "" : ",") + r;
  return text;
}
bool good_id(std::string_view id) {
  if (id.empty() || id.size() > 32) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    char c = id[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!plain && (i == 0 || (c != '.' && c != '_' && c != '-'))) return false;
  }
  return true;
}

}  // namespace

Status DeskUsers::migrate() {
  NORA_TRY(auto lease, pool_.lease());
  return lease.db().migrate("desk", migrations());
}

Status DeskUsers::add(std::string_view id, std::string_view name, const std::vector<std::string>& roles, Instant now) {
  if (!good_id(id))
    return fail(Code::usage, "the user id has other signs than a-z 0-9 . _ - or is longer than 32", "nora user add ops1 --role operator");
  if (roles.empty()) return fail(Code::usage, "a user needs a role", "add --role analyst, operator, approver or auditor");
  for (const auto& role : roles)
    if (std::find(std::begin(all_roles), std::end(all_roles), role) == std::end(all_roles))
      return fail(Code::usage, fmt::format("there is no role {}", to_terminal(role)), "use analyst, operator, approver or auditor");
  NORA_TRY(auto lease, pool_.lease());
  NORA_TRY(auto changed, lease.db().exec("UPDATE staff SET name = ?, roles = ?, disabled = 0 WHERE id = ?",
                                         {to_clean_utf8(name), joined(roles), id}));
  if (changed == 0)
    NORA_CHECK(lease.db().exec("INSERT INTO staff (id, name, roles, added) VALUES (?, ?, ?, ?)", {id, to_clean_utf8(name), joined(roles), now}));
  return {};
}

Status DeskUsers::disable(std::string_view id) {
  NORA_TRY(auto lease, pool_.lease());
  auto& db = lease.db();
  return db.transaction([&]() -> Status {
    NORA_TRY(auto changed, db.exec("UPDATE staff SET disabled = 1 WHERE id = ?", {id}));
    if (changed == 0) return fail(Code::not_found, fmt::format("there is no user {}", to_terminal(id)), "nora user list shows them");
    NORA_CHECK(db.exec("DELETE FROM staff_session WHERE staff = ?", {id}));
    NORA_CHECK(db.exec("DELETE FROM login_link WHERE staff = ?", {id}));
    return {};
  });
}

Result<std::vector<StaffRow>> DeskUsers::all() {
  NORA_TRY(auto lease, pool_.lease());
  NORA_TRY(auto rows, lease.db().query("SELECT id, name, roles, added, disabled FROM staff ORDER BY id LIMIT 1000"));
  std::vector<StaffRow> out;
  for (const auto& r : rows) out.push_back({{r[0].str(), r[1].str(), split_names(r[2].str())}, r[3].instant(), r[4].boolean()});
  return out;
}

Result<http::User> DeskUsers::user(std::string_view id) {
  NORA_TRY(auto lease, pool_.lease());
  NORA_TRY(auto rows, lease.db().query("SELECT id, name, roles FROM staff WHERE id = ? AND disabled = 0", {id}));
  if (rows.empty()) return fail(Code::not_found, "no such user");
  return http::User{rows[0][0].str(), rows[0][1].str(), split_names(rows[0][2].str())};
}

Status DeskUsers::put_link(std::string_view user, const Hash& token_hash, Instant not_after) {
  NORA_TRY(auto lease, pool_.lease());
  NORA_CHECK(lease.db().exec("INSERT INTO login_link (token_hash, staff, not_after) VALUES (?, ?, ?)", {token_hash, user, not_after}));
  return {};
}

// Deleting is taking: of two readers only one sees a row gone.
Result<std::string> DeskUsers::take_link(const Hash& token_hash, Instant now) {
  NORA_TRY(auto lease, pool_.lease());
  auto& db = lease.db();
  std::string user;
  NORA_CHECK(db.transaction([&]() -> Status {
    NORA_TRY(auto rows, db.query("SELECT staff, not_after FROM login_link WHERE token_hash = ?", {token_hash}));
    NORA_TRY(auto gone, db.exec("DELETE FROM login_link WHERE token_hash = ?", {token_hash}));
    if (!rows.empty() && gone == 1 && now < rows[0][1].instant()) user = rows[0][0].str();
    return {};
  }));
  if (user.empty()) return fail(Code::not_found, "this login link was used or has ended", "ask for a new one: nora user add");
  return user;
}

Status DeskUsers::put_session(const http::SessionRow& row) {
  NORA_TRY(auto lease, pool_.lease());
  NORA_CHECK(lease.db().exec("INSERT INTO staff_session (token_hash, staff, not_after) VALUES (?, ?, ?)", {row.token_hash, row.user, row.not_after}));
  return {};
}

Result<http::SessionRow> DeskUsers::session(const Hash& token_hash) {
  NORA_TRY(auto lease, pool_.lease());
  NORA_TRY(auto rows, lease.db().query("SELECT token_hash, staff, not_after FROM staff_session WHERE token_hash = ?", {token_hash}));
  if (rows.empty()) return fail(Code::not_found, "no such session");
  return http::SessionRow{rows[0][0].hash(), rows[0][1].str(), rows[0][2].instant()};
}

Status DeskUsers::drop_session(const Hash& token_hash) {
  NORA_TRY(auto lease, pool_.lease());
  NORA_CHECK(lease.db().exec("DELETE FROM staff_session WHERE token_hash = ?", {token_hash}));
  return {};
}

}  // namespace nora::desk
