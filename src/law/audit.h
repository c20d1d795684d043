// Audit: the append-only log of one party: what it did, written and fsynced before it does it. Used by survey, cases, portal, isp, desk, app.
// RFC 6962 hashing, C2SP tlog-tiles and tlog-checkpoint on disk (docs/audit.md has the layout). An entry is H(salt || data), so that
// deleting a salt shreds the datum and keeps every proof. Leaves beyond the checkpoint come from an append that never returned: they are cut
// off at the next open, and nothing was done on them. A directory put back to an older state is found by what witnesses saw (witness.h).
// Threads and processes: append() may be called from any thread; several processes of a party may share a directory (flock).
// Cost: open() reads a handful of files whatever the size; append() is one round of fsync (records, checkpoint) for any number of leaves.
// Rule: when append() fails, the caller must not act.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/env.h"
#include "base/json.h"
#include "law/merkle.h"

namespace nora::law {

struct LeafId {
  std::uint64_t index = 0;  // place in the log, from 0
  Hash leaf{};              // RFC 6962 leaf hash
};

struct AuditEntry {
  std::uint64_t index = 0;
  Instant at;
  std::string kind;  // "shredded": the data are gone; at is not known any more, data says which leaf ordered it
  json::Object data;
};

struct AuditState {
  std::uint64_t size = 0;
  Hash root{};
};

// Which leaves lose their data: these, or all of a kind from before an instant.
struct ShredWish {
  std::vector<std::uint64_t> leaves;
  std::optional<Instant> before;
  std::string kind;
  std::string reason;  // stands in the leaf of the shredding
};
inline constexpr std::string_view shred_kind = "shred";  // leaves of this kind cannot be shredded

class Audit {
 public:
  static constexpr std::size_t max_entry_bytes = 65535;  // of the JSON text behind an entry

  // Opens or makes the log of `party` in `dir` (0700). Verifies the signed root against the end of the tree; finishes what a crash cut
  // off; moves a log of the first layout (files entries, salts, data) to this one. audit_verify looks at everything.
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
  // Deletes salt and data of leaves, after a leaf that says so. Those already shredded are passed over. Returns what is gone now, in order.
  Result<std::vector<std::uint64_t>> shred(const ShredWish& wish);

 private:
  struct Parts;
  explicit Audit(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Recomputes everything from the files and compares it with the checkpoint, without the private key. Errors: failed "leaf 12: …".
// audit_verify.h has the same with witnesses, and for a public copy.
Result<AuditState> audit_verify(const std::filesystem::path& dir, const PublicKey& key);
// The entries [from, to), for `nora audit show`.
Result<std::vector<AuditEntry>> audit_read(const std::filesystem::path& dir, std::uint64_t from, std::uint64_t to);

}  // namespace nora::law
