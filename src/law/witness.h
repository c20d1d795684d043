// Witness: another party (an ISP, a regulator) that remembers the last state of a log it saw, and cosigns only what goes on from there. So a
// log that is put back, or shown differently to two readers, is found. Used by `nora audit request|witness|accept`; files both ways, no
// network: the request is the body of C2SP tlog-witness add-checkpoint, the answer a cosigned checkpoint (C2SP tlog-cosignature, Ed25519).
// State of the witness: <dir>/<SHA-256 of the origin>/checkpoint (the last one cosigned) and log.pub. Locked while it judges.
#pragma once

#include "law/audit_reader.h"

namespace nora::law {

struct WitnessRequest {
  std::uint64_t old_size = 0;
  std::vector<Hash> path;  // consistency proof
  std::string note;        // the log's signed checkpoint
};
inline constexpr std::size_t max_request_bytes = max_checkpoint_bytes + 16 * 1024;
std::string write_request(const WitnessRequest& request);
Result<WitnessRequest> parse_request(std::string_view text);  // total. Errors: bad_input
// What the log sends: its present state, from what the witness saw last.
Result<WitnessRequest> make_request(AuditReader& reader, std::uint64_t old_size);

class Witness {
 public:
  // `dir` is made (0700). `key` and what `env` refers to must outlive it.
  Witness(std::filesystem::path dir, const SigningKey& key, Env env) : dir_(std::move(dir)), key_(&key), env_(env) {}
  // The size seen last of this origin; 0: never seen.
  Result<std::uint64_t> last_size(std::string_view origin) const;
  // Judges, remembers, and only then cosigns: the note with one line more. `log`: the key of this log; needed the first time, kept then.
  // Errors: refused (unknown log, wrong key, another old size: "old 12", went back, forked).
  Result<std::string> cosign(const WitnessRequest& request, const std::optional<PublicKey>& log) const;

 private:
  std::filesystem::path place(std::string_view origin) const;
  std::filesystem::path dir_;
  const SigningKey* key_;
  Env env_;
};

// The log keeps a cosigned checkpoint: DIR/witness/<key id>. It must be of this log and go with its present state. Returns who cosigned.
Result<std::vector<Cosignature>> accept_cosigned(const std::filesystem::path& dir, const PublicKey& log, std::string_view note, const std::vector<PublicKey>& witnesses);

}  // namespace nora::law
