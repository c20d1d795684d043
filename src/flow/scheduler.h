// Scheduler: the loop of `nora serve`: takes what came in through the pipeline, asks for second looks (a finding seen once, an owner who says
// "fixed"), brings a history that stopped with other rules to those of today, keeps the numbers of finished surveys, forgets the addresses of old
// self-checks. One thread of its own; work() is one round (tests).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "flow/pipeline.h"

namespace nora::flow {

struct SchedulerOptions {
  std::string store;                        // URL
  std::string onsite_store;                 // URL, may be empty
  Span period = Span::ms(500);
  int second_looks_at_once = 8;             // verify jobs waiting at a time
  Span second_look_after = Span::seconds(1);
  Span history_at_once = Span::seconds(1);  // of a round, for a history that stopped with other rules
};

struct SchedulerParts {
  Env env;
  const cases::Routes& routes;
  const cases::Codes& codes;
  std::function<std::shared_ptr<const Knowledge>()> knowledge;
  PipelineOptions pipeline;
};

class Scheduler {
 public:
  static Result<std::unique_ptr<Scheduler>> start(SchedulerParts parts, SchedulerOptions options);
  ~Scheduler();
  // One round on a caller's registry. Returns what the pipeline did.
  static Result<PipelineCounts> work(SchedulerParts& parts, const SchedulerOptions& options, registry::Registry& registry, Pipeline& pipeline, cases::CaseBook& book);

 private:
  struct State;
  explicit Scheduler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace nora::flow
