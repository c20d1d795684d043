#include "base/crypto.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/files.h"

namespace nora {
namespace {

constexpr std::string_view key_file_head = "nora-key-1 ";
constexpr std::string_view signature_mark = "\xe2\x80\x94 ";  // em dash and blank (C2SP signed-note)

bool good_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return c > ' ' && c < 0x7f && c != '+'; });
}

}  // namespace

Hash keyed_hash(const Secret& key, ByteView data) {
  NORA_ASSERT(key.reveal().size() == 32, "a keyed hash needs a key of 32 bytes");
  Hash hash;
  crypto_generichash(hash.data(), hash.size(), data.data(), data.size(), key.reveal().data(), key.reveal().size());
  return hash;
}

bool equal_constant_time(ByteView a, ByteView b) { return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

std::uint32_t PublicKey::key_id(std::uint8_t type) const {
  Bytes data = to_bytes(name);
  data.push_back('\n');
  data.push_back(type);
  data.insert(data.end(), ed25519.begin(), ed25519.end());
  return get_u32be(sha256(data).data());
}

std::string PublicKey::text(std::uint8_t type) const {
  Bytes data{type};
  data.insert(data.end(), ed25519.begin(), ed25519.end());
  return fmt::format("{}+{:08x}+{}", name, key_id(type), to_base64(data));
}

Result<PublicKey> PublicKey::parse(std::string_view vkey, std::uint8_t type) {
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, fmt::format("not a public key: {}", why), "the form is <name>+<8 hex digits>+<base64>"); };
  const auto first = vkey.find('+');
  if (first == std::string_view::npos) return bad("no \"+\"");
  const auto second = vkey.find('+', first + 1);
  if (second == std::string_view::npos) return bad("only one \"+\"");
  PublicKey key;
  key.name = std::string(vkey.substr(0, first));
  if (!good_key_name(key.name)) return bad("the name has blanks or control bytes");
  const auto data = from_base64(vkey.substr(second + 1));
  if (!data || data->size() != 33 || (*data)[0] != type) return bad("not an Ed25519 key of the kind that is needed here");
  std::copy(data->begin() + 1, data->end(), key.ed25519.begin());
  if (vkey.substr(first + 1, second - first - 1) != fmt::format("{:08x}", key.key_id(type))) return bad("the key id does not fit the key");
  return key;
}

SigningKey SigningKey::make(std::string name, Random& random) {
  NORA_ASSERT(good_key_name(name), "a key name has no blank and no plus sign");
  Bytes seed(32);
  random.fill(seed);
  SigningKey key;
  key.public_.name = std::move(name);
  std::array<std::uint8_t, 64> pair;
  crypto_sign_seed_keypair(key.public_.ed25519.data(), pair.data(), seed.data());
  sodium_memzero(pair.data(), pair.size());
  key.seed_ = Secret(std::move(seed));
  return key;
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return fail(Code::not_found, fmt::format("no key file {}: {}", file.string(), errno_text(errno)));
  if ((info.st_mode & 077) != 0) {
    return fail(Code::refused, fmt::format("key file {} can be read by others", file.string()), fmt::format("chmod 600 {}", file.string()));
  }
  NORA_TRY(const std::string text, read_file(file, 4096));
  const auto bad = [&] { return fail(Code::bad_input, fmt::format("{} is not a key file", file.string()), "make one with `nora mandate keygen`"); };
  if (!text.starts_with(key_file_head)) return bad();
  const auto space = text.find(' ', key_file_head.size());
  if (space == std::string::npos) return bad();
  auto seed = from_base64(std::string_view(text).substr(space + 1));
  if (!seed || seed->size() != 32) return bad();
  SigningKey key;
  key.public_.name = text.substr(key_file_head.size(), space - key_file_head.size());
  if (!good_key_name(key.public_.name)) return bad();
  std::array<std::uint8_t, 64> pair;
  crypto_sign_seed_keypair(key.public_.ed25519.data(), pair.data(), seed->data());
  sodium_memzero(pair.data(), pair.size());
  key.seed_ = Secret(std::move(*seed));
  return key;
}

Status SigningKey::save(const std::filesystem::path& file) const {
  Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail(Code::failed, fmt::format("cannot write key file {}: {}", file.string(), errno_text(errno)), "an existing key is never overwritten");
  const std::string text = fmt::format("{}{} {}\n", key_file_head, public_.name, to_base64(seed_.reveal()));
  return append_durably(fd.get(), as_bytes(text));
}

std::array<std::uint8_t, 64> SigningKey::sign(ByteView message) const {
  std::array<std::uint8_t, 32> pub;
  std::array<std::uint8_t, 64> pair, signature;
  crypto_sign_seed_keypair(pub.data(), pair.data(), seed_.reveal().data());
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), pair.data());
  sodium_memzero(pair.data(), pair.size());
  return signature;
}

