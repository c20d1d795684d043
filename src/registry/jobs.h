// Jobs: work that one process asks of another through the store. Used by flow (asks for checks and re-measurements), survey's node
// (leases, reports, finishes), desk (runs page) and the portal gate (streams the events of a check to the owner's page).
// At-least-once: a job whose lease ran out is given again with a higher fencing token, and the old holder is refused.
// SQLite: BEGIN IMMEDIATE; PostgreSQL: FOR UPDATE SKIP LOCKED. Not thread safe: one Jobs per thread (it is only a view on a Db).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "registry/types.h"
#include "store/db.h"

namespace nora::registry {

inline constexpr int max_job_attempts = 3;
inline constexpr Span job_lease = Span::seconds(45);  // a check takes <= 30 s; a survey renews

// kind "check": payload {"ip": IP, "code": C?, "why": "self-check"|"verify"}: one address, every probe of the mandate's catalogue for it.
// kind "survey": payload {"plan": …} as survey wrote it; kind "remeasure": a full survey again.
struct Job {
  Id id = 0;
  std::string kind;
  std::string payload;           // JSON
  std::optional<Ip> ip;          // the address of a check
  std::string state;             // queued | leased | done | failed
  Instant created;
  std::string created_by;        // portal, scheduler, a user
  std::string lease_owner;
  std::int64_t fence = 0;
  Instant lease_until;
  std::int64_t attempts = 0;
  std::optional<Instant> finished;
  std::string result;            // JSON or a sentence
};

// One line of a running check, in the words of exchange/portal_wire.h's CheckLine as JSON:
// {"step":"started"} {"step":"probe","what":"http","port":80,"proto":"tcp","result":"open|closed|answered|silent"} …
// The node ends with finish(); the verdict line is the portal gate's, not the node's.
struct CheckEvent {
  Id id = 0;
  Id job = 0;
  Instant at;
  std::string line;
};

class Jobs {
 public:
  explicit Jobs(store::Db& db) : db_(db) {}
  Result<Id> enqueue(std::string_view kind, std::string_view payload, std::optional<Ip> ip, std::string_view by, Instant now);
  // The oldest waiting job of these kinds, or one whose lease ran out. A job that was tried max_job_attempts times becomes failed.
  Result<std::optional<Job>> lease(const std::vector<std::string>& kinds, std::string_view owner, Instant now, Span length = job_lease);
  Status renew(Id id, std::int64_t fence, Instant until);
  Status append_event(Id job, std::int64_t fence, Instant at, std::string_view line);
  Result<std::vector<CheckEvent>> events_after(Id job, Id after);
  Status finish(Id id, std::int64_t fence, bool ok, std::string_view result, Instant now);
  Result<std::optional<Job>> job(Id id);
  Result<std::vector<Job>> recent(std::size_t limit = 50);                                // newest first
  // For the rate limit of self-checks; `by` empty: whoever asked.
  Result<std::int64_t> count_since(std::string_view kind, Ip ip, Instant since, std::string_view by = {});
  Result<std::int64_t> waiting(std::string_view kind, std::optional<Ip> ip = {});         // queued or leased
  Result<std::int64_t> forget_check_addresses(Instant before);                            // retention: 24 h

 private:
  store::Db& db_;
};

}  // namespace nora::registry
