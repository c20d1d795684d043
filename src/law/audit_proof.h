// Proof: that a leaf stands in a party's log, checkable without the log: a C2SP tlog-proof with the entry (and, when it is to be disclosed,
// salt and data) in its extra line. Used by `nora audit prove|check-proof`, complaints. Reading is total (fuzz/audit_fuzz.cc).
//
//   c2sp.org/tlog-proof@v1
//   extra base64(0x00 entry)            or base64(0x01 salt data)
//   index 17
//   <hashes of the path, one a line>
//                                       (an empty line)
//   <the signed checkpoint, with the cosignatures that the log has for it>
#pragma once

#include "law/audit_reader.h"

namespace nora::law {

inline constexpr std::size_t max_proof_bytes = 512 * 1024, max_proofs_in_file = 10'000;

struct AuditProof {
  std::uint64_t index = 0;
  std::vector<Hash> path;
  Hash entry{};
  bool disclosed = false;
  Hash salt{};           // when disclosed
  std::string data;      // when disclosed; JSON
  std::string note;      // the signed checkpoint
};
std::string write_proof(const AuditProof& proof);
Result<AuditProof> parse_proof(std::string_view text);                    // Errors: bad_input
Result<std::vector<AuditProof>> parse_proofs(std::string_view text);      // one after the other. Errors: bad_input

// Proves a leaf in the newest state that a witness cosigned and that holds it, otherwise in the present one. A shredded leaf has no data to
// disclose: its entry is proved.
Result<AuditProof> prove_leaf(const std::filesystem::path& dir, AuditReader& reader, std::uint64_t index, bool disclose);

struct Proven {
  std::string origin;
  std::uint64_t index = 0, size = 0;
  Hash root{};
  std::optional<AuditEntry> entry;      // when disclosed
  std::vector<Cosignature> cosigned;
};
// Errors: refused, failed (the sentence says what does not hold).
Result<Proven> check_proof(const AuditProof& proof, const PublicKey& log, const std::vector<PublicKey>& witnesses, unsigned quorum);

// Leaves of a survey's segment: kind segment_reserved or segment_committed and this id, in order.
Result<std::vector<AuditEntry>> segment_leaves(AuditReader& reader, std::string_view segment);

}  // namespace nora::law
