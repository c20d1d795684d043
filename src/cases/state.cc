#include "cases/state.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace nora::cases {
namespace {

using enum State;

constexpr std::array every = {
    S0_OBSERVED, S1_VALIDATED, S2_ROUTED, S2E_NO_ISP, S2R_RESELLER, S3_ATTRIBUTED, S3A_AMBIGUOUS, S3N_NO_LOG, S3D_DELEGATED, S3C_CRITICAL,
    S4_NOTIFIED, S5_ENGAGED, S6_VERIFYING, S6U_USER_SAYS_FIXED, S6M_MOVED, S7_FIXED, S7R_REGRESSED, S7X_REINFECTED, S7G_GONE, S8_ESCALATED,
    S9P_PROPOSED, S9A_APPROVED, S9I_ISOLATED, S9R_RELEASED, S10_ON_SITE, S11_VENDOR, S11E_END_OF_LIFE, S12_UNRESOLVED,
    RISK_ACCEPTED, X_FP, X_DISPUTED, X_SCOPE, X_OPTOUT, X_DUP, CLOSED};

struct Line {
  State from;
  std::vector<State> to;
};

// workflow.md section 5.2, row by row. What is meant for every active state (false positive, opt-out, duplicate, gone) is in `allowed`.
const std::vector<Line>& table() {
  static const std::vector<Line> lines = {
      {S0_OBSERVED, {S1_VALIDATED, X_SCOPE}},
      {S1_VALIDATED, {S2_ROUTED, S2E_NO_ISP, S3C_CRITICAL, S7_FIXED, S6_VERIFYING}},
      {S2_ROUTED, {S3_ATTRIBUTED, S3A_AMBIGUOUS, S3N_NO_LOG, S3D_DELEGATED, S3C_CRITICAL, S2E_NO_ISP, S2R_RESELLER, S6_VERIFYING}},
      {S2E_NO_ISP, {S2_ROUTED, S6_VERIFYING, S12_UNRESOLVED}},
      {S2R_RESELLER, {S3_ATTRIBUTED, S3A_AMBIGUOUS, S3N_NO_LOG, S3D_DELEGATED, S6_VERIFYING}},
      {S3_ATTRIBUTED, {S4_NOTIFIED, S3A_AMBIGUOUS, S3D_DELEGATED, S3C_CRITICAL, S6_VERIFYING, S9P_PROPOSED}},
      // A later observation of the same device, at an instant with a clear lease, may still find the line.
      {S3A_AMBIGUOUS, {S2_ROUTED, S3_ATTRIBUTED, S6_VERIFYING, S12_UNRESOLVED}},
      {S3N_NO_LOG, {S2_ROUTED, S3_ATTRIBUTED, S6_VERIFYING, S12_UNRESOLVED}},
      {S3D_DELEGATED, {S4_NOTIFIED, S6_VERIFYING, S12_UNRESOLVED}},
      {S3C_CRITICAL, {S10_ON_SITE, S6_VERIFYING}},
      {S4_NOTIFIED, {S5_ENGAGED, S6_VERIFYING, S8_ESCALATED, S9P_PROPOSED, S9A_APPROVED, S9I_ISOLATED}},
      {S5_ENGAGED, {S6_VERIFYING, S6U_USER_SAYS_FIXED, X_DISPUTED, S8_ESCALATED, S9P_PROPOSED, S9A_APPROVED, S9I_ISOLATED, RISK_ACCEPTED}},
      {S6_VERIFYING, {S7_FIXED, S4_NOTIFIED, S5_ENGAGED, S6M_MOVED, S8_ESCALATED, S1_VALIDATED, S2_ROUTED, S3_ATTRIBUTED, S10_ON_SITE, S9P_PROPOSED}},
      {S6U_USER_SAYS_FIXED, {S6_VERIFYING, S5_ENGAGED, X_DISPUTED}},
      {S6M_MOVED, {S1_VALIDATED, S2_ROUTED, S6_VERIFYING}},
      {S7_FIXED, {S7R_REGRESSED, S7X_REINFECTED, CLOSED}},
      {S7R_REGRESSED, {S1_VALIDATED, S2_ROUTED, S6_VERIFYING, S10_ON_SITE}},
      {S7X_REINFECTED, {S1_VALIDATED, S2_ROUTED, S6_VERIFYING, S10_ON_SITE}},
      {S7G_GONE, {CLOSED, S1_VALIDATED}},
      {S8_ESCALATED, {S9P_PROPOSED, S9A_APPROVED, S9I_ISOLATED, S10_ON_SITE, S11_VENDOR, S12_UNRESOLVED, S5_ENGAGED, S6_VERIFYING}},
      // Acts of the ISP only; the center hears of them by the return.
      {S9P_PROPOSED, {S9A_APPROVED, S4_NOTIFIED, S5_ENGAGED, S6_VERIFYING, S8_ESCALATED}},
      {S9A_APPROVED, {S9I_ISOLATED, S9R_RELEASED, S4_NOTIFIED, S6_VERIFYING}},
      {S9I_ISOLATED, {S9R_RELEASED}},
      {S9R_RELEASED, {S6_VERIFYING}},
      {S10_ON_SITE, {S6_VERIFYING, S11_VENDOR, S12_UNRESOLVED}},
      {S11_VENDOR, {S11E_END_OF_LIFE, S6_VERIFYING, S12_UNRESOLVED}},
      {S11E_END_OF_LIFE, {S6_VERIFYING, S12_UNRESOLVED}},
      {S12_UNRESOLVED, {S1_VALIDATED, S2_ROUTED, S6_VERIFYING}},
      {RISK_ACCEPTED, {S1_VALIDATED, CLOSED}},
      {X_FP, {S1_VALIDATED}},
      {X_DISPUTED, {S5_ENGAGED, S6_VERIFYING, X_FP}},
      {X_SCOPE, {S0_OBSERVED}},
      {X_OPTOUT, {S0_OBSERVED}},
      {X_DUP, {S0_OBSERVED, S1_VALIDATED, S2_ROUTED}},
      {CLOSED, {S1_VALIDATED}},
  };
  return lines;
}

bool in_table(State from, State to) {
  for (const auto& line : table())
    if (line.from == from) return std::find(line.to.begin(), line.to.end(), to) != line.to.end();
  return false;
}

}  // namespace

