// Audit: the append-only log of one party: what it did, written and fsynced before it does it. Used by survey, cases, portal, isp, desk, app.
// RFC 6962 hashing; a leaf is H(salt || data), so that deleting a salt shreds the datum and keeps the proof (trust.md section 6).
// Files in <dir>: entries (length-prefixed leaves), salts, data (length-prefixed JSON), checkpoint (signed note: origin, size, base64 root), lock.
// Leaves beyond the checkpoint come from an append that never returned: they are cut off at the next open, and nothing was done on them.
// Not covered: going back to an older state of the whole directory; that needs witnesses (docs/law.md).
// Threads and processes: append() may be called from any thread; several processes of a party may share a directory (flock).
// Rule: when append() fails, the caller must not act.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/env.h"
#include "base/json.h"

namespace nora::law {

struct LeafId {
  std::uint64_t index = 0;  // place in the log, from 0
  Hash leaf{};              // RFC 6962 leaf hash
};

struct AuditEntry {
  std::uint64_t index = 0;
  Instant at;
  std::string kind;
  json::Object data;
};

struct AuditState {
  std::uint64_t size = 0;
  Hash root{};
};

class Audit {
 public:
  static constexpr std::size_t max_entry_bytes = 65535;  // C2SP tlog-tiles entry bundle

  // Opens or makes the log of `party` in `dir` (0700). Verifies the checkpoint and rebuilds the tree.
  // `key` and what `env` refers to must outlive the log. Errors: failed (unwritable, locked out, altered: the sentence says which file and leaf).
  static Result<Audit> open(const std::filesystem::path& dir, std::string_view party, const SigningKey& key, Env env);
  Audit(Audit&&) noexcept;
  Audit& operator=(Audit&&) noexcept;
  ~Audit();

  // Writes one leaf and fsyncs it; afterwards the act may happen. kind: [a-z_]{1,40}.
  Result<LeafId> append(std::string_view kind, const json::Object& data);
  // Several leaves with one round of fsync (a row set of a list, a batch of lookups).
  Result<std::vector<LeafId>> append_all(std::string_view kind, const std::vector<json::Object>& acts);
  AuditState state() const;

 private:
  struct Parts;
  explicit Audit(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Recomputes everything from the files and compares it with the checkpoint, without the private key. Errors: failed "leaf 12: …".
Result<AuditState> audit_verify(const std::filesystem::path& dir, const PublicKey& key);
// The entries [from, to), for `nora audit show`.
Result<std::vector<AuditEntry>> audit_read(const std::filesystem::path& dir, std::uint64_t from, std::uint64_t to);

// RFC 6962 section 2.1 over leaf hashes; used by the log and by its tests.
Hash merkle_leaf(ByteView entry);
Hash merkle_node(const Hash& left, const Hash& right);
// Keeps the right edge of the tree: O(log n) memory, amortised one hash per leaf.
class MerkleEdge {
 public:
  void add(const Hash& leaf);
  Hash root() const;
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_ = 0;
  std::vector<Hash> nodes_;  // one per set bit of size_, largest subtree first
};

}  // namespace nora::law
