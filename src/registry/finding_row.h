// The column list of a finding and its reader, shared by registry_findings.cc and views.cc. Private to src/registry.
#pragma once

#include "registry/registry.h"

namespace nora::registry {

const std::string& finding_columns();  // of table alias f
Result<StoredFinding> finding_from(const store::Row& row);

}  // namespace nora::registry
