// What an open Audit holds (audit.cc, audit_shred.cc). Not for others.
#pragma once

#include <mutex>

#include "law/audit.h"
#include "law/audit_tail.h"

namespace nora::law {

struct Audit::Parts {
  std::filesystem::path dir;
  std::string party;
  const SigningKey* key = nullptr;
  Env env;
  mutable std::mutex mutex;  // guards what follows
  std::string note;          // the checkpoint as it was last seen or written
  AuditTail tail;

  Parts(std::filesystem::path d, std::string_view p, const SigningKey& k, Env e) : dir(std::move(d)), party(p), key(&k), env(e) {}
  // All of these need the directory's lock.
  Status catch_up();  // takes in what another process of this party has appended since our last look
  Result<std::vector<LeafId>> append(std::string_view kind, const std::vector<json::Object>& acts);
  Status commit(const AuditGrowth& growth);  // files, then the signed checkpoint that counts them
  // Overwrites the records of these leaves; idempotent. `by`: the leaf that ordered it.
  Status overwrite(const std::vector<std::uint64_t>& leaves, std::uint64_t by) const;
  Status finish_shredding(std::uint64_t size) const;  // what was ordered and is not done yet
};

// The text behind an entry, and back. Errors: bad_input.
std::string audit_text(Instant at, std::string_view kind, const json::Object& data);
Result<AuditEntry> audit_entry(std::uint64_t index, std::string_view text);
// The leaves that a leaf of shred_kind names. Errors: bad_input.
Result<std::vector<std::uint64_t>> shredded_leaves(const json::Object& data);

// ---- the first layout: files entries, salts, data, and a checkpoint with the line "data <bytes>" (audit_old.cc)
bool is_old_layout(const Checkpoint& checkpoint);
// Checks all of it; visit(commitment, salt, data) for each leaf in order. Errors: failed "leaf 3: …".
Status read_old_log(const std::filesystem::path& dir, const Checkpoint& checkpoint, bool exact,
                    const std::function<Status(const Hash&, ByteView, ByteView)>& visit);
// Writes the same leaves in the present layout, then the checkpoint, then removes the old files. A crash before the checkpoint leaves the
// old log, one after it is finished at the next open.
Status migrate_old_log(const std::filesystem::path& dir, const Checkpoint& checkpoint, const SigningKey& key);
void remove_old_files(const std::filesystem::path& dir);

}  // namespace nora::law
