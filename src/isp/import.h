// Import: recognises a file by its content, streams it through its importer into the index, customers into the store. Used by `nora isp import`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "isp/index.h"

namespace nora::isp {

struct FileReport {
  std::string file;
  std::string format;    // radius-detail, kea-hook, kea-leases, map-e, customers
  ImportCounts counts;
};

// Errors: bad_input (a format that is not recognised; a rule or customer file with a wrong line), failed (unreadable). A customer file is
// also handed back, for the store.
Result<FileReport> import_file(const std::filesystem::path& file, IndexWriter& index, std::vector<Customer>& customers);

}  // namespace nora::isp
