// Surveys and segments: leases with fencing tokens. A holder whose token is stale is refused, so a paused node cannot commit twice.
#include "registry/registry.h"

namespace nora::registry {
namespace {

constexpr std::string_view segment_columns =
    "id, survey, number, index_from, index_to, state, lease_owner, fence, lease_until, sent, file_hash, reserved_leaf, committed_leaf";

Segment segment_from(const store::Row& r) {
  Segment s;
  s.id = r[0].str();
  s.survey = r[1].str();
  s.number = r[2].integer();
  s.from = static_cast<std::uint64_t>(r[3].integer());
  s.to = static_cast<std::uint64_t>(r[4].integer());
  s.state = static_cast<SegmentState>(r[5].integer());
  s.lease_owner = r[6].str();
  s.fence = r[7].integer();
  s.lease_until = r[8].instant();
  s.sent = r[9].integer();
  if (!r[10].is_null() && r[10].blob().size() == 32) s.file_hash = r[10].hash();
  return s;
}

Result<std::vector<Segment>> read_segments(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT " + std::string(segment_columns) + " FROM segment " + std::string(tail), params));
  std::vector<Segment> out;
  for (const auto& r : rows) out.push_back(segment_from(r));
  return out;
}

constexpr int reserved = static_cast<int>(SegmentState::reserved);
constexpr int sent_state = static_cast<int>(SegmentState::sent);
constexpr int committed = static_cast<int>(SegmentState::committed);

Status lease_lost(std::string_view id) {
  return fail(Code::refused, "the lease on segment " + std::string(id) + " was lost to another node", "Stop this segment; the new holder repeats it");
}

Survey survey_from(const store::Row& r) {
  Survey s;
  s.id = r[0].str();
  s.kind = r[1].str();
  if (!r[2].is_null() && r[2].blob().size() == 32) s.mandate_hash = r[2].hash();
  s.plan = r[3].str();
  s.started = r[4].instant();
  if (!r[5].is_null()) s.finished = r[5].instant();
  s.sent = r[6].integer();
  s.replies = r[7].integer();
  s.summary = r[8].str();
  return s;
}

constexpr std::string_view survey_select = "SELECT id, kind, mandate_hash, plan, started, finished, sent, replies, summary FROM survey ";

}  // namespace

Status Registry::put_survey(const Survey& s) {
  NORA_CHECK(db_->exec(
      "INSERT INTO survey (id, kind, mandate_hash, plan, started, finished, sent, replies, summary) VALUES (?,?,?,?,?,?,?,?,?) "
      "ON CONFLICT (id) DO UPDATE SET finished = excluded.finished, sent = excluded.sent, replies = excluded.replies, summary = excluded.summary",
      {s.id, s.kind, s.mandate_hash, s.plan, s.started, store::Value(s.finished), s.sent, s.replies, s.summary}));
  return {};
}

Result<std::optional<Survey>> Registry::survey(std::string_view id) {
  NORA_TRY(auto rows, db_->query(std::string(survey_select) + "WHERE id = ?", {id}));
  if (rows.empty()) return std::optional<Survey>{};
  return std::optional<Survey>(survey_from(rows[0]));
}

Result<std::vector<Survey>> Registry::surveys(std::size_t limit) {
  NORA_TRY(auto rows, db_->query(std::string(survey_select) + "ORDER BY started DESC, id LIMIT ?", {static_cast<std::int64_t>(limit)}));
  std::vector<Survey> out;
  for (const auto& r : rows) out.push_back(survey_from(r));
  return out;
}

Status Registry::add_segments(const std::vector<Segment>& segments) {
  store::Rows rows;
  for (const auto& s : segments)
    rows.push_back({s.id, s.survey, s.number, static_cast<std::int64_t>(s.from), static_cast<std::int64_t>(s.to), reserved, "", 0, 0, 0});
  return db_->insert_many("segment", {"id", "survey", "number", "index_from", "index_to", "state", "lease_owner", "fence", "lease_until", "sent"},
                          rows, true);
}

Result<std::vector<Segment>> Registry::lease_segments(std::string_view survey, std::string_view owner, Instant now, Span lease,
                                                      std::int64_t below, std::size_t limit) {
  std::vector<Segment> leased;
  NORA_CHECK(db_->transaction([&]() -> Status {
    std::string tail = "WHERE survey = ? AND number < ? AND state <> ? AND (lease_owner = '' OR lease_until <= ?) ORDER BY number LIMIT ?";
    if (db_->is_postgres()) tail += " FOR UPDATE SKIP LOCKED";
    NORA_TRY(leased, read_segments(*db_, tail, {survey, below, committed, now, static_cast<std::int64_t>(limit)}));
    for (auto& s : leased) {
      if (s.lease_owner != owner) s.fence += 1;  // its own again: what it heard under this token is still good
      s.lease_owner = owner;
      s.lease_until = now + lease;
      s.state = SegmentState::reserved;
      NORA_CHECK(db_->write("UPDATE segment SET state = ?, lease_owner = ?, fence = ?, lease_until = ? WHERE id = ?",
                            {reserved, s.lease_owner, s.fence, s.lease_until, s.id}));
    }
    return {};
  }));
  return leased;
}

Status Registry::note_reserved(std::string_view id, std::int64_t fence, std::string_view leaf) {
  NORA_TRY(auto touched, db_->exec("UPDATE segment SET reserved_leaf = ? WHERE id = ? AND fence = ?", {leaf, id, fence}));
  return touched == 1 ? Status{} : lease_lost(id);
}

Result<std::vector<std::string>> Registry::renew_segments(const Fences& held, Instant until) {
  std::vector<std::string> lost;
  NORA_CHECK(db_->transaction([&]() -> Status {
    for (const auto& [id, fence] : held) {
      NORA_TRY(auto touched, db_->exec("UPDATE segment SET lease_until = ? WHERE id = ? AND fence = ? AND state <> ?", {until, id, fence, committed}));
      if (touched != 1) lost.push_back(id);
    }
    return {};
  }));
  return lost;
}

Status Registry::release_segments(const Fences& held) {
  return db_->transaction([&]() -> Status {
    for (const auto& [id, fence] : held)
      NORA_CHECK(db_->write("UPDATE segment SET lease_until = 0 WHERE id = ? AND fence = ? AND state <> ?", {id, fence, committed}));
    return {};
  });
}

Result<std::vector<Segment>> Registry::segments_of(std::string_view survey, std::string_view owner, Instant now, std::int64_t below) {
  return read_segments(*db_, "WHERE survey = ? AND lease_owner = ? AND lease_until > ? AND number < ? AND state <> ? ORDER BY number",
                       {survey, owner, now, below, committed});
}

Result<std::pair<std::int64_t, std::int64_t>> Registry::segments_left(std::string_view survey, Instant now, std::int64_t below) {
  NORA_TRY(auto rows, db_->query("SELECT count(*), coalesce(sum(CASE WHEN lease_owner = '' OR lease_until <= ? THEN 1 ELSE 0 END), 0) FROM segment "
                                 "WHERE survey = ? AND number < ? AND state <> ?",
                                 {now, survey, below, committed}));
  return std::pair{rows.at(0)[0].integer(), rows.at(0)[1].integer()};
}

Result<Segment> Registry::reserve_segment(const Segment& wanted, std::string_view owner, Instant now, Span lease, std::string_view leaf) {
  Segment s = wanted;
  NORA_CHECK(db_->transaction([&]() -> Status {
    NORA_CHECK(add_segments({wanted}));
    std::string tail = "WHERE id = ?";
    if (db_->is_postgres()) tail += " FOR UPDATE";
    NORA_TRY(auto found, read_segments(*db_, tail, {wanted.id}));
    if (found.empty()) return fail(Code::failed, "segment " + wanted.id + " clashes with another segment of the same number");
    s = found[0];
    if (s.from != wanted.from || s.to != wanted.to) return fail(Code::bad_input, "segment " + wanted.id + " has another index range in the store");
    if (s.state == SegmentState::committed) return fail(Code::refused, "segment " + wanted.id + " is committed already");
    if (!s.lease_owner.empty() && s.lease_owner != owner && s.lease_until > now)
      return fail(Code::refused, "segment " + wanted.id + " is leased to " + s.lease_owner);
    s.fence += 1;
    s.lease_owner = owner;
    s.lease_until = now + lease;
    s.state = SegmentState::reserved;
    NORA_CHECK(db_->exec("UPDATE segment SET state = ?, lease_owner = ?, fence = ?, lease_until = ?, reserved_leaf = ? WHERE id = ?",
                         {reserved, s.lease_owner, s.fence, s.lease_until, leaf, s.id}));
    return {};
  }));
  return s;
}

Status Registry::mark_sent(std::string_view id, std::int64_t fence, std::int64_t sent) {
  NORA_TRY(auto touched, db_->exec("UPDATE segment SET state = ?, sent = ? WHERE id = ? AND fence = ? AND state <> ?",
                                   {sent_state, sent, id, fence, committed}));
  return touched == 1 ? Status{} : lease_lost(id);
}

Status Registry::commit_segment(std::string_view id, std::int64_t fence, std::int64_t sent, const Hash& file_hash, std::string_view leaf) {
  NORA_TRY(auto touched,
           db_->exec("UPDATE segment SET state = ?, sent = ?, file_hash = ?, committed_leaf = ? WHERE id = ? AND fence = ? AND state <> ?",
                     {committed, sent, file_hash, leaf, id, fence, committed}));
  return touched == 1 ? Status{} : lease_lost(id);
}

Result<std::optional<Segment>> Registry::segment(std::string_view id) {
  NORA_TRY(auto found, read_segments(*db_, "WHERE id = ?", {id}));
  if (found.empty()) return std::optional<Segment>{};
  return std::optional<Segment>(found[0]);
}

Result<std::vector<Segment>> Registry::segments(std::string_view survey) {
  return read_segments(*db_, "WHERE survey = ? ORDER BY number", {survey});
}

Result<std::pair<std::string, std::string>> Registry::segment_leaves(std::string_view id) {
  NORA_TRY(auto rows, db_->query("SELECT reserved_leaf, committed_leaf FROM segment WHERE id = ?", {id}));
  if (rows.empty()) return fail(Code::not_found, "there is no segment " + std::string(id));
  return std::pair{rows[0][0].str(), rows[0][1].str()};
}

}  // namespace nora::registry
