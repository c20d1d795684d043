#include "isp/isolation.h"

#include <fmt/format.h>

#include "base/files.h"
#include "isp/users.h"

namespace nora::isp {
namespace {

constexpr std::string_view columns =
    "id, row_id, line, ip, scope, reason, hours, requested_by, requested_at, approved_by, approved_at, applied_at, expires, released_at, released_by, release_reason, state, "
    "last_error, nas, session";
constexpr std::size_t max_reason_bytes = 500, max_secret_bytes = 256;

Isolation from_row(const store::Row& r) {
  Isolation i;
  i.id = r[0].integer();
  i.row_id = r[1].str();
  i.line = LineId(r[2].str());
  i.address = r[3].ip();
  i.scope = r[4].str();
  i.reason = r[5].str();
  i.hours = r[6].integer();
  i.requested_by = r[7].str();
  i.requested_at = r[8].instant();
  i.approved_by = r[9].str();
  i.approved_at = r[10].instant();
  i.applied_at = r[11].instant();
  i.expires = r[12].instant();
  i.released_at = r[13].instant();
  i.released_by = r[14].str();
  i.release_reason = r[15].str();
  i.state = r[16].str();
  i.last_error = r[17].str();
  i.nas = r[18].str();
  i.session = r[19].str();
  return i;
}

// Moves one isolation from a known state; 0 rows: somebody else was faster.
Status move(Party& party, const Isolation& i, std::string_view to, std::string_view set, store::Params params) {
  store::Params all{to};
  all.insert(all.end(), params.begin(), params.end());
  all.emplace_back(i.id);
  all.emplace_back(i.state);
  NORA_TRY(auto n, party.db->exec(fmt::format("update isolation set state = ?{}{} where id = ? and state = ?", set.empty() ? "" : ", ", set), all));
  if (n == 0) return fail(Code::refused, "somebody else changed this isolation just now", "Look at it again");
  return {};
}

json::Object leaf_of(const Isolation& i, std::string_view by) {
  return {{"isolation", i.id}, {"row", i.row_id}, {"scope", i.scope}, {"hours", i.hours}, {"reason", i.reason}, {"by", by}};
}

// The newest session on the row's address must be this line's: the keys that name it at the NAS.
struct Keys { std::string nas, session, user; };
Result<Keys> session_keys(Party& party, const Row& row) {
  NORA_TRY(auto index, LeaseReader::open(party.index_dir()));
  std::vector<Candidate> found;
  index.find(row.item.where.ip, row.item.where.at, forever, found);
  const Candidate* newest = nullptr;
  for (const auto& c : found)
    if (!newest || c.start > newest->start) newest = &c;
  if (!newest) return fail(Code::refused, "no session of this address is known any more");
  if (index.line_of(newest->user) != row.line) return fail(Code::refused, "the address belongs to another line by now", "Nothing may be done to it; wait for another sighting of the device");
  if (newest->end != forever && newest->end <= index.covered_until()) return fail(Code::refused, "the session has ended by now", "Wait for another sighting of the device");
  if (newest->session.empty()) return fail(Code::refused, "this line has no RADIUS session; only sessions with an Acct-Session-Id can be isolated");
  return Keys{std::string(newest->nas), std::string(newest->session), std::string(newest->user)};
}

Result<CoaReply> tell_nas(Party& party, CoaActor& actor, const Isolation& i, std::string_view filter) {
  auto nas = party.settings.nas.find(i.nas);
  if (nas == party.settings.nas.end()) nas = party.settings.nas.find("*");
  if (nas == party.settings.nas.end()) return fail(Code::usage, fmt::format("isp.toml has no [nas.\"{}\"]", i.nas), "Add its CoA address and secret_file");
  NORA_TRY(auto text, read_file(nas->second.secret_file, max_secret_bytes));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) return fail(Code::usage, fmt::format("{} is empty", nas->second.secret_file.string()));
  Secret secret(to_bytes(text));
  return actor.change(nas->second.coa, secret, {i.session, i.address, {}, i.nas, std::string(filter), party.env.clock.now()});
}

Status has_role(Party& party, std::string_view by, std::string_view role) {
  NORA_TRY(auto user, IspUsers::find(*party.db, by));
  if (!user.has_role(role)) return fail(Code::refused, fmt::format("user \"{}\" has not the role {}", by, role), fmt::format("nora isp user add --dir DIR --role {} …", role));
  return {};
}

}  // namespace

