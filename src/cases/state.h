// The states of a case and the transitions between them (workflow.md section 5.2). Used by case_book (the only writer), desk and flow.
// All states exist; what is not automated yet is reached by a person at the desk. Pure, any thread.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace nora::cases {

enum class State {
  S0_OBSERVED, S1_VALIDATED, S2_ROUTED, S2E_NO_ISP, S2R_RESELLER,
  S3_ATTRIBUTED, S3A_AMBIGUOUS, S3N_NO_LOG, S3D_DELEGATED, S3C_CRITICAL,
  S4_NOTIFIED, S5_ENGAGED, S6_VERIFYING, S6U_USER_SAYS_FIXED, S6M_MOVED,
  S7_FIXED, S7R_REGRESSED, S7X_REINFECTED, S7G_GONE, S8_ESCALATED,
  S9P_PROPOSED, S9A_APPROVED, S9I_ISOLATED, S9R_RELEASED,
  S10_ON_SITE, S11_VENDOR, S11E_END_OF_LIFE, S12_UNRESOLVED,
  RISK_ACCEPTED, X_FP, X_DISPUTED, X_SCOPE, X_OPTOUT, X_DUP, CLOSED,
};

std::span<const State> all_states();
std::string_view name(State state);  // "S4_NOTIFIED": stored, shown in JSON; message id case.<name>
Result<State> parse_state(std::string_view name);

// Who asks for a transition. Only a person (or a rule change) may reopen a false positive or an opt-out (invariant 2).
enum class Actor { sensor, isp, owner, person, rule_change };
bool allowed(State from, State to, Actor actor);

bool is_end(State state);     // nothing happens there by itself: CLOSED, X_*, S12, RISK_ACCEPTED, S7G
bool is_active(State state);  // a finding seen again belongs to this case; false for CLOSED, X_*, S7G
bool may_notify(State state); // the ISP may send a notice: S3_ATTRIBUTED, or again from S4 (n+1)

}  // namespace nora::cases
