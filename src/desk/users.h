// DeskUsers: the center's staff, their roles, one-time login links and sessions, in the center's store (own tables, family "desk").
// Used by `nora user` (writes) and the desk's sessions (http/session.h). Only hashes of links and sessions are kept. Any thread.
// Roles: analyst (names clusters, works on cases), operator (runs surveys, makes and opens lists), approver (second person), auditor (reads the log).
// No role can both sign a mandate and run a survey: signing keys are not in this store (trust.md section 6).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "desk/store_pool.h"
#include "http/session.h"

namespace nora::desk {

inline constexpr std::string_view all_roles[] = {"analyst", "operator", "approver", "auditor"};

struct StaffRow {
  http::User user;
  Instant added;
  bool disabled = false;
};

class DeskUsers : public http::UserStore {
 public:
  explicit DeskUsers(StorePool& pool) : pool_(pool) {}
  Status migrate();

  // id: [a-z0-9][a-z0-9._-]{0,31}. An existing user gets the new name and roles. Errors: usage (bad id, unknown role, no role).
  Status add(std::string_view id, std::string_view name, const std::vector<std::string>& roles, Instant now);
  Status disable(std::string_view id);  // ends the sessions too; not_found
  Result<std::vector<StaffRow>> all();

  Result<http::User> user(std::string_view id) override;
  Status put_link(std::string_view user, const Hash& token_hash, Instant not_after) override;
  Result<std::string> take_link(const Hash& token_hash, Instant now) override;
  Status put_session(const http::SessionRow& row) override;
  Result<http::SessionRow> session(const Hash& token_hash) override;
  Status drop_session(const Hash& token_hash) override;

 private:
  StorePool& pool_;
};

}  // namespace nora::desk
