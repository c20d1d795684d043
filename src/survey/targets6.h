// The IPv6 targets of a survey: a range cannot be walked, so they come from a list (records of a provider, hitlists, visitors of the self-check) or
// from prefixes that a provider has delegated to lines, of which the router's usual address is asked. Used by `nora scan`. Pure.
// Lines: an address; or "2001:db8:1000::/40 delegated 56": the first address (…::1) of the first /64 of each /56 in it. Remarks after #.
// Limit: max_targets6 (space.h) in all; what lies outside the mandate is left out by the plan.
#pragma once

#include <string_view>
#include <vector>

#include "base/ip.h"

namespace nora::survey {

// Each address once, in the order of the list. Errors: bad_input, with the line.
Result<std::vector<Ip>> parse_targets6(std::string_view text);

}  // namespace nora::survey
