// The center's schema as numbered migrations, one list for SQLite and PostgreSQL. Used by registry.h (open) and the conformance suite.
// A released migration is never edited; add a new number. What each table holds and for how long stands beside it in schema.cc.
#pragma once

#include <vector>

#include "store/db.h"

namespace nora::registry {

const std::vector<store::Migration>& migrations();  // family "center"

}  // namespace nora::registry
