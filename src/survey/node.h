// Node: leases jobs from the center's store and runs them: checks of one address (owner's self-check, second look) and whole surveys; and works
// on surveys that other nodes have opened for several.
// Used by `nora scan node`. Two worker threads, one for checks and one for surveys, each with its own store connection; they share the
// mandate (read-only), the audit log, the relay listener and the courtesy towards devices.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "survey/engine.h"

namespace nora::survey {

inline constexpr Span check_deadline = Span::seconds(28);  // a check is told within 30 s
inline constexpr double check_share = 0.1;  // of the mandate's rates, while surveys have the rest

struct NodeOptions {
  EngineOptions engine;  // dir: the folder that holds one spool per job
  std::string store;
  std::string name;  // lease owner
  std::vector<Ip> targets6;
  Span poll = Span::ms(200);
  Span autonomy = Span::minutes(10);  // SharedOptions
  int check_window_ms = 700;
  int survey_window_ms = 1000;
};

// Runs until *stop. Errors: what keeps it from starting.
Status run_node(const NodeOptions& options, EngineShared& shared, const std::atomic<bool>& stop, Env env);

// A survey of several nodes: its plan, with all its segments, lies in the store. `nodes`: how many may work on it at once.
Status share_plan(const Plan& plan, const std::string& store, std::int64_t nodes, Env env);
struct SharedPlan {
  Plan plan;
  std::int64_t nodes = 0;
};
// survey empty: the oldest that is open under this mandate. Errors: not_found.
Result<SharedPlan> shared_plan(const std::string& store, const Hash& mandate, const std::string& survey);

}  // namespace nora::survey
