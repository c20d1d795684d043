// The full check of an audit log: every record, entry, tile and root, and what witnesses saw of it. Used by `nora audit verify`, the desk.
// Reads files only; needs no private key. One pass, memory of one bundle and O(log n). About a million leaves a second.
#pragma once

#include "law/audit.h"
#include "law/checkpoint.h"

namespace nora::law {

struct AuditCheck {
  bool public_part_only = false;         // a copy without the private records
  std::vector<PublicKey> witnesses;      // whose cosignatures count
  unsigned quorum = 0;                   // so many of them must have seen this log
  std::vector<std::string> seen;         // checkpoints from elsewhere: from a witness, from an earlier visit; the log's own signature is enough
  std::optional<Instant> not_before;     // cosignatures from before this instant do not count
};
struct AuditReport {
  AuditState state;
  std::uint64_t shredded = 0;
  std::vector<Cosignature> cosigned;     // each witness's latest on a state of this log
};
// Errors: failed "leaf 12: …", "tile/0/000 …", "the log went back …", "the log was forked …"; refused (fewer witnesses than the quorum).
Result<AuditReport> audit_check(const std::filesystem::path& dir, const PublicKey& key, const AuditCheck& wanted);

}  // namespace nora::law
