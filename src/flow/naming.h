// Naming of clusters by two persons: propose, accept (rules are written, the whole history is identified again at once), undo.
// Used by `nora cluster` and the desk's cluster pages. Not thread safe: one per Registry.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flow/pipeline.h"
#include "law/audit.h"

namespace nora::flow {

struct Proposal {
  registry::Id id = 0;
  std::string cluster, vendor, product, type, proposed_by, accepted_by, rule_files;
  Instant proposed_at;
  std::optional<Instant> accepted_at, undone_at;
};

class Naming {
 public:
  // audit may be null only in tests.
  Naming(Env env, registry::Registry& registry, Pipeline& pipeline, KnowledgeDirs dirs, law::Audit* audit)
      : env_(env), registry_(registry), pipeline_(pipeline), dirs_(std::move(dirs)), audit_(audit) {}
  Result<std::vector<identify::Cluster>> clusters(std::size_t min_members = 2);
  Result<std::vector<identify::NamedRule>> preview(const identify::Naming& naming);
  Result<registry::Id> propose(const identify::Naming& naming);
  // Errors: refused (the proposer accepts), not_found. Returns how many devices carry the name now.
  Result<std::int64_t> accept(registry::Id proposal, std::string_view user);
  Status undo(std::string_view cluster, std::string_view user);
  Result<std::vector<Proposal>> proposals(std::string_view cluster = {});

 private:
  Status reload();
  Env env_;
  registry::Registry& registry_;
  Pipeline& pipeline_;
  KnowledgeDirs dirs_;
  law::Audit* audit_;
};

}  // namespace nora::flow
