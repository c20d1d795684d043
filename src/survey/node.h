// Node: leases jobs from the center's store and runs them: checks of one address (owner's self-check, second look) and whole surveys.
// Used by `nora scan node`. Two worker threads, one for checks and one for surveys, each with its own store connection; they share the
// mandate (read-only), the audit log, the relay listener and the courtesy towards devices.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "survey/engine.h"

namespace nora::survey {

inline constexpr Span check_deadline = Span::seconds(28);  // a check is told within 30 s

struct NodeOptions {
  EngineOptions engine;  // dir: the folder that holds one spool per job
  std::string store;
  std::string name;  // lease owner
  std::vector<Ip> targets6;
  Span poll = Span::ms(200);
  int check_window_ms = 700;
  int survey_window_ms = 1000;
};

// Runs until *stop. Errors: what keeps it from starting.
Status run_node(const NodeOptions& options, EngineShared& shared, const std::atomic<bool>& stop, Env env);

}  // namespace nora::survey
