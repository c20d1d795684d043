// The provider's schema as numbered migrations (family "isp"), one text for SQLite and PostgreSQL. A released migration is never edited.
#pragma once

#include <vector>

#include "store/db.h"

namespace nora::isp {

const std::vector<store::Migration>& migrations();

}  // namespace nora::isp
