// Hashes, keyed hashes, signatures, sealed boxes, signed notes and key files. Used by law, exchange, cases, isp, http.
// libsodium underneath (sign 16 us, verify 40 us, seal 59 us); SHA-256 by libcrypto. Any thread. Keys are files of mode 0600, one directory per party.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "base/secret.h"

namespace nora {

// SHA-256 in pieces (FIPS 180-4), by libcrypto, which uses the processor's own instructions.
class Sha256 {
 public:
  Sha256();
  void update(ByteView data);
  Hash finish();  // and begins anew

 private:
  alignas(8) std::array<std::uint8_t, 128> state_;  // a SHA256_CTX
};
Hash sha256(ByteView data);
Hash sha256(std::initializer_list<ByteView> parts);  // of the concatenation
Hash keyed_hash(const Secret& key, ByteView data);  // BLAKE2b-256 with a 32-byte key: tokens, notice codes, blind handles
bool equal_constant_time(ByteView a, ByteView b);

// Ed25519 key with the name that stands in signed notes, and an X25519 pair derived from it for sealed boxes.
struct PublicKey {
  std::string name;  // no blank, no '+', for example "authority1.example"
  std::array<std::uint8_t, 32> ed25519{};
  // The type byte of C2SP signed-note: what the key signs.
  static constexpr std::uint8_t note_type = 0x01, cosigner_type = 0x04;  // a note's text; a checkpoint with a time (tlog-cosignature)
  std::uint32_t key_id(std::uint8_t type = note_type) const;  // first 4 bytes of SHA-256(name "\n" type key), C2SP signed-note
  std::string text(std::uint8_t type = note_type) const;      // "<name>+<8 hex id>+<base64(type key)>": the vkey form of C2SP signed-note
  static Result<PublicKey> parse(std::string_view vkey, std::uint8_t type = note_type);
  bool operator==(const PublicKey&) const = default;
};
class SigningKey {
 public:
  static SigningKey make(std::string name, Random& random);
  static Result<SigningKey> load(const std::filesystem::path& file);   // refuses a file that others may read
  Status save(const std::filesystem::path& file) const;                // 0600, never overwrites
  PublicKey public_key() const { return public_; }
  std::array<std::uint8_t, 64> sign(ByteView message) const;
  Result<Bytes> open_sealed(ByteView sealed) const;  // Errors: bad_input (altered, or sealed to another key)

 private:
  PublicKey public_;
  Secret seed_;  // 32 bytes
};
bool verify(const PublicKey& key, ByteView message, ByteView signature);
Bytes seal_to(const PublicKey& receiver, ByteView message);  // crypto_box_seal to the X25519 form of the receiver's key

// C2SP signed note: text ending in "\n", an empty line, then "— name base64(id||sig)" lines. At most 100 of them.
struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;
  Bytes signature;  // at least one byte; whose and of what kind tells the key
};
struct Note {
  std::string text;  // with its final newline
  std::vector<NoteSignature> signatures;
};
Result<Note> split_note(std::string_view note);  // no signature is judged. Errors: bad_input
std::string note_signature_line(std::string_view name, std::uint32_t key_id, ByteView signature);
std::string sign_note(std::string_view text, const SigningKey& key);                   // text must end with a newline
std::string add_signature(std::string_view note, const SigningKey& key);               // one more signature on a note
struct OpenedNote {
  std::string text;
  std::vector<std::string> signers;  // names of the given keys that verify, each once
};
// Splits and verifies against the given keys. Unknown signers are ignored; a known signer with a bad signature is an error.
Result<OpenedNote> open_note(std::string_view note, const std::vector<PublicKey>& keys);

}  // namespace nora
