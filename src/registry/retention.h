// Retention: deletes what the law profile lets the center keep no longer. Used by `nora retention`. Times come from law::LawProfile::retention.
// Raw bytes of replies go first (the match keys stay: devices keep their names), then everything that led to findings whose case is over.
// Cases and their chained history hold no address and stay. One transaction; not thread safe. Errors: failed, with the store's message.
#pragma once

#include <string>
#include <vector>

#include "base/instant.h"
#include "store/db.h"

namespace nora::registry {

struct RetentionLimits {
  Instant replies;    // bytes of replies that were last seen before, outcomes of probes before
  Instant findings;   // findings without a case that were last seen before; those whose case ended before; observations and endpoints before
  Instant sightings;  // that ended before
  std::vector<std::string> ended;  // states of cases in which nothing happens by itself (cases::is_end)
};
struct Forgotten {
  std::int64_t reply_bytes = 0, outcomes = 0, findings = 0, observations = 0, endpoints = 0, replies = 0, sightings = 0;
  std::int64_t total() const { return reply_bytes + outcomes + findings + observations + endpoints + replies + sightings; }
  bool operator==(const Forgotten&) const = default;
};
// try_only: counts, and changes nothing.
Result<Forgotten> forget(store::Db& db, const RetentionLimits& limits, bool try_only);

}  // namespace nora::registry
