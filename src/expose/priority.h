// How urgent a vulnerability of a device is: exposure class x KEV x EPSS x end of life x how sure the verdict is. The weights are a policy of Nora,
// not a measurement (docs/vulnerabilities.md). Used by flow/vulns and `nora vuln`. A pure function, monotone in every input; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expose/vuln.h"
#include "registry/types.h"

namespace nora::expose {

struct OpenExposure {
  registry::Pattern pattern = registry::Pattern::D;
  std::string rule;              // "telnet-login"
};

struct PriorityInput {
  Verdict verdict = Verdict::not_affected;
  std::vector<OpenExposure> exposures;   // open findings of the device; empty: nothing is exposed as far as known
  bool kev = false, ransomware = false;
  std::string kev_since;                 // date, for the words
  std::optional<Epss> epss;              // nullopt: unknown, counted like 0
  std::optional<bool> support_ended;     // nullopt: unknown, counted like "not ended"
  std::string support_end;               // date or "ended", for the words
};

struct Priority {
  int score = 0;                 // 0 (not affected) to 100
  std::string_view level;        // none | watch | planned | soon | now
  std::string words;             // each factor in words
};

Priority priority_of(const PriorityInput& input);

}  // namespace nora::expose
