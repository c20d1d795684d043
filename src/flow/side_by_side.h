// Work over one store in parts, each part on a connection of its own in a thread of its own; the first part is done by the caller on his.
// Used by rule changes and naming to read the history. The parts must not write what others read.
#pragma once

#include <functional>
#include <string>

#include "store/db.h"

namespace nora::flow {

inline constexpr int readers = 2;
// How many parts a store is read in: one where its URL is not known (a store in memory, a test's own connection).
inline int parts_of(const std::string& url) { return url.empty() ? 1 : readers; }
// The first error of any part. `work` is called from several threads at once.
Status side_by_side(store::Db& own, const std::string& url, const std::function<Status(store::Db& db, int part)>& work);

}  // namespace nora::flow
