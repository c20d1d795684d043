// Returns: what became of the rows, for the center: states only, no name, no line. Used by cmd_isp.
// A blind handle HMAC(campaign key, line) lets the center follow a line without knowing it; off unless isp.toml says blind_handles = true.
#pragma once

#include "isp/worklist.h"

namespace nora::isp {

struct WrittenReturn { std::int64_t sequence = 0, rows = 0, last_event = 0; Bytes sealed; };
// All events since the last return, sealed to the center. Leaf first. commit_return() marks them as told, after the file is safe on disk.
Result<WrittenReturn> write_return(Party& party);
Status commit_return(Party& party, const WrittenReturn& written);

}  // namespace nora::isp
