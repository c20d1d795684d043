// The two stores behind Db. Used by db.cc alone.
#pragma once

#include "store/db.h"

namespace nora::store {

Result<std::unique_ptr<Db>> open_sqlite(std::string_view path);
Result<std::unique_ptr<Db>> open_postgres(std::string_view url);

// Replaces the dialect words of a migration: {serial} {blob} {bigint} {now_us}.
std::string in_dialect(std::string_view sql, bool postgres);

}  // namespace nora::store