std::span<const State> all_states() { return every; }

std::string_view name(State state) {
  switch (state) {
    case S0_OBSERVED: return "S0_OBSERVED";
    case S1_VALIDATED: return "S1_VALIDATED";
    case S2_ROUTED: return "S2_ROUTED";
    case S2E_NO_ISP: return "S2E_NO_ISP";
    case S2R_RESELLER: return "S2R_RESELLER";
    case S3_ATTRIBUTED: return "S3_ATTRIBUTED";
    case S3A_AMBIGUOUS: return "S3A_AMBIGUOUS";
    case S3N_NO_LOG: return "S3N_NO_LOG";
    case S3D_DELEGATED: return "S3D_DELEGATED";
    case S3C_CRITICAL: return "S3C_CRITICAL";
    case S4_NOTIFIED: return "S4_NOTIFIED";
    case S5_ENGAGED: return "S5_ENGAGED";
    case S6_VERIFYING: return "S6_VERIFYING";
    case S6U_USER_SAYS_FIXED: return "S6U_USER_SAYS_FIXED";
    case S6M_MOVED: return "S6M_MOVED";
    case S7_FIXED: return "S7_FIXED";
    case S7R_REGRESSED: return "S7R_REGRESSED";
    case S7X_REINFECTED: return "S7X_REINFECTED";
    case S7G_GONE: return "S7G_GONE";
    case S8_ESCALATED: return "S8_ESCALATED";
    case S9P_PROPOSED: return "S9P_PROPOSED";
    case S9A_APPROVED: return "S9A_APPROVED";
    case S9I_ISOLATED: return "S9I_ISOLATED";
    case S9R_RELEASED: return "S9R_RELEASED";
    case S10_ON_SITE: return "S10_ON_SITE";
    case S11_VENDOR: return "S11_VENDOR";
    case S11E_END_OF_LIFE: return "S11E_END_OF_LIFE";
    case S12_UNRESOLVED: return "S12_UNRESOLVED";
    case RISK_ACCEPTED: return "RISK_ACCEPTED";
    case X_FP: return "X_FP";
    case X_DISPUTED: return "X_DISPUTED";
    case X_SCOPE: return "X_SCOPE";
    case X_OPTOUT: return "X_OPTOUT";
    case X_DUP: return "X_DUP";
    case CLOSED: return "CLOSED";
  }
  return "";
}

Result<State> parse_state(std::string_view text) {
  for (State s : every)
    if (name(s) == text) return s;
  return fail(Code::bad_input, "there is no case state \"" + std::string(text.substr(0, 40)) + "\"");
}

bool allowed(State from, State to, Actor actor) {
  if (from == to) return false;
  const bool by_person = actor == Actor::person;
  // Invariant 2: a false positive, an opt-out or what is out of scope is opened again only by a person or a rule change.
  if ((from == X_FP || from == X_OPTOUT || from == X_SCOPE || from == RISK_ACCEPTED || from == X_DISPUTED) && !by_person && actor != Actor::rule_change)
    return false;
  // Invariant 3: merging and unmerging are a person's decision (or a rule change that shows two devices to be one).
  if ((from == X_DUP || to == X_DUP) && !by_person && actor != Actor::rule_change) return false;
  if (is_active(from)) {
    if (to == X_OPTOUT || to == X_SCOPE) return by_person || actor == Actor::rule_change;
    if (to == X_FP || to == S12_UNRESOLVED || to == RISK_ACCEPTED) { if (by_person || actor == Actor::rule_change) return true; }
    if (to == X_DUP) return true;
    if (to == S7G_GONE) return actor == Actor::isp || by_person;  // "not seen" alone is not gone
    if (to == X_DISPUTED && actor == Actor::owner) return true;
  }
  if (!in_table(from, to)) return false;
  // Only the ISP's return knows the line, sends notices and isolates.
  if (to == S3_ATTRIBUTED || to == S4_NOTIFIED || to == S9A_APPROVED || to == S9I_ISOLATED || to == S9R_RELEASED || to == S3D_DELEGATED)
    return actor == Actor::isp || (from == S6_VERIFYING && actor == Actor::sensor);  // a failed check leads back to where it was
  // Positive evidence comes from a measurement only, never from a click.
  if (to == S7_FIXED) return actor == Actor::sensor;
  if (to == S5_ENGAGED && from == S4_NOTIFIED) return actor == Actor::owner || actor == Actor::person || actor == Actor::isp;
  return true;
}

bool is_end(State s) {
  return s == CLOSED || s == X_FP || s == X_DISPUTED || s == X_SCOPE || s == X_OPTOUT || s == X_DUP || s == S12_UNRESOLVED || s == RISK_ACCEPTED ||
         s == S7G_GONE;
}
bool is_active(State s) {
  return !(s == CLOSED || s == X_FP || s == X_DISPUTED || s == X_SCOPE || s == X_OPTOUT || s == X_DUP || s == S7G_GONE || s == RISK_ACCEPTED);
}
bool may_notify(State s) { return s == S3_ATTRIBUTED || s == S4_NOTIFIED || s == S3D_DELEGATED; }

}  // namespace nora::cases