Result<Bytes> SigningKey::open_sealed(ByteView sealed) const {
  const auto bad = [] { return fail(Code::bad_input, "the sealed box does not open with this key: it is altered, or sealed to another key"); };
  if (sealed.size() < crypto_box_SEALBYTES) return bad();
  std::array<std::uint8_t, 32> pub, curve_pub, curve_key;
  std::array<std::uint8_t, 64> pair;
  crypto_sign_seed_keypair(pub.data(), pair.data(), seed_.reveal().data());
  crypto_sign_ed25519_sk_to_curve25519(curve_key.data(), pair.data());
  sodium_memzero(pair.data(), pair.size());
  Bytes out(sealed.size() - crypto_box_SEALBYTES);
  const bool ok = crypto_sign_ed25519_pk_to_curve25519(curve_pub.data(), pub.data()) == 0 &&
                  crypto_box_seal_open(out.data(), sealed.data(), sealed.size(), curve_pub.data(), curve_key.data()) == 0;
  sodium_memzero(curve_key.data(), curve_key.size());
  if (!ok) return bad();
  return out;
}

bool verify(const PublicKey& key, ByteView message, ByteView signature) {
  return signature.size() == 64 && crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.ed25519.data()) == 0;
}

Bytes seal_to(const PublicKey& receiver, ByteView message) {
  std::array<std::uint8_t, 32> curve;
  NORA_ASSERT(crypto_sign_ed25519_pk_to_curve25519(curve.data(), receiver.ed25519.data()) == 0, "a verified key converts to X25519");
  Bytes out(message.size() + crypto_box_SEALBYTES);
  crypto_box_seal(out.data(), message.data(), message.size(), curve.data());
  return out;
}

namespace {
constexpr std::size_t max_note_signatures = 100;
std::string signature_line(std::string_view text, const SigningKey& key) {
  const auto signature = key.sign(as_bytes(text));
  return note_signature_line(key.public_key().name, key.public_key().key_id(), signature);
}
// Splits at the last empty line before the signatures; text keeps its final newline.
bool cut_note(std::string_view note, std::string_view& text, std::string_view& signatures) {
  const auto at = note.rfind("\n\n");
  if (at == std::string_view::npos) return false;
  text = note.substr(0, at + 1);
  signatures = note.substr(at + 2);
  return signatures.starts_with(signature_mark) && signatures.ends_with('\n');
}
}  // namespace

std::string note_signature_line(std::string_view name, std::uint32_t key_id, ByteView signature) {
  Bytes data;
  put_u32be(data, key_id);
  data.insert(data.end(), signature.begin(), signature.end());
  return fmt::format("{}{} {}\n", signature_mark, name, to_base64(data));
}

std::string sign_note(std::string_view text, const SigningKey& key) {
  NORA_ASSERT(text.ends_with('\n'), "a note's text ends with a newline");
  return fmt::format("{}\n{}", text, signature_line(text, key));
}

std::string add_signature(std::string_view note, const SigningKey& key) {
  std::string_view text, signatures;
  if (!cut_note(note, text, signatures)) return sign_note(note, key);
  return std::string(note) + signature_line(text, key);
}

Result<Note> split_note(std::string_view note) {
  std::string_view text, signatures;
  if (!cut_note(note, text, signatures)) return fail(Code::bad_input, "no signature lines after an empty line", "sign it first");
  Note out{std::string(text), {}};
  while (!signatures.empty()) {
    if (out.signatures.size() == max_note_signatures) return fail(Code::bad_input, "more than 100 signature lines");
    const auto end = signatures.find('\n');
    const auto line = signatures.substr(0, end);
    signatures.remove_prefix(end == std::string_view::npos ? signatures.size() : end + 1);
    const auto space = line.rfind(' ');
    if (!line.starts_with(signature_mark) || space == std::string_view::npos || space < signature_mark.size()) return fail(Code::bad_input, "a malformed signature line");
    const auto data = from_base64(line.substr(space + 1));
    if (!data || data->size() < 5) return fail(Code::bad_input, "a malformed signature line");
    out.signatures.push_back({std::string(line.substr(signature_mark.size(), space - signature_mark.size())), get_u32be(data->data()), Bytes(data->begin() + 4, data->end())});
  }
  return out;
}

Result<OpenedNote> open_note(std::string_view note, const std::vector<PublicKey>& keys) {
  NORA_TRY(Note parts, split_note(note));
  OpenedNote out{std::move(parts.text), {}};
  for (const auto& line : parts.signatures) {
    for (const auto& key : keys) {
      if (key.name != line.name || key.key_id() != line.key_id) continue;
      if (!verify(key, as_bytes(out.text), line.signature)) {
        return fail(Code::refused, fmt::format("the signature of {} does not fit the text", key.name), "the text was changed after signing; get it signed again");
      }
      if (std::find(out.signers.begin(), out.signers.end(), key.name) == out.signers.end()) out.signers.push_back(key.name);
    }
  }
  return out;
}

}  // namespace nora
