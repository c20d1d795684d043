// Naming of clusters by two persons: propose, accept (rules are written, the whole history is identified again at once), undo.
// Used by `nora cluster` and the desk's cluster pages. Not thread safe: one per Registry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flow/pipeline.h"
#include "identify/name_plan.h"
#include "law/audit.h"

namespace nora::flow {

struct Proposal {
  registry::Id id = 0;
  std::string cluster, vendor, product, type, proposed_by, accepted_by, rule_files;
  Instant proposed_at;
  std::optional<Instant> accepted_at, undone_at;
};

// One cluster in the analysts' queue, with why it stands where it stands.
struct Queued {
  identify::Cluster cluster;            // shared and differs from at most queue_members members; members: all, at most max_listed_members
  std::int64_t devices = 0;
  std::int64_t grown = 0;               // of them first seen in the last 30 days
  std::optional<registry::Severity> worst;  // of the open findings of its devices
  double score = 0;                     // devices x (1 + severity 0..4) x (1 + share of new devices)
};
inline constexpr std::size_t queue_length = 200, queue_members = 50, max_listed_members = 10'000;

class Naming {
 public:
  // audit may be null only in tests.
  Naming(Env env, registry::Registry& registry, Pipeline& pipeline, KnowledgeDirs dirs, law::Audit* audit)
      : env_(env), registry_(registry), pipeline_(pipeline), dirs_(std::move(dirs)), audit_(audit) {}
  // By size x risk x growth, the first to be named first; at most queue_length. `only`: this one.
  Result<std::vector<Queued>> queue(std::size_t min_members = 2, std::string_view only = {});
  Result<std::vector<identify::NamedRule>> preview(const identify::Naming& naming);
  Result<registry::Id> propose(const identify::Naming& naming);
  // Errors: refused (the proposer accepts), not_found. Returns how many devices carry the name now.
  Result<std::int64_t> accept(registry::Id proposal, std::string_view user);
  Status undo(std::string_view cluster, std::string_view user);
  Result<std::vector<Proposal>> proposals(std::string_view cluster = {});

 private:
  Status ask_history(identify::NamePlan& plan, std::string_view cluster);
  Status reload();
  Env env_;
  registry::Registry& registry_;
  Pipeline& pipeline_;
  KnowledgeDirs dirs_;
  law::Audit* audit_;
};

}  // namespace nora::flow
