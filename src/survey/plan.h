// Plan: everything that is needed to repeat a survey: mandate and catalogue hashes, the index space, the key of the permutation, segment
// size. Written once into the spool directory (plan.json); a resumed run and the sender read it. Immutable; any thread.
#pragma once

#include <filesystem>
#include <string>

#include "base/env.h"
#include "survey/permutation.h"
#include "survey/space.h"

namespace nora::survey {

inline constexpr std::size_t max_plan_bytes = 64u << 20;
inline constexpr std::uint64_t min_segment = 256, max_segment = 1u << 20;

struct Plan {
  std::string survey;         // id, for example "2026-11-25T031200Z-4f2a"
  std::string kind = "full";  // full | remeasure | check
  Hash mandate{}, catalogue{};
  Key order{};  // key of the permutation; not secret
  std::uint64_t segment_size = min_segment;
  int answer_window_ms = 1000;  // a segment is committed this long after its last probe: its answers are then in the journal
  bool all_outcomes = false;    // report closed and silent for every probe (checks, re-measurements, small surveys)
  Instant made;
  Space space;

  std::uint64_t segments() const { return (space.size() + segment_size - 1) / segment_size; }
  std::string text() const;  // JSON
  static Result<Plan> parse(std::string_view text);
  Status save(const std::filesystem::path& dir) const;
  static Result<Plan> load(const std::filesystem::path& dir);
};

struct PlanOptions {
  std::string kind = "full";
  Space::Limits limits;
  std::vector<Ip> targets6;
  std::uint64_t segment_size = 0;  // 0: so that a segment lasts about eight answer windows at the mandate's rates
  int answer_window_ms = 1000;
  std::uint64_t all_outcomes_up_to = 20'000;  // probes; above, silence is not stored
};
Result<Plan> make_plan(const law::Mandate& mandate, const Catalogue& catalogue, const PlanOptions& options, Env env);

}  // namespace nora::survey
