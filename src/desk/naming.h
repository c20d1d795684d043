// Naming: what the cluster pages ask of the way of a reply. The desk owns the interface; `nora serve` fills it from flow, which re-identifies
// the whole history when a name is accepted. Calls may come from several handler threads; the implementation serialises them.
#pragma once

#include <string>
#include <vector>

#include "identify/cluster.h"

namespace nora::desk {

class Naming {
 public:
  virtual ~Naming() = default;
  // The rules that the name would become; nothing is changed. Errors as identify::NamePlan.
  virtual Result<std::vector<identify::NamedRule>> preview(const identify::Naming& naming) = 0;
  // Keeps the proposal; nothing is renamed before a second person accepts it.
  virtual Status propose(const identify::Naming& naming) = 0;
  // Writes the rules and re-identifies; returns the number of devices that now have the name. Errors: refused (the same person), not_found.
  virtual Result<std::int64_t> accept(registry::Id proposal, std::string_view user) = 0;
  virtual Status undo(std::string_view cluster, std::string_view user) = 0;
};

}  // namespace nora::desk
