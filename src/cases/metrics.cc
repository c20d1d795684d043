#include "cases/metrics.h"

#include "registry/views.h"

namespace nora::cases {
namespace {

struct Step {
  std::string_view name, condition;  // on cases c of the list track
};
constexpr Step steps[] = {
    {"found", "1 = 1"},
    {"product_known", "EXISTS (SELECT 1 FROM device d WHERE d.id = c.device AND d.product <> '')"},
    {"listed", "EXISTS (SELECT 1 FROM list_row r JOIN list l ON l.id = r.list_id WHERE r.case_id = c.id AND l.state <> 'made')"},
    {"line_found", "EXISTS (SELECT 1 FROM list_row r JOIN list_return t ON t.row_id = r.row_id WHERE r.case_id = c.id AND t.state IN ('matched', 'notified'))"},
    {"notified", "c.notified_at IS NOT NULL"},
    {"opened", "c.opened_at IS NOT NULL"},
    {"checked", "c.checked_at IS NOT NULL"},
    {"fixed", "c.fixed_at IS NOT NULL"},
};
constexpr std::string_view base = "c.track = 'list' AND c.merged_into = 0 AND c.state NOT IN ('X_FP', 'X_SCOPE')";

}  // namespace

Result<std::vector<FunnelStep>> funnel(registry::Registry& registry) {
  std::string sql = "SELECT ";
  for (const auto& step : steps) {
    if (&step != steps) sql += ", ";
    sql += "coalesce(sum(CASE WHEN " + std::string(step.condition) + " THEN 1 ELSE 0 END), 0)";
  }
  NORA_TRY(auto rows, registry.db().query(sql + " FROM cases c WHERE " + std::string(base)));
  std::vector<FunnelStep> out;
  for (std::size_t i = 0; i < std::size(steps); ++i) out.push_back({std::string(steps[i].name), rows.at(0)[i].integer()});
  return out;
}

Result<std::vector<registry::Id>> funnel_cases(registry::Registry& registry, std::string_view wanted, std::size_t limit) {
  for (const auto& step : steps) {
    if (step.name != wanted) continue;
    NORA_TRY(auto rows, registry.db().query("SELECT c.id FROM cases c WHERE " + std::string(base) + " AND " + std::string(step.condition) + " ORDER BY c.id LIMIT ?",
                                            {static_cast<std::int64_t>(limit)}));
    std::vector<registry::Id> out;
    for (const auto& r : rows) out.push_back(r[0].integer());
    return out;
  }
  return fail(Code::usage, "the funnel has no step \"" + std::string(wanted.substr(0, 40)) + "\"");
}

Result<UnknownShare> unknown_share(registry::Registry& registry) {
  NORA_TRY(auto rows, registry.db().query("SELECT count(*), coalesce(sum(CASE WHEN product = '' THEN 1 ELSE 0 END), 0) FROM device WHERE merged_into = 0"));
  return UnknownShare{rows.at(0)[0].integer(), rows.at(0)[1].integer()};
}

Status snapshot(registry::Registry& registry, std::string_view survey, Instant now) {
  auto& db = registry.db();
  return db.transaction([&]() -> Status {
    const auto put = [&](std::string_view name, std::string_view label, std::int64_t value) -> Status {
      NORA_CHECK(db.exec("INSERT INTO metric_snapshot (survey, name, label, value, at) VALUES (?,?,?,?,?) "
                         "ON CONFLICT (survey, name, label) DO UPDATE SET value = excluded.value, at = excluded.at",
                         {survey, name, label, static_cast<double>(value), now}));
      return {};
    };
    // Segments are named "<survey>/<number>"; '0' is the character after '/'.
    const std::string from = std::string(survey) + "/", to = std::string(survey) + "0";
    NORA_TRY(auto seen, db.query("SELECT pattern, count(*) FROM finding WHERE id IN (SELECT finding FROM finding_event WHERE segment >= ? AND segment < ? "
                                 "AND kind IN ('found', 'seen_again', 'reopened')) GROUP BY pattern", {from, to}));
    std::int64_t all = 0;
    for (const char* pattern : {"A", "B", "C", "D"}) {
      std::int64_t n = 0;
      for (const auto& r : seen) if (r[0].str() == pattern) n = r[1].integer();
      all += n;
      NORA_CHECK(put("findings_seen", pattern, n));
    }
    NORA_CHECK(put("findings_seen", "", all));
    NORA_TRY(auto t, registry::totals(registry));
    NORA_CHECK(put("findings_open", "", t.findings_open));
    NORA_CHECK(put("findings_fixed", "", t.findings_fixed));
    NORA_TRY(auto devices, db.one("SELECT count(DISTINCT e.device) FROM device_endpoint e JOIN observation o ON o.ip = e.ip AND o.port = e.port "
                                  "AND o.proto = e.proto WHERE o.segment >= ? AND o.segment < ?", {from, to}));
    NORA_CHECK(put("devices_seen", "", devices.integer()));
    NORA_TRY(auto share, unknown_share(registry));
    return put("devices_unknown", "", share.unknown);
  });
}

Result<std::vector<TrendPoint>> trend(registry::Registry& registry, std::string_view name, std::string_view label) {
  NORA_TRY(auto rows, registry.db().query("SELECT m.survey, coalesce(s.finished, s.started, m.at), m.value FROM metric_snapshot m LEFT JOIN survey s ON s.id = m.survey "
                                          "WHERE m.name = ? AND m.label = ? ORDER BY 2, 1", {name, label}));
  std::vector<TrendPoint> out;
  for (const auto& r : rows) out.push_back({r[0].str(), r[1].instant(), r[2].real()});
  return out;
}

}  // namespace nora::cases
