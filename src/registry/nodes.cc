#include "registry/nodes.h"

#include <algorithm>

namespace nora::registry {
namespace {

// Writers of these small tables take turns. SQLite's write transaction is exclusive already.
Status take_turn(store::Db& db, std::string_view table) {
  if (!db.is_postgres()) return {};
  return db.write("LOCK TABLE " + std::string(table) + " IN SHARE ROW EXCLUSIVE MODE");
}

}  // namespace

Result<Instant> Nodes::now() {
  NORA_TRY(auto value, db_.one(db_.is_postgres() ? "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
                                                 : "SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"));
  return value.instant();
}

Status Nodes::open_survey(std::string_view survey, std::int64_t nodes) {
  if (nodes < 1 || nodes > max_scan_nodes) return fail(Code::usage, "a survey is shared by 1 to " + std::to_string(max_scan_nodes) + " nodes");
  NORA_TRY(auto touched, db_.exec("UPDATE survey SET nodes = ? WHERE id = ? AND finished IS NULL", {nodes, survey}));
  if (touched != 1) return fail(Code::not_found, "there is no open survey " + std::string(survey));
  return {};
}

Result<std::vector<std::string>> Nodes::open_surveys(const Hash& mandate) {
  NORA_TRY(auto rows, db_.query("SELECT id FROM survey WHERE mandate_hash = ? AND nodes > 0 AND finished IS NULL ORDER BY started, id", {mandate}));
  std::vector<std::string> out;
  for (const auto& r : rows) out.push_back(r[0].str());
  return out;
}

Result<std::int64_t> Nodes::nodes_of(std::string_view survey) {
  NORA_TRY(auto value, db_.one("SELECT nodes FROM survey WHERE id = ?", {survey}));
  return value.integer();
}

Result<std::int64_t> Nodes::join(std::string_view survey, std::string_view node, Instant now, Span lease) {
  std::int64_t slot = 0;
  NORA_CHECK(db_.transaction([&]() -> Status {
    NORA_CHECK(take_turn(db_, "scan_node"));
    NORA_TRY(auto limit, db_.query("SELECT nodes FROM survey WHERE id = ? AND finished IS NULL", {survey}));
    if (limit.empty() || limit[0][0].integer() == 0)
      return fail(Code::refused, "the survey " + std::string(survey) + " is finished or not open for several nodes");
    NORA_TRY(auto rows, db_.query("SELECT node, slot, left_at, lease_until FROM scan_node WHERE survey = ? ORDER BY slot", {survey}));
    std::int64_t others = 0;
    std::optional<std::int64_t> mine;
    for (const auto& r : rows) {
      if (r[0].str() == node) mine = r[1].integer();
      else if (r[2].is_null() && r[3].instant() > now) ++others;
    }
    if (others >= limit[0][0].integer())
      return fail(Code::refused, std::to_string(others) + " nodes work on the survey " + std::string(survey) + " already", "wait until one has left");
    slot = mine.value_or(static_cast<std::int64_t>(rows.size()));
    return db_.write("INSERT INTO scan_node (survey, node, slot, joined, lease_until) VALUES (?,?,?,?,?) "
                     "ON CONFLICT (survey, node) DO UPDATE SET lease_until = excluded.lease_until, left_at = NULL",
                     {survey, node, slot, now, now + lease});
  }));
  return slot;
}

Status Nodes::renew(std::string_view survey, std::string_view node, Instant until) {
  return db_.write("UPDATE scan_node SET lease_until = ? WHERE survey = ? AND node = ? AND left_at IS NULL", {until, survey, node});
}

Status Nodes::leave(std::string_view survey, std::string_view node, Instant now, std::string_view summary) {
  return db_.write("UPDATE scan_node SET left_at = ?, summary = ? WHERE survey = ? AND node = ?", {now, summary, survey, node});
}

Result<std::vector<Nodes::Member>> Nodes::members(std::string_view survey, Instant now) {
  NORA_TRY(auto rows, db_.query("SELECT node, slot, left_at, lease_until, summary FROM scan_node WHERE survey = ? ORDER BY slot", {survey}));
  std::vector<Member> out;
  for (const auto& r : rows) out.push_back({r[0].str(), r[1].integer(), r[2].is_null() && r[3].instant() > now, r[4].str()});
  return out;
}

Result<Nodes::Share> Nodes::share(const Hash& mandate, std::string_view holder, Rates cap, Rates in_force, Instant now, Span lease) {
  Share out;
  NORA_CHECK(db_.transaction([&]() -> Status {
    NORA_CHECK(take_turn(db_, "rate_share"));
    NORA_CHECK(db_.write("DELETE FROM rate_share WHERE lease_until <= ?", {now}));
    NORA_TRY(auto rows, db_.query("SELECT holder, pps, per_24_pps FROM rate_share WHERE mandate = ?", {mandate}));
    Rates others, mine;
    out.holders = 1;
    for (const auto& r : rows) {
      Rates held{r[1].integer(), r[2].integer()};
      if (r[0].str() == holder) {
        mine = held;
        continue;
      }
      others.pps += held.pps;
      others.per_24_pps += held.per_24_pps;
      ++out.holders;
    }
    auto one = [&](std::int64_t whole, std::int64_t taken, std::int64_t held, std::int64_t used, std::int64_t& fair) {
      fair = whole / out.holders;
      auto free = std::max<std::int64_t>(0, whole - taken);
      return std::max(std::min({used, held, free}), std::min(fair, free));
    };
    out.granted.pps = one(cap.pps, others.pps, mine.pps, in_force.pps, out.fair.pps);
    out.granted.per_24_pps = one(cap.per_24_pps, others.per_24_pps, mine.per_24_pps, in_force.per_24_pps, out.fair.per_24_pps);
    return db_.write("INSERT INTO rate_share (mandate, holder, pps, per_24_pps, lease_until) VALUES (?,?,?,?,?) ON CONFLICT (mandate, holder) "
                     "DO UPDATE SET pps = excluded.pps, per_24_pps = excluded.per_24_pps, lease_until = excluded.lease_until",
                     {mandate, holder, out.granted.pps, out.granted.per_24_pps, now + lease});
  }));
  return out;
}

Status Nodes::give_back(const Hash& mandate, std::string_view holder) {
  return db_.write("DELETE FROM rate_share WHERE mandate = ? AND holder = ?", {mandate, holder});
}

}  // namespace nora::registry
