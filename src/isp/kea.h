// Kea: the log of a run_script hook, and memfile lease journals (leases4.csv, leases6.csv). Used by import, fuzzed (fuzz/kea_hook_fuzz.cc).
// Streaming as radius_detail.h. Any thread.
#pragma once

#include "isp/radius_detail.h"

namespace nora::isp {

std::size_t parse_kea_hook(std::string_view data, bool at_end, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts);

// Journal rows. `columns` is the header line of the file (Kea adds columns at the end from version to version); data holds rows only.
bool is_kea_header(std::string_view line);
std::size_t parse_kea_rows(std::string_view data, bool at_end, std::string_view header, std::string_view file, std::uint64_t offset, const RecordSink& sink,
                           ImportCounts& counts);

}  // namespace nora::isp
