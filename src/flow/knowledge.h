// What identification and exposure know, loaded once and swapped whole when rules change. Used by pipeline, naming, portal gate, `nora serve`.
// Immutable after load, shared by threads through shared_ptr.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "expose/knowledge.h"
#include "expose/rules.h"
#include "identify/rules.h"

namespace nora::flow {

struct KnowledgeDirs {
  std::filesystem::path data;                             // fingerprints/ exposures/ products/ advice/
  std::vector<std::filesystem::path> rules;               // further fingerprint directories
  std::filesystem::path operator_rules;                   // where named clusters go; made when missing; loaded too
};

struct Knowledge {
  identify::RuleSet rules;
  expose::Rules exposures;
  expose::Knowledge products;
  std::string version;                                    // of the fingerprints: memo key of identifications
  std::string exposure_version;
  static Result<std::shared_ptr<const Knowledge>> load(const KnowledgeDirs& dirs);
};

// The current knowledge of a long-running process: loads it again when a file below the directories changed (a cluster was named by another
// process, an operator put in a rule). A version that does not load keeps the last good one. Any thread.
class KnowledgeHolder {
 public:
  static Result<std::unique_ptr<KnowledgeHolder>> open(KnowledgeDirs dirs);
  std::shared_ptr<const Knowledge> current();
  std::string last_error() const;  // of the last attempt to load; empty: fine
  const KnowledgeDirs& dirs() const { return dirs_; }

 private:
  explicit KnowledgeHolder(KnowledgeDirs dirs) : dirs_(std::move(dirs)) {}
  std::string print() const;  // names, sizes and times of all files
  struct State {
    std::shared_ptr<const Knowledge> knowledge;
    std::string print, error;
  };
  KnowledgeDirs dirs_;
  Guarded<State> state_;
};

}  // namespace nora::flow
