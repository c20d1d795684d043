// AuditReader: leaves and proofs of a log as it stood when the reader was opened. Used by `nora audit`, complaints, witnesses and shredding.
// It holds no lock while it reads: full tiles do not change, and the log only grows. One thread per object. For a log of the first layout
// it says what to do.
#pragma once

#include <functional>

#include "law/audit.h"
#include "law/checkpoint.h"
#include "law/tiles.h"

namespace nora::law {

struct AuditLeaf {
  std::uint64_t index = 0;
  Hash entry{};
  bool shredded = false;
  std::uint64_t shredded_by = 0;  // leaf index; only when shredded
  Hash salt{};
  std::string data;  // JSON; empty when shredded
};

class AuditReader {
 public:
  // Takes the lock for a moment, reads the checkpoint and, with a key, verifies its signature. Errors: failed, refused.
  static Result<AuditReader> open(const std::filesystem::path& dir, const PublicKey* key);
  // The first `size` leaves, for callers that hold the lock themselves.
  AuditReader(std::filesystem::path dir, std::uint64_t size);

  std::uint64_t size() const { return size_; }
  const std::string& note() const { return note_; }  // the signed checkpoint
  const Checkpoint& checkpoint() const { return checkpoint_; }

  // A record as the private part has it, checked against its own entry only. Errors: failed.
  Result<AuditLeaf> record(std::uint64_t index);
  // Leaves [from, to), each checked against the public entry. Errors: failed "leaf 3: …", and what visit returns.
  Status each(std::uint64_t from, std::uint64_t to, const std::function<Status(const AuditLeaf&)>& visit);
  Result<Hash> root_at(std::uint64_t size);
  Result<std::vector<Hash>> inclusion(std::uint64_t index, std::uint64_t size);
  Result<std::vector<Hash>> consistency(std::uint64_t old_size, std::uint64_t size);

 private:
  Result<const std::string*> private_file(std::uint64_t n);
  std::filesystem::path dir_;
  std::uint64_t size_ = 0;
  std::string note_;
  Checkpoint checkpoint_;
  Tiles tiles_;
  std::uint64_t file_n_ = ~std::uint64_t{0};  // the private file that is kept
  std::string file_;
};

// Whose log it is, as its checkpoint says (not verified): what Audit::open wants to be told.
Result<std::string> audit_party(const std::filesystem::path& dir);

}  // namespace nora::law
