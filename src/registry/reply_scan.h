// Reading the match keys of distinct replies: of the whole history in parts that several connections read side by side, or of some. Used by flow
// (rule changes, naming, clusters). Limits: page_rows rows in memory per part. One thread per Db.
#pragma once

#include <functional>
#include <span>

#include "registry/registry.h"

namespace nora::registry {

// The match keys of one stored reply, as they lie in the row: walked without copying.
class PackedKeys {
 public:
  explicit PackedKeys(ByteView packed) : packed_(packed) {}
  // False at the end, or where the stored bytes are cut short.
  bool next(std::string_view& key, std::string_view& value);
  // All that are left, as values.
  std::vector<KeyValue> rest();

 private:
  ByteView packed_;
};

struct StoredKeys {
  Hash hash{};
  std::string_view protocol;
  PackedKeys keys;
};
using UseKeys = std::function<Status(const StoredKeys& reply)>;   // what it gets is good until it returns
// Calls `use` for every reply of part `part` of `parts`; stops at its first error. Order: as stored.
Status scan_replies(store::Db& db, int part, int parts, const UseKeys& use);
// The same for these replies; one that is not stored is left out.
Status read_replies(store::Db& db, std::span<const Hash> hashes, const UseKeys& use);

// ---- which rules the kept identifications belong to ----
// Identifications are kept under a label. A rule change rewrites only the replies that it touches and moves the label to the new version, in one
// transaction; for the old version nothing is kept afterwards, so a process that still works with it matches anew.
inline constexpr char superseded = '@';   // in the label of a version that another one took the place of
Result<std::string> rules_label(store::Db& db, std::string_view version);
Status move_identifications(store::Db& db, std::string_view from_version, std::string_view to_version, Instant now);

}  // namespace nora::registry
