// PortalGate: the center's side of exchange/portal_wire.h: a Unix socket that answers notice(code), check(own address, consent), tell, product
// and nothing else; there is no question that lists. Used by `nora serve`. One thread per connection, at most max_connections.
// Audit leaf before each answer. Limits: checks_per_hour per address, check_deadline for a verdict, one line per request.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "flow/pipeline.h"
#include "law/audit.h"

namespace nora::flow {

struct GateOptions {
  std::filesystem::path socket;               // mode 0660
  std::string store;                          // URL; each connection has its own Registry
  int checks_per_hour = 3;                    // per address; the demo raises it
  Span check_deadline = Span::seconds(58);    // a verdict is promised within 60 s
  Span code_life = Span::days(180);
  int max_connections = 32;
  std::string onsite_store;                   // URL, may be empty
};

struct GateParts {
  Env env;
  const cases::Routes& routes;
  const cases::Codes& codes;
  law::Audit& audit;
  std::function<std::shared_ptr<const Knowledge>()> knowledge;   // the current one
  std::function<Status(Ip)> may_check;        // does the mandate cover this address now? Errors: refused
  PipelineOptions pipeline;
};

class PortalGate {
 public:
  // Binds the socket and serves until the object dies. Errors: environment.
  static Result<std::unique_ptr<PortalGate>> start(GateParts parts, GateOptions options);
  ~PortalGate();

 private:
  struct State;
  explicit PortalGate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace nora::flow
