// FreeRADIUS `detail` files: streaming parser. Used by import, fuzzed (fuzz/radius_detail_fuzz.cc). No state between calls; any thread.
#pragma once

#include <functional>
#include <string_view>

#include "isp/lease_record.h"

namespace nora::isp {

using RecordSink = std::function<void(LeaseRecord&&)>;

// Parses the complete records at the front of `data` and returns how many bytes they took; the caller keeps the rest and appends more.
// `offset` is the place of data[0] in the file; `at_end`: nothing follows. Bad records are counted and skipped; nothing fails.
std::size_t parse_radius_detail(std::string_view data, bool at_end, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts);

// "Nov 23 2026 03:00:00 UTC" or epoch seconds. Zones: UTC, GMT, Z, JST, +hhmm; others are ambiguous words (CST, IST) and refused. Errors: bad_input.
Result<Instant> parse_radius_time(std::string_view text);

}  // namespace nora::isp
