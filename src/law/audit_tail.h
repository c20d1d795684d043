// The growing end of an audit log: the unfinished tile of each level, the unfinished entry bundle, and what one append adds to them on disk.
// Used only by audit*.cc; the directory's lock is held by the caller. O(log n) memory; loading reads a handful of files whatever the size.
#pragma once

#include "base/env.h"
#include "law/audit_disk.h"
#include "law/checkpoint.h"

namespace nora::law {

struct AuditTail {
  MerkleEdge edge;
  std::vector<std::vector<Hash>> tiles;  // [level]: hashes of its unfinished tile, below 256
  Bytes entries;                         // of the unfinished bundle
  std::uint64_t private_bytes = 0;       // of the unfinished file of records
  std::uint64_t size() const { return edge.size(); }
};

// Reads the tail that this checkpoint speaks of and checks it: records against entries, entries and tiles against the signed root. Tiles
// that a power cut took (they are not synced, because the records say the same) are written again, with a warning. Errors: failed "leaf 3: …".
Result<AuditTail> load_tail(const std::filesystem::path& dir, const Checkpoint& checkpoint, Log& log);

// Removes what the size does not count: an append that did not end. Errors: failed.
Status clean_beyond(const std::filesystem::path& dir, const AuditTail& tail);

// What an append adds: records first (durable), then full tiles (durable), then partial ones.
class AuditGrowth {
 public:
  explicit AuditGrowth(AuditTail tail) : old_(tail), tail_(std::move(tail)) {}
  Hash add(const Hash& entry, ByteView salt, ByteView data);  // returns the leaf hash
  void add_record(const Hash& entry, ByteView record);         // as it stands in a private file (migration)
  Status write(const std::filesystem::path& dir) const;
  // Best effort, after the checkpoint that counts them: partial tiles of tiles that are full now.
  void drop_partials(const std::filesystem::path& dir) const;
  const AuditTail& tail() const { return tail_; }

 private:
  struct Records {
    std::uint64_t n = 0, at = 0;
    Bytes bytes;
  };
  void add_hash(std::size_t level, const Hash& h);
  AuditTail old_, tail_;
  std::vector<Records> records_;
  std::vector<std::pair<TileName, Bytes>> full_;
};

}  // namespace nora::law
