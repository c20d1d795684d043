#include "registry/jobs.h"

namespace nora::registry {
namespace {

constexpr std::string_view job_columns =
    "id, kind, payload, ip, state, created, created_by, lease_owner, fence, lease_until, attempts, finished, result";
constexpr std::size_t max_check_line_bytes = 64 * 1024;
constexpr std::size_t max_check_events = 2000;  // per job: a check has a few dozen probes

Job job_from(const store::Row& r) {
  Job j;
  j.id = r[0].integer();
  j.kind = r[1].str();
  j.payload = r[2].str();
  if (!r[3].is_null() && r[3].blob().size() == 16) j.ip = r[3].ip();
  j.state = r[4].str();
  j.created = r[5].instant();
  j.created_by = r[6].str();
  j.lease_owner = r[7].str();
  j.fence = r[8].integer();
  j.lease_until = r[9].instant();
  j.attempts = r[10].integer();
  if (!r[11].is_null()) j.finished = r[11].instant();
  j.result = r[12].str();
  return j;
}

Result<std::vector<Job>> read_jobs(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT " + std::string(job_columns) + " FROM job " + std::string(tail), params));
  std::vector<Job> out;
  for (const auto& r : rows) out.push_back(job_from(r));
  return out;
}

Status lease_lost(Id id) {
  return fail(Code::refused, "the lease on job " + std::to_string(id) + " was lost to another node", "Drop this job; the new holder does it");
}

}  // namespace

Result<Id> Jobs::enqueue(std::string_view kind, std::string_view payload, std::optional<Ip> ip, std::string_view by, Instant now) {
  NORA_TRY(auto rows, db_.query("INSERT INTO job (kind, payload, ip, state, created, created_by) VALUES (?,?,?,'queued',?,?) RETURNING id",
                                {kind, payload, ip ? store::Value(*ip) : store::Value(), now, by}));
  return rows.at(0)[0].integer();
}

Result<std::optional<Job>> Jobs::lease(const std::vector<std::string>& kinds, std::string_view owner, Instant now, Span length) {
  if (kinds.empty()) return std::optional<Job>{};
  std::optional<Job> leased;
  NORA_CHECK(db_.transaction([&]() -> Status {
    // Jobs that killed their holder too often are set aside, so that one bad job cannot stop the queue.
    NORA_CHECK(db_.exec("UPDATE job SET state = 'failed', finished = ?, result = 'given up after repeated lost leases' "
                        "WHERE state = 'leased' AND lease_until <= ? AND attempts >= ?", {now, now, max_job_attempts}));
    store::Params params;
    std::string in;
    for (const auto& kind : kinds) {
      in += in.empty() ? "?" : ",?";
      params.emplace_back(kind);
    }
    params.emplace_back(now);
    std::string tail = "WHERE kind IN (" + in + ") AND (state = 'queued' OR (state = 'leased' AND lease_until <= ?)) ORDER BY id LIMIT 1";
    if (db_.is_postgres()) tail += " FOR UPDATE SKIP LOCKED";
    NORA_TRY(auto found, read_jobs(db_, tail, params));
    if (found.empty()) return {};
    auto job = found[0];
    job.state = "leased";
    job.lease_owner = owner;
    job.fence += 1;
    job.attempts += 1;
    job.lease_until = now + length;
    NORA_CHECK(db_.exec("UPDATE job SET state = 'leased', lease_owner = ?, fence = ?, lease_until = ?, attempts = ? WHERE id = ?",
                        {job.lease_owner, job.fence, job.lease_until, job.attempts, job.id}));
    leased = std::move(job);
    return {};
  }));
  return leased;
}

Status Jobs::renew(Id id, std::int64_t fence, Instant until) {
  NORA_TRY(auto touched, db_.exec("UPDATE job SET lease_until = ? WHERE id = ? AND fence = ? AND state = 'leased'", {until, id, fence}));
  return touched == 1 ? Status{} : lease_lost(id);
}

Status Jobs::append_event(Id job, std::int64_t fence, Instant at, std::string_view line) {
  if (line.size() > max_check_line_bytes) return fail(Code::bad_input, "a check event is longer than 64 KiB");
  NORA_TRY(auto touched, db_.exec("INSERT INTO check_event (job, at, line) SELECT CAST(? AS bigint), CAST(? AS bigint), CAST(? AS text) "
                                  "WHERE EXISTS (SELECT 1 FROM job WHERE id = ? AND fence = ? AND state = 'leased') "
                                  "AND (SELECT count(*) FROM check_event WHERE job = ?) < ?",
                                  {job, at, line, job, fence, job, static_cast<std::int64_t>(max_check_events)}));
  return touched == 1 ? Status{} : lease_lost(job);
}

Result<std::vector<CheckEvent>> Jobs::events_after(Id job, Id after) {
  NORA_TRY(auto rows, db_.query("SELECT id, job, at, line FROM check_event WHERE job = ? AND id > ? ORDER BY id", {job, after}));
  std::vector<CheckEvent> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].integer(), r[2].instant(), r[3].str()});
  return out;
}

Status Jobs::finish(Id id, std::int64_t fence, bool ok, std::string_view result, Instant now) {
  NORA_TRY(auto touched, db_.exec("UPDATE job SET state = ?, finished = ?, result = ? WHERE id = ? AND fence = ? AND state = 'leased'",
                                  {ok ? "done" : "failed", now, result, id, fence}));
  return touched == 1 ? Status{} : lease_lost(id);
}

Result<std::optional<Job>> Jobs::job(Id id) {
  NORA_TRY(auto found, read_jobs(db_, "WHERE id = ?", {id}));
  if (found.empty()) return std::optional<Job>{};
  return std::optional<Job>(found[0]);
}

Result<std::vector<Job>> Jobs::recent(std::size_t limit) {
  return read_jobs(db_, "ORDER BY id DESC LIMIT ?", {static_cast<std::int64_t>(limit)});
}

Result<std::int64_t> Jobs::count_since(std::string_view kind, Ip ip, Instant since, std::string_view by) {
  store::Params params = {kind, ip, since};
  if (!by.empty()) params.emplace_back(by);
  NORA_TRY(auto value, db_.one(std::string("SELECT count(*) FROM job WHERE kind = ? AND ip = ? AND created > ?") + (by.empty() ? "" : " AND created_by = ?"), params));
  return value.integer();
}

Result<std::int64_t> Jobs::waiting(std::string_view kind, std::optional<Ip> ip) {
  store::Params params = {kind};
  if (ip) params.emplace_back(*ip);
  NORA_TRY(auto value, db_.one(std::string("SELECT count(*) FROM job WHERE kind = ? AND state IN ('queued', 'leased')") + (ip ? " AND ip = ?" : ""), params));
  return value.integer();
}

Result<std::int64_t> Jobs::forget_check_addresses(Instant before) {
  return db_.exec("UPDATE job SET ip = NULL, payload = '{}' WHERE kind = 'check' AND finished IS NOT NULL AND finished < ? AND ip IS NOT NULL", {before});
}

}  // namespace nora::registry
