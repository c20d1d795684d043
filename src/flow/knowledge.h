// What identification and exposure know, loaded once and swapped whole when rules change. Used by pipeline, naming, portal gate, `nora serve`.
// Immutable after load, shared by threads through shared_ptr.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "expose/cpe_names.h"
#include "expose/knowledge.h"
#include "expose/malware.h"
#include "expose/rules.h"
#include "identify/prefilter.h"

namespace nora::flow {

struct KnowledgeDirs {
  std::filesystem::path data;                             // fingerprints/ exposures/ products/ advice/ malware/
  std::vector<std::filesystem::path> rules;               // further fingerprint directories
  std::filesystem::path operator_rules;                   // where named clusters go; made when missing; loaded too
  std::filesystem::path cache{};                          // where compiled rules are kept; empty: rules are matched one by one
  std::filesystem::path mac_registry = identify::debian_mac_registry;  // of the IEEE; none there: makers are not known by MAC addresses
  bool compile = false;                                   // may spend seconds on compiling many rules; else only what is kept is used
};
// Fewer rules than that are matched one by one while nothing is kept: compiling them would take longer than it saves.
inline constexpr std::size_t min_compiled_rules = 2000;

struct Knowledge {
  identify::RuleSet rules;
  std::unique_ptr<const identify::Prefilter> prefilter;   // of these rules; none: one by one
  std::vector<std::string> messages;                      // what an operator should know of the load: rules left out, an engine refused
  expose::Rules exposures;
  expose::Knowledge products;
  expose::CpeNames cpe_names;                             // how vulnerability data calls these products
  expose::Malware malware;
  std::string version;                                    // of the fingerprints: memo key of identifications
  std::string exposure_version;
  static Result<std::shared_ptr<const Knowledge>> load(const KnowledgeDirs& dirs);
};

}  // namespace nora::flow
