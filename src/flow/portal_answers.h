// PortalAnswers: what the center says to one question of the portal; the socket is portal_gate's. Used by portal_gate and its tests.
// One object per question, own store connection, one thread. Audit leaf before anything about a case leaves.
#pragma once

#include <atomic>
#include <functional>

#include "exchange/portal_wire.h"
#include "flow/portal_gate.h"

namespace nora::flow {

class PortalAnswers {
 public:
  using Send = std::function<bool(const json::Object&)>;  // false: nobody listens any more
  PortalAnswers(const GateParts& parts, const GateOptions& options, const std::atomic<bool>& stop) : parts_(parts), options_(options), stop_(stop) {}
  // Sends the answer lines. Errors become an error line: not_found (unknown, expired or withdrawn code alike), refused, bad_input, failed.
  Status answer(const json::Object& request, const Send& send);

 private:
  Status open();
  Status notice(const json::Object& request, const Send& send);
  Status tell(const json::Object& request, const Send& send);
  Status product(const json::Object& request, const Send& send);
  Status check(const json::Object& request, const Send& send);
  Result<cases::Case> case_of_code(std::string_view typed);
  Result<exchange::FindingView> view(const registry::StoredFinding& finding);
  Status add_flaw(const registry::Device& device, exchange::FindingView& view);
  Result<bool> run_job(registry::Id job, Span deadline, const Send& send);
  Status verdict(Ip ip, Instant begun, const std::optional<cases::Case>& own, bool done, const Send& send);

  const GateParts& parts_;
  const GateOptions& options_;
  const std::atomic<bool>& stop_;
  std::optional<registry::Registry> registry_;
  std::optional<cases::CaseBook> book_;
};

}  // namespace nora::flow
