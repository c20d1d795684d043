#include "law/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace nora::law {
namespace {

constexpr std::size_t cosignature_bytes = 8 + 64;  // u64 time, Ed25519 signature

std::string cosigned_message(std::string_view text, std::uint64_t seconds) { return fmt::format("cosignature/v1\ntime {}\n{}", seconds, text); }

bool decimal(std::string_view s, std::uint64_t& v) {
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  return error == std::errc{} && end == s.data() + s.size() && std::to_string(v) == s;
}

}  // namespace

std::string audit_origin(std::string_view party) { return fmt::format("nora-audit/{}", party); }

std::string Checkpoint::text() const {
  std::string out = fmt::format("{}\n{}\n{}\n", origin, size, to_base64(root));
  for (const auto& line : extensions) out += line + "\n";
  return out;
}

Result<Checkpoint> parse_checkpoint_text(std::string_view text) {
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, fmt::format("not a checkpoint: {}", why)); };
  if (text.size() > max_checkpoint_bytes) return bad("it is too long");
  std::vector<std::string_view> lines;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = rest.find('\n');
    if (end == rest.npos) return bad("its last line has no end");
    if (end == 0) return bad("an empty line");
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  if (lines.size() < 3) return bad("it has fewer than three lines");
  Checkpoint out;
  out.origin = std::string(lines[0]);
  if (!decimal(lines[1], out.size)) return bad("its size is not a plain number");
  const auto root = from_base64(lines[2]);
  if (!root || root->size() != out.root.size() || to_base64(*root) != lines[2]) return bad("its root is not 32 bytes of base64");
  std::copy(root->begin(), root->end(), out.root.begin());
  for (std::size_t i = 3; i < lines.size(); ++i) out.extensions.emplace_back(lines[i]);
  return out;
}

Result<Checkpoint> open_checkpoint(std::string_view note, const PublicKey& log) {
  if (note.size() > max_checkpoint_bytes) return fail(Code::bad_input, "the checkpoint is too long");
  const auto opened = open_note(note, {log});
  if (!opened) return fail(opened.error().code, "checkpoint: " + opened.error().what, opened.error().fix);
  if (opened->signers.size() != 1) return fail(Code::refused, fmt::format("checkpoint: not signed by the key of {} that was given", log.name));
  return parse_checkpoint_text(opened->text);
}

Result<Checkpoint> open_own_checkpoint(std::string_view note, const PublicKey& log) {
  NORA_TRY(Checkpoint out, open_checkpoint(note, log));
  // Bytes outside what is signed (a further line, unused bits of a base64 digit) count as changed too.
  NORA_TRY(const Note parts, split_note(note));
  if (parts.signatures.size() != 1 || note_text(parts) != note || out.text() != parts.text) return fail(Code::failed, "checkpoint: its text is not canonical");
  return out;
}

std::string cosignature_line(std::string_view text, const SigningKey& witness, Instant at) {
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(1, at.us / 1'000'000));
  const auto signature = witness.sign(as_bytes(cosigned_message(text, seconds)));
  Bytes stamped;
  put_u32be(stamped, static_cast<std::uint32_t>(seconds >> 32));
  put_u32be(stamped, static_cast<std::uint32_t>(seconds));
  stamped.insert(stamped.end(), signature.begin(), signature.end());
  const PublicKey key = witness.public_key();
  return note_signature_line(key.name, key.key_id(PublicKey::cosigner_type), stamped);
}

Result<std::vector<Cosignature>> cosignatures(const Note& note, const std::vector<PublicKey>& witnesses) {
  std::vector<Cosignature> out;
  for (const auto& line : note.signatures) {
    for (const auto& witness : witnesses) {
      const std::uint32_t id = witness.key_id(PublicKey::cosigner_type);
      if (witness.name != line.name || id != line.key_id) continue;
      const auto bad = [&](std::string_view why) { return fail(Code::refused, fmt::format("the cosignature of {} {}", witness.name, why)); };
      if (line.signature.size() != cosignature_bytes) return bad("has a wrong length");
      const std::uint64_t seconds = std::uint64_t{get_u32be(line.signature.data())} << 32 | get_u32be(line.signature.data() + 4);
      if (seconds == 0 || seconds > 253'402'300'799) return bad("has no possible time");  // the end of year 9999
      if (!verify(witness, as_bytes(cosigned_message(note.text, seconds)), ByteView(line.signature).subspan(8))) return bad("does not fit the checkpoint");
      const Instant at = Instant::seconds(static_cast<std::int64_t>(seconds));
      const auto known = std::find_if(out.begin(), out.end(), [&](const Cosignature& c) { return c.witness == witness.name && c.key_id == id; });
      if (known == out.end()) out.push_back({witness.name, id, at});
      else known->at = std::max(known->at, at);
    }
  }
  return out;
}

std::string note_text(const Note& note) {
  std::string out = note.text + "\n";
  for (const auto& line : note.signatures) out += note_signature_line(line.name, line.key_id, line.signature);
  return out;
}

Result<std::string> merge_signatures(std::string_view note, std::string_view other) {
  NORA_TRY(const Note a, split_note(note));
  NORA_TRY(const Note b, split_note(other));
  if (a.text != b.text) return fail(Code::bad_input, "the two notes have different texts");
  std::string out(note);
  for (const auto& line : b.signatures) {
    const std::string text = note_signature_line(line.name, line.key_id, line.signature);
    if (out.find("\n" + text) == out.npos) out += text;
  }
  return out;
}

Result<PublicKey> parse_witness_key(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (auto cosigner = PublicKey::parse(text, PublicKey::cosigner_type)) return cosigner;
  return PublicKey::parse(text);
}

}  // namespace nora::law
