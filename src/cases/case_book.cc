#include "cases/case_book.h"

#include <algorithm>

#include "base/escape.h"

namespace nora::cases {
namespace {

constexpr std::string_view case_columns =
    "id, line_key, device, isp, track, state, state_at, first_seen, reopened_at, word1, word2, handle, root_cause, attacked, merged_into, "
    "notified_at, opened_at, checked_at, fixed_at, closed_reason";

std::optional<Instant> maybe(const store::Value& v) {
  if (v.is_null()) return std::nullopt;
  return v.instant();
}

Result<Case> case_from(const store::Row& r) {
  Case c;
  c.id = r[0].integer();
  c.line_key = r[1].str();
  c.device = r[2].integer();
  c.isp = r[3].str();
  c.track = r[4].str();
  NORA_TRY(c.state, parse_state(r[5].str()));
  c.state_at = r[6].instant();
  c.first_seen = r[7].instant();
  c.reopened_at = maybe(r[8]);
  c.word1 = r[9].str();
  c.word2 = r[10].str();
  c.handle = r[11].str();
  c.root_cause = r[12].str();
  c.attacked = r[13].boolean();
  c.merged_into = r[14].integer();
  c.notified_at = maybe(r[15]);
  c.opened_at = maybe(r[16]);
  c.checked_at = maybe(r[17]);
  c.fixed_at = maybe(r[18]);
  c.closed_reason = r[19].str();
  return c;
}

Result<std::vector<Case>> read_cases(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT " + std::string(case_columns) + " FROM cases " + std::string(tail), params));
  std::vector<Case> out;
  for (const auto& r : rows) {
    NORA_TRY(auto c, case_from(r));
    out.push_back(std::move(c));
  }
  return out;
}

Hash event_hash(const CaseEvent& e) {
  // Length-prefixed, so that moving text from one field to the next changes the hash.
  Bytes all(e.previous.begin(), e.previous.end());
  for (const auto& part : {std::to_string(e.case_id), std::to_string(e.at.us), e.from, e.to, e.who, e.rules_version, e.evidence, e.basis}) {
    put_u32be(all, static_cast<std::uint32_t>(part.size()));
    all.insert(all.end(), part.begin(), part.end());
  }
  return sha256(all);
}

}  // namespace

Status CaseBook::append(Id case_id, State from, State to, const Why& why, Instant now) {
  CaseEvent e;
  e.case_id = case_id;
  e.at = now;
  e.from = name(from);
  e.to = name(to);
  e.who = why.who;
  e.rules_version = why.rules_version;
  e.evidence = why.evidence;
  e.basis = why.basis;
  NORA_TRY(auto last, registry_.db().query("SELECT hash FROM case_event WHERE case_id = ? ORDER BY id DESC LIMIT 1", {case_id}));
  if (!last.empty()) e.previous = last[0][0].hash();
  e.hash = event_hash(e);
  NORA_CHECK(registry_.db().exec("INSERT INTO case_event (case_id, at, from_state, to_state, who, rules_version, evidence, basis, previous, hash) "
                                 "VALUES (?,?,?,?,?,?,?,?,?,?)",
                                 {case_id, now, e.from, e.to, e.who, e.rules_version, e.evidence, e.basis, e.previous, e.hash}));
  return {};
}

// What the table of states cannot know: where the case has been.
Status CaseBook::check_history(const Case& c, State to) {
  using enum State;
  const bool isolation = to == S9P_PROPOSED || to == S9A_APPROVED || to == S9I_ISOLATED;
  const bool back = c.state == S6_VERIFYING && (to == S1_VALIDATED || to == S2_ROUTED || to == S3_ATTRIBUTED || to == S4_NOTIFIED || to == S5_ENGAGED || to == S10_ON_SITE);
  if (to != S4_NOTIFIED && !isolation && !back) return {};
  NORA_TRY(auto rows, registry_.db().query("SELECT DISTINCT to_state FROM case_event WHERE case_id = ?", {c.id}));
  const auto been = [&](State s) { return std::any_of(rows.begin(), rows.end(), [&](const auto& r) { return r[0].str() == name(s); }); };
  const auto number = "case " + std::to_string(c.id);
  // Invariant 1: no notice (and no isolation) without a validated finding and a line that the ISP matched in time.
  if ((to == S4_NOTIFIED || isolation) && !(been(S1_VALIDATED) && (been(S3_ATTRIBUTED) || been(S3D_DELEGATED))))
    return fail(Code::refused, number + " was never validated and attributed: no notice");
  if (back && !been(to)) return fail(Code::refused, number + " was never in " + std::string(name(to)) + ", so a check cannot lead back there");
  return {};
}

Result<Id> CaseBook::attach(const registry::StoredFinding& f, const std::optional<Route>& route, const Why& why, Instant now) {
  Id id = f.case_id;
  auto& db = registry_.db();
  if (id != 0) {
    NORA_TRY(auto has, get(id));
    if (has && has->merged_into) id = has->merged_into;
    if (has) {
      if (f.social) NORA_CHECK(to_site_track(id));
      return id;
    }
    id = 0;
  }
  const bool shared = route && route->shared;
  const auto line = line_key(f.finding.where.ip, f.finding.where.port, shared);
  if (f.finding.device != 0) {
    NORA_TRY(auto others, registry_.findings_of_device(f.finding.device));
    for (const auto& other : others) {
      if (other.case_id == 0) continue;
      NORA_TRY(auto c, get(other.case_id));
      if (c && is_active(c->state)) id = c->merged_into ? c->merged_into : c->id;
    }
  }
  if (id == 0 && route && route->lease) {
    // Another device at the same address within the life of an address: the same line, one case. Without a measured lease: never.
    NORA_TRY(auto open, active_at(line));
    for (const auto& c : open) {
      NORA_TRY(auto its, registry_.findings_of_case(c.id));
      for (const auto& other : its) {
        const auto& a = other.finding;
        const auto gap = f.finding.last_seen > a.last_seen ? f.finding.last_seen - a.last_seen : a.last_seen - f.finding.last_seen;
        if (gap <= *route->lease) id = c.id;
      }
    }
  }
  if (id == 0) {
    const bool on_site = f.social || (route && route->isp->on_site);
    std::string cause = f.finding.rule;
    if (f.finding.device != 0) {
      NORA_TRY(auto device, registry_.device(f.finding.device));
      if (device && device->identity.product_known()) cause = device->identity.display() + ": " + cause;
    }
    NORA_TRY(auto rows, db.query("INSERT INTO cases (line_key, device, isp, track, state, state_at, first_seen, word1, word2, root_cause) "
                                 "VALUES (?,?,?,?,?,?,?,'','',?) RETURNING id",
                                 {line, f.finding.device, route ? route->isp->id : "", on_site ? "on-site" : "list",
                                  name(State::S0_OBSERVED), now, f.finding.first_seen, to_clean_utf8(cause)}));
    id = rows.at(0)[0].integer();
    const auto code = codes_.of_case(id);
    NORA_CHECK(db.exec("UPDATE cases SET code_hash = ?, word1 = ?, word2 = ? WHERE id = ?", {codes_.lookup_hash(code.code), code.word1, code.word2, id}));
    NORA_CHECK(append(id, State::S0_OBSERVED, State::S0_OBSERVED, why, now));
  }
  if (f.social) NORA_CHECK(to_site_track(id));
  if (f.finding.id != 0 && f.case_id != id) NORA_CHECK(registry_.set_finding_case(f.finding.id, id));
  return id;
}

// A finding of social impact takes its whole case to the people on site, unless the ISP has it already.
Status CaseBook::to_site_track(Id case_id) {
  return registry_.db().write("UPDATE cases SET track = 'on-site' WHERE id = ? AND track = 'list' AND state IN (?, ?)",
                              {case_id, name(State::S0_OBSERVED), name(State::S1_VALIDATED)});
}

Status CaseBook::move(Id case_id, State to, const Why& why, Instant now) {
  return registry_.db().transaction([&]() -> Status {
    NORA_TRY(auto c, get(case_id));
    if (!c) return fail(Code::not_found, "there is no case " + std::to_string(case_id));
    if (c->state == to) return {};
    if (!allowed(c->state, to, why.actor))
      return fail(Code::refused, "case " + std::to_string(case_id) + " cannot go from " + std::string(name(c->state)) + " to " + std::string(name(to)) +
                                     " by " + why.who);
    NORA_CHECK(check_history(*c, to));
    std::string extra;
    store::Params params = {name(to), now};
    const auto set = [&](std::string_view column, bool first_only) {
      extra += first_only ? ", " + std::string(column) + " = coalesce(" + std::string(column) + ", CAST(? AS bigint))" : ", " + std::string(column) + " = ?";
      params.emplace_back(now);
    };
    if (to == State::S7_FIXED) set("fixed_at", false);
    if (to == State::S7R_REGRESSED || to == State::S7X_REINFECTED || (is_end(c->state) && is_active(to))) set("reopened_at", false);
    params.emplace_back(case_id);
    params.emplace_back(name(c->state));
    NORA_TRY(auto touched, registry_.db().exec("UPDATE cases SET state = ?, state_at = ?" + extra + " WHERE id = ? AND state = ?", params));
    if (touched != 1) return fail(Code::failed, "case " + std::to_string(case_id) + " was changed by somebody else meanwhile", "Try again");
    return append(case_id, c->state, to, why, now);
  });
}

Status CaseBook::move_along(Id case_id, const std::vector<State>& way, const Why& why, Instant now) {
  return registry_.db().transaction([&]() -> Status {
    NORA_TRY(auto c, get(case_id));
    if (!c) return fail(Code::not_found, "there is no case " + std::to_string(case_id));
    auto at = std::find(way.begin(), way.end(), c->state);
    for (auto it = at == way.end() ? way.begin() : at + 1; it != way.end(); ++it) NORA_CHECK(move(case_id, *it, why, now));
    return {};
  });
}

Status CaseBook::note(Id case_id, const Why& why, Instant now) {
  return registry_.db().transaction([&]() -> Status {
    NORA_TRY(auto c, get(case_id));
    if (!c) return fail(Code::not_found, "there is no case " + std::to_string(case_id));
    return append(case_id, c->state, c->state, why, now);
  });
}

Status CaseBook::merge(Id duplicate, Id into, const Why& why, Instant now) {
  return registry_.db().transaction([&]() -> Status {
    NORA_TRY(auto target, get(into));
    if (!target || duplicate == into || target->merged_into != 0 || !is_active(target->state))
      return fail(Code::refused, "case " + std::to_string(into) + " is no active case to merge into");
    NORA_CHECK(move(duplicate, State::X_DUP, why, now));
    NORA_CHECK(registry_.db().exec("UPDATE cases SET merged_into = ? WHERE id = ?", {into, duplicate}));
    return append(into, target->state, target->state, why, now);
  });
}

Status CaseBook::unmerge(Id duplicate, const Why& why, Instant now) {
  return registry_.db().transaction([&]() -> Status {
    NORA_TRY(auto c, get(duplicate));
    if (!c || c->merged_into == 0) return fail(Code::refused, "case " + std::to_string(duplicate) + " was not merged");
    // Back to where it was before the merge, as its own history says.
    NORA_TRY(auto history, events(duplicate));
    State before = State::S0_OBSERVED;
    for (const auto& e : history)
      if (e.to == name(State::X_DUP) && e.from != e.to) { NORA_TRY(before, parse_state(e.from)); }
    NORA_CHECK(registry_.db().exec("UPDATE cases SET merged_into = 0, state = ?, state_at = ? WHERE id = ?", {name(before), now, duplicate}));
    return append(duplicate, State::X_DUP, before, why, now);
  });
}

Result<Id> CaseBook::join_devices(Id from, Id into, const Why& why, Instant now) {
  std::vector<Case> found;
  for (Id device : {from, into}) {
    NORA_TRY(const auto findings, registry_.findings_of_device(device));
    for (const auto& f : findings) {
      if (f.case_id == 0) continue;
      NORA_TRY(const auto c, get(f.case_id));
      if (c && c->merged_into == 0 && is_active(c->state) && std::none_of(found.begin(), found.end(), [&](const Case& o) { return o.id == c->id; })) found.push_back(*c);
    }
  }
  NORA_CHECK(registry_.db().write("UPDATE cases SET device = ? WHERE device = ?", {into, from}));
  if (found.empty()) return Id{0};
  std::sort(found.begin(), found.end(), [](const Case& a, const Case& b) {
    if (a.notified_at.has_value() != b.notified_at.has_value()) return a.notified_at.has_value();  // the code that an owner may hold stays good
    if (a.state != b.state) return a.state > b.state;
    return a.id < b.id;
  });
  for (std::size_t i = 1; i < found.size(); ++i) {
    NORA_CHECK(merge(found[i].id, found[0].id, why, now));
    NORA_TRY(const auto findings, registry_.findings_of_case(found[i].id));
    for (const auto& f : findings) NORA_CHECK(registry_.set_finding_case(f.finding.id, found[0].id));
    if (found[i].attacked) NORA_CHECK(set_attacked(found[0].id));
  }
  return found[0].id;
}

Status CaseBook::set_attacked(Id case_id) {
  NORA_CHECK(registry_.db().exec("UPDATE cases SET attacked = 1 WHERE id = ?", {case_id}));
  return {};
}
Status CaseBook::set_handle(Id case_id, std::string_view handle) {
  NORA_CHECK(registry_.db().exec("UPDATE cases SET handle = ? WHERE id = ?", {handle, case_id}));
  return {};
}
Status CaseBook::mark_notified(Id case_id, Instant at) {
  NORA_CHECK(registry_.db().exec("UPDATE cases SET notified_at = coalesce(notified_at, CAST(? AS bigint)) WHERE id = ?", {at, case_id}));
  return {};
}
Status CaseBook::mark_opened(Id case_id, Instant now) {
  NORA_CHECK(registry_.db().exec("UPDATE cases SET opened_at = coalesce(opened_at, CAST(? AS bigint)) WHERE id = ?", {now, case_id}));
  return {};
}
Status CaseBook::mark_checked(Id case_id, Instant now) {
  NORA_CHECK(registry_.db().exec("UPDATE cases SET checked_at = ? WHERE id = ?", {now, case_id}));
  return {};
}

Result<std::optional<Case>> CaseBook::get(Id id) {
  NORA_TRY(auto found, read_cases(registry_.db(), "WHERE id = ?", {id}));
  if (found.empty()) return std::optional<Case>{};
  return std::optional<Case>(found[0]);
}

Result<std::optional<Case>> CaseBook::by_code(std::string_view canonical_code) {
  NORA_TRY(auto found, read_cases(registry_.db(), "WHERE code_hash = ?", {codes_.lookup_hash(canonical_code)}));
  if (found.empty()) return std::optional<Case>{};
  return std::optional<Case>(found[0]);
}

Result<std::vector<Case>> CaseBook::find(const CaseFilter& f) {
  std::string where = "WHERE id > ?";
  store::Params params = {f.after};
  const auto equal = [&](std::string_view column, const std::string& value) {
    if (value.empty()) return;
    where += " AND " + std::string(column) + " = ?";
    params.emplace_back(value);
  };
  equal("isp", f.isp);
  equal("track", f.track);
  equal("state", f.state);
  equal("root_cause", f.root_cause);
  if (f.active_only) {
    std::string in;
    for (State s : all_states()) {
      if (!is_active(s)) continue;
      in += in.empty() ? "?" : ",?";
      params.emplace_back(name(s));
    }
    where += " AND state IN (" + in + ") AND merged_into = 0";
  }
  params.emplace_back(static_cast<std::int64_t>(std::min<std::size_t>(f.limit, 10'000)));
  return read_cases(registry_.db(), where + " ORDER BY id LIMIT ?", params);
}

Result<std::vector<Case>> CaseBook::active_at(std::string_view line) {
  NORA_TRY(auto found, read_cases(registry_.db(), "WHERE line_key = ? AND merged_into = 0 ORDER BY id", {line}));
  std::erase_if(found, [](const Case& c) { return !is_active(c.state); });
  return found;
}

Result<std::vector<CaseEvent>> CaseBook::events(Id case_id) {
  NORA_TRY(auto rows, registry_.db().query("SELECT id, case_id, at, from_state, to_state, who, rules_version, evidence, basis, previous, hash FROM case_event "
                                           "WHERE case_id = ? ORDER BY id", {case_id}));
  std::vector<CaseEvent> out;
  for (const auto& r : rows) {
    CaseEvent e{r[0].integer(), r[1].integer(), r[2].instant(), r[3].str(), r[4].str(), r[5].str(), r[6].str(), r[7].str(), r[8].str(), {}, {}};
    if (r[9].blob().size() == 32) e.previous = r[9].hash();
    e.hash = r[10].hash();
    out.push_back(std::move(e));
  }
  return out;
}

Status CaseBook::verify_chain(Id case_id) {
  NORA_TRY(auto all, events(case_id));
  Hash previous{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].previous != previous || event_hash(all[i]) != all[i].hash)
      return fail(Code::failed, "event " + std::to_string(i + 1) + " of case " + std::to_string(case_id) + " was changed");
    previous = all[i].hash;
  }
  NORA_TRY(auto c, get(case_id));
  if (c && !all.empty() && all.back().to != name(c->state))
    return fail(Code::failed, "the state of case " + std::to_string(case_id) + " is not what its history says");
  return {};
}

Result<std::vector<RootCause>> root_causes(registry::Registry& registry, std::size_t limit) {
  store::Params params;
  std::string in;
  for (State s : all_states()) {
    if (!is_active(s) || s == State::S7_FIXED) continue;
    in += in.empty() ? "?" : ",?";
    params.emplace_back(name(s));
  }
  params.emplace_back(static_cast<std::int64_t>(limit));
  NORA_TRY(auto rows, registry.db().query("SELECT root_cause, count(*) AS n FROM cases WHERE merged_into = 0 AND state IN (" + in +
                                              ") GROUP BY root_cause ORDER BY n DESC, root_cause LIMIT ?", params));
  std::vector<RootCause> out;
  for (const auto& r : rows) out.push_back({r[0].str(), r[1].integer()});
  return out;
}

}  // namespace nora::cases
