// CaseBook: cases and their append-only history, the one writer of tables cases and case_event. Used by flow, lists, portal gate, desk, CLI.
// Four objects: observation (immutable) -> finding (issue x device) -> case (what people see) -> notice (one message, at the ISP).
// Every transition is checked against the table of state.h and written with who, rule version, evidence and basis, chained by hash.
// Not thread safe: one per Registry.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cases/codes.h"
#include "cases/routes.h"
#include "cases/state.h"
#include "registry/registry.h"

namespace nora::cases {

using registry::Id;

struct Case {
  Id id = 0;
  std::string line_key;
  Id device = 0;              // main device, 0 = none (line level)
  std::string isp;            // routed at the instant of the first finding; empty: no ISP
  std::string track;          // list | on-site
  State state = State::S0_OBSERVED;
  Instant state_at, first_seen;
  std::optional<Instant> reopened_at;
  std::string word1, word2;
  std::string handle;         // blind handle of the line, if the ISP gives one
  std::string root_cause;     // group: product x rule
  bool attacked = false;      // a sighting joined
  Id merged_into = 0;
  std::optional<Instant> notified_at, opened_at, checked_at, fixed_at;
  std::string closed_reason;
};

struct Why {
  Actor actor = Actor::sensor;
  std::string who;            // "flow", "isp:hikari", "owner", a user id
  std::string rules_version;
  std::string evidence;       // ids: "finding 12, observation 99, segment s2/0"
  std::string basis;          // "mandate demo-2026-11", "consent", "contract"
};

struct CaseEvent {
  Id id = 0, case_id = 0;
  Instant at;
  std::string from, to;       // equal: a note without a transition
  std::string who, rules_version, evidence, basis;
  Hash previous{}, hash{};
};

struct CaseFilter {
  std::string isp = {}, track = {}, state = {}, root_cause = {};
  bool active_only = false;
  Id after = 0;               // keyset by id
  std::size_t limit = 100;
};

class CaseBook {
 public:
  CaseBook(registry::Registry& registry, const Codes& codes) : registry_(registry), codes_(codes) {}

  // The case that this finding belongs to: the one it has, else an active case of the same device, else one of the same line within the
  // lease time, else a new one. A finding seen again never opens a second case.
  Result<Id> attach(const registry::StoredFinding& finding, const std::optional<Route>& route, const Why& why, Instant now);
  // Refused by the table: Code::refused, nothing is written. The same state again is not a transition and changes nothing.
  Status move(Id case_id, State to, const Why& why, Instant now);
  // Through the states in order; those that are already behind are skipped.
  Status move_along(Id case_id, const std::vector<State>& way, const Why& why, Instant now);
  Status note(Id case_id, const Why& why, Instant now);
  Status merge(Id duplicate, Id into, const Why& why, Instant now);   // reversible by unmerge
  Status unmerge(Id duplicate, const Why& why, Instant now);
  // Two devices turned out to be one: their cases become one, the one that is further along stays. Returns it (0: there is none).
  Result<Id> join_devices(Id from, Id into, const Why& why, Instant now);
  Status set_attacked(Id case_id);
  Status set_handle(Id case_id, std::string_view handle);
  Status mark_notified(Id case_id, Instant at);                        // the ISP says when
  Status mark_opened(Id case_id, Instant now);                         // first use of the code
  Status mark_checked(Id case_id, Instant now);

  Result<std::optional<Case>> get(Id id);
  Result<std::optional<Case>> by_code(std::string_view canonical_code);
  Result<std::vector<Case>> find(const CaseFilter& filter);
  Result<std::vector<Case>> active_at(std::string_view line_key);
  Result<std::vector<CaseEvent>> events(Id case_id);
  // Recomputes the hash chain of a case. Errors: failed "event 3 was changed".
  Status verify_chain(Id case_id);
  const Codes& codes() const { return codes_; }

 private:
  Status to_site_track(Id case_id);
  Status check_history(const Case& c, State to);
  Status append(Id case_id, State from, State to, const Why& why, Instant now);
  registry::Registry& registry_;
  const Codes& codes_;
};

// Groups of active cases with one root cause, largest first (one request to one maker per group).
struct RootCause { std::string key; std::int64_t cases = 0; };
Result<std::vector<RootCause>> root_causes(registry::Registry& registry, std::size_t limit = 50);

}  // namespace nora::cases
