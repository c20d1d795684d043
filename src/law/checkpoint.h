// Checkpoint: what a log says of itself: origin, size and root, signed (C2SP tlog-checkpoint), and what witnesses add to it: "I saw this
// state at this time, and it goes on from what I saw before" (C2SP tlog-cosignature, Ed25519). Used by the audit log, witnesses and proofs.
// Pure functions, any thread. Readers are total (fuzz/audit_fuzz.cc). Limit: max_checkpoint_bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/instant.h"

namespace nora::law {

inline constexpr std::size_t max_checkpoint_bytes = 64 * 1024;

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};
  std::vector<std::string> extensions;  // Nora writes none; they are kept, because signatures cover them
  std::string text() const;             // the note's text
  bool operator==(const Checkpoint&) const = default;
};

std::string audit_origin(std::string_view party);  // "nora-audit/center.example"

// The text of a checkpoint: one text per state, so a second spelling (a leading zero, another base64) is refused. Errors: bad_input.
Result<Checkpoint> parse_checkpoint_text(std::string_view text);
// A note with the log's signature. Errors: bad_input, refused (not signed by this key, or altered).
Result<Checkpoint> open_checkpoint(std::string_view note, const PublicKey& log);
// The same, and nothing else: exactly one signature, each byte where it must be (the file `checkpoint` of a log on its own disk).
Result<Checkpoint> open_own_checkpoint(std::string_view note, const PublicKey& log);

struct Cosignature {
  std::string witness;  // name of the key
  std::uint32_t key_id = 0;
  Instant at;           // whole seconds
};
// The line that a witness adds. `text`: of the checkpoint. `at` is cut to seconds and must be after 1970.
std::string cosignature_line(std::string_view text, const SigningKey& witness, Instant at);
// The cosignatures of these witnesses, each witness once (its latest). Unknown lines are ignored. Errors: refused (a known witness's
// signature does not fit).
Result<std::vector<Cosignature>> cosignatures(const Note& note, const std::vector<PublicKey>& witnesses);
// The note as it must be written: a note that reads the same and is written otherwise was changed.
std::string note_text(const Note& note);
// One note with the signature lines of both; the texts must be equal. Errors: bad_input.
Result<std::string> merge_signatures(std::string_view note, std::string_view other);

// A witness's key as a person has it: a vkey of type 0x04 (tlog-cosignature), or the FILE.pub of `nora mandate keygen`.
Result<PublicKey> parse_witness_key(std::string_view text);

}  // namespace nora::law