std::string_view name(Scope scope) { return scope == Scope::block_in ? "block-in" : "walled-garden"; }
Result<Scope> parse_scope(std::string_view text) {
  if (text == "block-in") return Scope::block_in;
  if (text == "walled-garden") return Scope::walled_garden;
  return fail(Code::usage, "the scope is block-in or walled-garden");
}

Result<Isolation> isolation(Party& party, std::int64_t id) {
  NORA_TRY(auto found, party.db->query(fmt::format("select {} from isolation where id = ?", columns), {id}));
  if (found.empty()) return fail(Code::not_found, fmt::format("there is no isolation {}", id));
  return from_row(found[0]);
}

Result<std::vector<Isolation>> isolations(Party& party, std::string_view row_id, int limit) {
  store::Params params;
  std::string where;
  if (!row_id.empty()) { where = " where row_id = ?"; params.emplace_back(row_id); }
  params.emplace_back(limit);
  NORA_TRY(auto found, party.db->query(fmt::format("select {} from isolation{} order by id desc limit ?", columns, where), params));
  std::vector<Isolation> out;
  for (const auto& r : found) out.push_back(from_row(r));
  return out;
}

Result<Isolation> request_isolation(Party& party, const IsolationRequest& request) {
  if (request.reason.empty() || request.reason.size() > max_reason_bytes) return fail(Code::usage, "an isolation needs a reason of at most 500 bytes");
  if (request.hours < 1 || request.hours > max_hours) return fail(Code::usage, fmt::format("the hours are 1-{}", max_hours));
  NORA_CHECK(has_role(party, request.by, "operator"));
  NORA_TRY(auto row, row(party, request.row_id));
  if (row.line.empty()) return fail(Code::refused, "this row has no line: only a unique match can lead to an isolation");
  if (request.scope == Scope::block_in && !row.item.has_port) return fail(Code::refused, "this finding has no port to block");
  // The match must still be unique by the logs of today.
  NORA_TRY(auto grounds, party.grounds());
  NORA_TRY(auto index, LeaseReader::open(party.index_dir()));
  NORA_TRY(auto looked, look_up(party, index, grounds, row, "isolation"));
  if (!looked.answer.unique || looked.answer.unique->line() != row.line) return fail(Code::refused, "the logs do not name this line any more", "Match the row again");
  const auto now = party.env.clock.now();
  if (request.scope == Scope::walled_garden) {
    NORA_TRY(auto narrower, party.db->one("select count(*) from isolation where line = ? and scope like 'block-in:%' and applied_at > ?", {row.line.reveal(), now - narrow_first}));
    if (narrower.integer() == 0) return fail(Code::refused, "the narrowest comes first: block the port inbound before the whole line", "Request --scope block-in");
  }
  NORA_TRY(auto keys, session_keys(party, row));
  Isolation i;
  i.row_id = row.item.row_id;
  i.line = row.line;
  i.address = row.item.where.ip;
  i.scope = request.scope == Scope::block_in ? fmt::format("block-in:{}", row.item.where.port.value) : "walled-garden";
  i.reason = request.reason;
  i.hours = request.hours;
  NORA_TRY(auto leaf, party.audit->append("isolation_request", leaf_of(i, request.by)));
  (void)leaf;
  NORA_TRY(auto inserted, party.db->query("insert into isolation (row_id, line, ip, scope, reason, hours, requested_by, requested_at, approved_by, approved_at, applied_at, expires, released_at, "
                                          "released_by, release_reason, state, last_error, nas, session) values (?,?,?,?,?,?,?,?,'',0,0,0,0,'','','requested','',?,?) returning id",
                                          {i.row_id, i.line.reveal(), i.address, i.scope, i.reason, i.hours, request.by, now, keys.nas, keys.session}));
  return isolation(party, inserted.at(0).at(0).integer());
}

Result<Isolation> approve_isolation(Party& party, std::int64_t id, std::string_view by) {
  NORA_TRY(auto i, isolation(party, id));
  if (i.state != "requested") return fail(Code::refused, fmt::format("this isolation is {}, not waiting for approval", i.state));
  if (i.requested_by == by) return fail(Code::refused, "a second person has to approve: nobody approves their own request");
  NORA_CHECK(has_role(party, by, "approver"));
  NORA_TRY(auto leaf, party.audit->append("isolation_approve", leaf_of(i, by)));
  (void)leaf;
  NORA_CHECK(move(party, i, "approved", "approved_by = ?, approved_at = ?", {by, party.env.clock.now()}));
  return isolation(party, id);
}

