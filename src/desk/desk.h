// The desk of the survey center: public overview, analysts' pages, on-site pages, lists, audit, and the JSON API. Used by `nora serve`.
// Pages are functions of the store; nothing here sends a packet or leaves the machine. Handlers run on the server's threads, so everything
// in DeskParts is either immutable or safe from any thread. Public: overview and its numbers, definitions. All else needs a session.
// Budgets (tests): at most max_queries_per_page queries a page, 15 KB gzip for the overview, 40 KB for others.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/env.h"
#include "base/messages.h"
#include "cases/onsite.h"
#include "desk/naming.h"
#include "desk/store_pool.h"
#include "desk/users.h"
#include "expose/knowledge.h"
#include "http/router.h"
#include "http/session.h"
#include "identify/rules.h"
#include "law/mandate.h"

namespace nora::desk {

inline constexpr int max_queries_per_page = 10;
// Steps of cases::funnel, in order.
inline constexpr std::string_view funnel_steps[] = {"found", "product_known", "listed", "line_found", "notified", "opened", "checked", "fixed"};
inline constexpr std::int64_t default_suppress_below = 10;  // screens.md section 9: small counts are not shown to the public

class OverviewCache;  // overview.h

struct DeskParts {
  Env env;
  const Messages& messages;
  StorePool& store;
  DeskUsers& users;
  http::Csrf& csrf;
  http::Sessions& sessions;
  std::string stylesheet;
  // Appends a leaf to the center's log and returns only after fsync. An error means: do not act.
  std::function<Status(std::string_view kind, const json::Object& data)> leaf;
  std::filesystem::path audit_dir;            // for the audit page (read and verify)
  PublicKey audit_key;
  const law::Mandate* mandate = nullptr;      // null: no lawful basis is shown, and the page says so
  std::function<std::shared_ptr<const identify::RuleSet>()> rules;  // the set in use; changes when a cluster is named
  const expose::Knowledge* knowledge = nullptr;
  std::map<std::string, std::string> isp_names;   // isp id -> name for people
  Naming* naming = nullptr;                    // names clusters; null: pages show clusters, forms are off
  std::function<Result<cases::OnSite>()> onsite;  // contacts of visited parties: a store of their own, opened per page
  std::int64_t suppress_below = default_suppress_below;
  std::shared_ptr<OverviewCache> overview;     // made by Desk
};

class Desk {
 public:
  explicit Desk(DeskParts parts);
  void add_routes(http::Router& router) const;

 private:
  DeskParts parts_;
};

}  // namespace nora::desk
