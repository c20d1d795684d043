// Users of the provider's pages: who, which roles, one-time login links, sessions. Used by http::Sessions, isolation, cmd_isp.
// Roles: operator (worklist, asks for isolations), approver (second person), auditor (reads). Tables isp_user, login_link, web_session.
// Any thread: every call opens its own Db (SQLite: some 100 us).
#pragma once

#include <string>
#include <vector>

#include "http/session.h"
#include "store/db.h"

namespace nora::isp {

inline constexpr std::string_view all_roles[] = {"operator", "approver", "auditor"};

class IspUsers : public http::UserStore {
 public:
  explicit IspUsers(std::string store_url) : url_(std::move(store_url)) {}
  Result<http::User> user(std::string_view id) override;
  Status put_link(std::string_view user, const Hash& token_hash, Instant not_after) override;
  Result<std::string> take_link(const Hash& token_hash, Instant now) override;
  Status put_session(const http::SessionRow& row) override;
  Result<http::SessionRow> session(const Hash& token_hash) override;
  Status drop_session(const Hash& token_hash) override;

  // Errors: usage (bad id, unknown role).
  static Status add(store::Db& db, std::string_view id, std::string_view name, const std::vector<std::string>& roles, Instant now);
  static Result<http::User> find(store::Db& db, std::string_view id);  // not_found: unknown or disabled

 private:
  std::string url_;
};

}  // namespace nora::isp