Result<Isolation> apply_isolation(Party& party, CoaActor& actor, std::int64_t id, std::string_view by) {
  NORA_TRY(auto i, isolation(party, id));
  if (i.state != "approved" && i.state != "applying") return fail(Code::refused, fmt::format("this isolation is {}, not approved", i.state), "A second person approves it: nora isp isolate approve");
  const auto now = party.env.clock.now();
  if (now - i.approved_at > Span::hours(24)) return fail(Code::refused, "the approval is older than a day", "Request it again");
  NORA_TRY(auto leaf, party.audit->append("isolation_apply", leaf_of(i, by)));
  (void)leaf;
  // The end is fixed before the act, so that a crash cannot leave a line cut off for ever.
  NORA_CHECK(move(party, i, "applying", "applied_at = ?, expires = ?", {now, now + Span::hours(i.hours)}));
  i.state = "applying";
  auto reply = tell_nas(party, actor, i, i.scope);
  if (!reply) {
    NORA_CHECK(move(party, i, "applying", "last_error = ?", {reply.error().text()}));
    return pass(reply.error());
  }
  if (reply->answer == CoaAnswer::nak) {
    auto why = fmt::format("the NAS refused: {} ({})", error_cause_text(reply->error_cause), reply->error_cause);
    NORA_CHECK(move(party, i, "failed", "last_error = ?, applied_at = 0", {why}));
    return fail(Code::refused, why, reply->error_cause == 503 ? "The session has ended or the address was handed on; nobody was cut off" : "");
  }
  NORA_CHECK(party.db->transaction([&]() -> Status {
    NORA_CHECK(move(party, i, "applied", "last_error = ''", {}));
    if (i.scope == "walled-garden") {
      NORA_TRY(auto n, party.db->exec("update isolation set state = 'widened' where line = ? and id <> ? and state = 'applied'", {i.line.reveal(), i.id}));
      (void)n;
    }
    return set_state(*party.db, i.row_id, "isolated", i.scope, now, i.scope);
  }));
  return isolation(party, id);
}

Result<Isolation> release_isolation(Party& party, CoaActor& actor, std::int64_t id, std::string_view by, std::string_view reason) {
  NORA_TRY(auto i, isolation(party, id));
  if (i.state != "applied" && i.state != "applying" && i.state != "releasing") return fail(Code::refused, fmt::format("this isolation is {}", i.state));
  if (reason.empty() || reason.size() > max_reason_bytes) return fail(Code::usage, "a release needs a reason of at most 500 bytes");
  auto data = leaf_of(i, by);
  data["release_reason"] = reason;
  NORA_TRY(auto leaf, party.audit->append("isolation_release", data));
  (void)leaf;
  NORA_CHECK(move(party, i, "releasing", "released_by = ?, release_reason = ?", {by, reason}));
  i.state = "releasing";
  auto reply = tell_nas(party, actor, i, "open");
  const auto now = party.env.clock.now();
  if (!reply) {
    NORA_CHECK(move(party, i, "releasing", "last_error = ?", {reply.error().text()}));
    return pass(reply.error());
  }
  // A NAK "session not found" means that the session ended: with it went the filter.
  if (reply->answer == CoaAnswer::nak && reply->error_cause != 503) {
    auto why = fmt::format("the NAS refused to release: {} ({})", error_cause_text(reply->error_cause), reply->error_cause);
    NORA_CHECK(move(party, i, "releasing", "last_error = ?", {why}));
    return fail(Code::failed, why, "It is tried again; call the network desk if it lasts");
  }
  NORA_CHECK(party.db->transaction([&]() -> Status {
    NORA_CHECK(move(party, i, "released", "released_at = ?, last_error = ''", {now}));
    return set_state(*party.db, i.row_id, "released", reason, now, i.scope);
  }));
  return isolation(party, id);
}

Result<int> expire_isolations(Party& party, CoaActor& actor) {
  const auto now = party.env.clock.now();
  // "applying" long after its start: the process died, nobody knows what the NAS did; releasing is safe in either case.
  NORA_TRY(auto found, party.db->query(fmt::format("select {} from isolation where (state = 'applied' and expires <= ?) or state = 'releasing' or (state = 'applying' and applied_at <= ?) "
                                                   "order by id limit 1000", columns),
                                       {now, now - Span::minutes(5)}));
  int released = 0;
  for (const auto& r : found) {
    auto i = from_row(r);
    auto done = release_isolation(party, actor, i.id, "nora", i.state == "applied" ? "the time is over" : i.release_reason.empty() ? "never finished" : i.release_reason);
    if (done) ++released;
    else party.env.log.warn(fmt::format("isolation {}: {}", i.id, done.error().text()));
  }
  return released;
}

}  // namespace nora::isp
