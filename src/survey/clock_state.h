// ClockState: how well this machine's clock is known: the kernel's own statement (adjtimex(2)), and chrony's where it runs. Each segment
// carries it, because the times of its answers are matched with an ISP's leases. Used by the engine. Stateless; reads only.
#pragma once

#include "base/json.h"

namespace nora::survey {

struct ClockState {
  bool synchronised = false;        // the kernel believes so (STA_UNSYNC is not set)
  std::int64_t max_error_us = 0;    // bound, grows while nobody disciplines the clock
  std::int64_t estimated_error_us = 0, offset_us = 0;
  json::Object to_json() const;
};
ClockState clock_state();

// The line of `chronyc -c -n tracking` as fields; empty when chronyc is missing or does not answer within 2 s. For the metadata file only.
json::Object chrony_tracking();

}  // namespace nora::survey
