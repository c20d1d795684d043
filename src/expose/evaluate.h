// From one device and what its services said to exposures with evidence. Used by flow (makes findings) and the self-check. Pure, any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "expose/rules.h"

namespace nora::expose {

// One reply of the device, as observed.
struct Seen {
  Endpoint where;
  std::string protocol;
  std::vector<registry::KeyValue> keys;
  std::int64_t request_bytes = 0, reply_bytes = 0;
  std::string probe;
  bool social_impact = false;    // the address is in a social-impact range of the mandate
};

struct Subject {
  registry::Identity identity;
  std::vector<Seen> seen;
};

struct Hit {
  const Rule* rule = nullptr;
  Endpoint where;                     // of the newest reply that proves it
  std::vector<std::string> evidence;  // cleaned, at most max_evidence_bytes each
  std::optional<double> amplification;
  bool social = false;                // on-site track
};
inline constexpr std::size_t max_evidence_bytes = 200;

// At most one hit per (rule, port, protocol), ordered by severity (highest first), then rule id, then port. Does not depend on input order.
std::vector<Hit> evaluate(const Rules& rules, const Subject& subject);

}  // namespace nora::expose
