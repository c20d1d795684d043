// The notice code: 12 characters of Crockford base32 in 3 x 4, 11 data (55 random bits) + 1 check character (screens.md A2).
// Made by the center (cases), typed by the owner (portal), printed by the ISP (isp). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/env.h"
#include "base/result.h"

namespace nora::exchange {

// "7KQ4-M2XD-9RTC"
std::string make_notice_code(Random& random);
// Canonical form; case, hyphens and blanks are ignored, O reads as 0, I and L as 1. A typo fails here, before any lookup. Errors: bad_input.
Result<std::string> parse_notice_code(std::string_view typed);

}  // namespace nora::exchange
