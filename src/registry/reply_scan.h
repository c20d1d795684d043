// Reading the match keys of the whole distinct history, in parts that several connections read side by side. Used by flow/rule_change and
// clusters. Limits: page_rows rows in memory per part. One thread per Db.
#pragma once

#include <functional>

#include "registry/registry.h"

namespace nora::registry {

// The match keys of one stored reply, as they lie in the row: walked without copying.
class PackedKeys {
 public:
  explicit PackedKeys(ByteView packed) : packed_(packed) {}
  // False at the end, or where the stored bytes are cut short.
  bool next(std::string_view& key, std::string_view& value);

 private:
  ByteView packed_;
};

// Calls `use` for every reply of part `part` of `parts`; stops at its first error. Order: as stored.
Status scan_replies(store::Db& db, int part, int parts, const std::function<Status(const Hash& hash, PackedKeys keys)>& use);

// ---- which rules the kept identifications belong to ----
// Identifications are kept under a label. A rule change rewrites only the replies that it touches and moves the label to the new version, in one
// transaction; for the old version nothing is kept afterwards, so a process that still works with it matches anew.
Status move_identifications(store::Db& db, std::string_view from_version, std::string_view to_version, Instant now);

}  // namespace nora::registry
