// The desk's own read-only questions: cases, lists, cluster names, the trend. Each is one query. Used by the pages and the API.
// What registry/views.h answers is asked there. Not thread safe: one Registry per request.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/views.h"

namespace nora::desk {

using registry::Id;
using registry::Registry;

struct CaseFilter {
  std::string isp, track, state;
  std::optional<std::vector<Id>> ids;   // only these (a step of the funnel, cases/metrics.h)
  std::optional<bool> attacked;
  bool by_priority = false;             // most urgent open finding first, then by id; else by id
  Id after = 0;
  std::int64_t after_priority = 0;
  std::size_t limit = 100;
};
struct CaseRow {
  Id id = 0, device = 0;
  std::string isp, track, state, root_cause;
  Instant state_at, first_seen, notified_at, opened_at, checked_at, fixed_at;  // 0 = not yet
  bool attacked = false, line_known = false;
  std::optional<Ip> ip;             // of a finding of this case
  registry::Identity identity;
  std::int64_t findings = 0;
  std::int64_t priority = 0;        // of its most urgent open finding; 0: none, or not judged yet
};
Result<std::vector<CaseRow>> find_cases(Registry& registry, const CaseFilter& filter);
Result<std::optional<CaseRow>> case_by_id(Registry& registry, Id id);
Result<std::vector<CaseRow>> cases_at(Registry& registry, Ip ip);

struct CaseEvent {
  Instant at;
  std::string from, to, who, rules_version, evidence, basis;
};
Result<std::vector<CaseEvent>> case_events(Registry& registry, Id case_id);   // oldest first
// Every list row and return that concerns the case, newest first.
struct CaseDelivery {
  std::string list_id, isp, row_id, list_state, return_state, return_detail;
  Instant created, returned_at;
};
Result<std::vector<CaseDelivery>> deliveries(Registry& registry, Id case_id);

// One point per survey: the findings that it saw, by pattern (snapshots written by cases/metrics.h; one query for all four).
struct TrendPoint {
  std::string survey;
  Instant at;
  std::int64_t seen[4] = {0, 0, 0, 0};  // A..D
};
Result<std::vector<TrendPoint>> trend(Registry& registry, std::size_t limit = 400);

struct ProductRow {
  std::string vendor, product, type;
  std::string patterns;             // "AD"
  std::int64_t devices = 0, open = 0, fixed = 0;
};
Result<std::vector<ProductRow>> products(Registry& registry, std::size_t limit = 30);  // devices with findings, by open devices

struct IspRow { std::string isp; std::int64_t cases = 0, notified = 0, fixed = 0; };
Result<std::vector<IspRow>> isps(Registry& registry);

struct ListInfo {
  std::string id, isp, state, file_name;
  std::int64_t sequence = 0, rows = 0, returned = 0;
  Instant created, not_after, returned_at;
  std::string file_hash;            // hex
};
Result<std::vector<ListInfo>> lists(Registry& registry, std::size_t limit = 200);
Result<std::optional<ListInfo>> list_by_id(Registry& registry, std::string_view id);
struct ListLine {
  std::string row_id, finding_class, return_state, return_detail;
  Id case_id = 0, finding = 0;
  Ip ip;
  int port = 0, proto = 6;
  Instant at;
};
Result<std::vector<ListLine>> list_lines(Registry& registry, std::string_view id, std::string_view after = {}, std::size_t limit = 200);

struct ClusterName {
  Id id = 0;
  std::string cluster, vendor, product, type, proposed_by, accepted_by, rule_file;
  Instant proposed_at, accepted_at, undone_at;
};
Result<std::vector<ClusterName>> cluster_names(Registry& registry, std::string_view cluster = {});

struct CoverageRow { std::int64_t surveys = 0; Instant last_finished; std::int64_t sent = 0, replies = 0; };
Result<CoverageRow> coverage(Registry& registry);
Result<std::int64_t> sighting_sources(Registry& registry, Instant since);   // distinct addresses, excluded ones left out

}  // namespace nora::desk
