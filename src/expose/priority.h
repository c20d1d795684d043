// How urgent a vulnerability of a device is: exposure class x KEV x EPSS x end of life x how sure the verdict is. The weights are a policy of Nora,
// not a measurement (docs/vulnerabilities.md). Used by flow/vulns, the desk and `nora vuln`. Pure functions, monotone in every input; any thread.
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
  std::optional<Verdict> verdict = Verdict::not_affected;  // nullopt: no vulnerability is known, only the exposure counts
  std::vector<OpenExposure> exposures;   // open findings of the device; empty: nothing is exposed as far as known
  bool kev = false, ransomware = false;
  std::string kev_since;                 // date, for the words
  std::optional<Epss> epss;              // nullopt: unknown, counted like 0
  std::optional<bool> support_ended;     // nullopt: unknown, counted like "not ended"
  std::string support_end;               // date or "ended", for the words
  Doubt doubt = Doubt::none;             // of the verdict; for people, not counted
  std::string cve;                       // which one, where the text does not stand beside it
};

struct Priority {
  int score = 0;                 // 0 (not affected) to 100
  std::string_view level;        // none | watch | planned | soon | now
  double exposed = 1, exploited = 1, likely = 1, ended = 1, sure = 1;  // the factors
  std::string words;             // each factor in words
};

Priority priority_of(const PriorityInput& input);
std::string_view level_of(std::int64_t score);
std::string percentile_text(const Epss& epss);  // "99.9": cut, never rounded up to all

// The explanation as it is stored: what went into it, of the exposures the worst only. priority_of() of the way back is the same priority.
json::Object to_json(const PriorityInput& input);
Result<PriorityInput> priority_input_from(std::string_view text);  // Errors: bad_input naming the field

}  // namespace nora::expose
