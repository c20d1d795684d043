// Byte strings that no request of a survey may hold, whoever writes the catalogue: logins, writes, subscriptions, plays, prints, bulk
// answers, and the one Lantronix query that returns a password (class PX). Used by the catalogue's reader, the audit of captures and tests.
// A list of what is bad is never complete; the golden tests of each request are what says that a request is good. Pure; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace nora::survey {

// Why these bytes may not go to this port (0: whatever the port); nothing when they may.
std::optional<std::string_view> forbidden(ByteView bytes, std::span<const std::uint16_t> ports);

// Words that work as a password by themselves. A request that holds one must carry the mark "credential", which law never permits.
bool holds_credential_word(ByteView bytes);

}  // namespace nora::survey
