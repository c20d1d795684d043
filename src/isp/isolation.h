// Isolation: the last resort, narrowest first. Used by cmd_isp and pages.
// requested -> approved (by another person) -> applying -> applied -> releasing -> released; applying -> failed; applied -> widened (a wider one took over).
// Each act has its leaf before it. A process killed on the way leaves "applying" or "releasing"; the same command (or the ticker) does it again:
// the CoA is idempotent. The NAS is told by two session keys; a NAK ends in "failed" and cuts off nobody.
#pragma once

#include <string>
#include <vector>

#include "isp/coa.h"
#include "isp/worklist.h"

namespace nora::isp {

inline constexpr std::int64_t max_hours = 72;
inline constexpr Span narrow_first = Span::days(30);  // a walled garden needs a narrower act on this line within this time

enum class Scope { block_in, walled_garden };
std::string_view name(Scope scope);             // "block-in", "walled-garden"
Result<Scope> parse_scope(std::string_view text);

struct Isolation {
  std::int64_t id = 0;
  std::string row_id;
  LineId line;
  Ip address;
  std::string scope;          // "block-in:80" or "walled-garden": the Filter-Id
  std::string reason;
  std::int64_t hours = 0;
  std::string requested_by, approved_by, released_by, release_reason;
  Instant requested_at, approved_at, applied_at, expires, released_at;
  std::string state, last_error, nas, session;
};

struct IsolationRequest { std::string row_id, by, reason; Scope scope = Scope::block_in; std::int64_t hours = 24; };

// Errors: usage (no reason, hours outside 1-72), refused (row not matched to a line, no session keys, not the narrowest first), not_found.
Result<Isolation> request_isolation(Party& party, const IsolationRequest& request);
// Errors: refused (the same person, not waiting for approval).
Result<Isolation> approve_isolation(Party& party, std::int64_t id, std::string_view by);
// Errors: refused (not approved, NAK), failed (no answer: stays "applying", try again).
Result<Isolation> apply_isolation(Party& party, CoaActor& actor, std::int64_t id, std::string_view by);
Result<Isolation> release_isolation(Party& party, CoaActor& actor, std::int64_t id, std::string_view by, std::string_view reason);
// Releases what is over, and finishes what a killed process began. Returns how many were released.
Result<int> expire_isolations(Party& party, CoaActor& actor);
Result<std::vector<Isolation>> isolations(Party& party, std::string_view row_id = {}, int limit = 500);
Result<Isolation> isolation(Party& party, std::int64_t id);

}  // namespace nora::isp
