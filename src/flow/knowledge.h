// What identification and exposure know, loaded once and swapped whole when rules change. Used by pipeline, naming, portal gate, `nora serve`.
// Immutable after load, shared by threads through shared_ptr.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "expose/knowledge.h"
#include "expose/malware.h"
#include "expose/rules.h"
#include "identify/rules.h"

namespace nora::flow {

struct KnowledgeDirs {
  std::filesystem::path data;                             // fingerprints/ exposures/ products/ advice/ malware/
  std::vector<std::filesystem::path> rules;               // further fingerprint directories
  std::filesystem::path operator_rules;                   // where named clusters go; made when missing; loaded too
};

struct Knowledge {
  identify::RuleSet rules;
  expose::Rules exposures;
  expose::Knowledge products;
  expose::Malware malware;
  std::string version;                                    // of the fingerprints: memo key of identifications
  std::string exposure_version;
  static Result<std::shared_ptr<const Knowledge>> load(const KnowledgeDirs& dirs);
};

}  // namespace nora::flow
