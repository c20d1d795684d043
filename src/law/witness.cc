#include "law/witness.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "law/audit_disk.h"

namespace nora::law {
namespace {

bool plain(std::string_view s, std::uint64_t& v) {
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  return error == std::errc{} && end == s.data() + s.size() && std::to_string(v) == s;
}

}  // namespace

std::string write_request(const WitnessRequest& r) {
  std::string out = fmt::format("old {}\n", r.old_size);
  for (const Hash& h : r.path) out += to_base64(h) + "\n";
  return out + "\n" + r.note;
}

Result<WitnessRequest> parse_request(std::string_view text) {
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, fmt::format("not a request to a witness: {}", why)); };
  if (text.size() > max_request_bytes) return bad("it is too long");
  WitnessRequest out;
  bool first = true;
  for (;;) {
    const auto end = text.find('\n');
    if (end == text.npos) return bad("it has no checkpoint");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (first) {
      if (!line.starts_with("old ") || !plain(line.substr(4), out.old_size)) return bad("its first line is not \"old <size>\"");
      first = false;
      continue;
    }
    if (line.empty()) break;
    const auto hash = from_base64(line);
    Hash h;
    if (!hash || hash->size() != h.size() || to_base64(*hash) != line) return bad("a line of its proof is not 32 bytes of base64");
    if (out.path.size() == max_proof_hashes) return bad("its proof is too long");
    std::copy(hash->begin(), hash->end(), h.begin());
    out.path.push_back(h);
  }
  out.note = std::string(text);
  return out;
}

Result<WitnessRequest> make_request(AuditReader& reader, std::uint64_t old_size) {
  WitnessRequest out{old_size, {}, reader.note()};
  if (old_size > reader.size()) return fail(Code::failed, fmt::format("the witness has seen {} leaves, and this log has {}", old_size, reader.size()), "the log went back: look into it");
  NORA_TRY(out.path, reader.consistency(old_size, reader.size()));
  return out;
}

std::filesystem::path Witness::place(std::string_view origin) const { return dir_ / to_hex(sha256(as_bytes(origin))); }

Result<std::uint64_t> Witness::last_size(std::string_view origin) const {
  const auto note = read_file(place(origin) / "checkpoint", max_checkpoint_bytes);
  if (!note) {
    if (note.error().code == Code::not_found) return 0;
    return pass(note.error());
  }
  NORA_TRY(const Note parts, split_note(*note));
  NORA_TRY(const Checkpoint c, parse_checkpoint_text(parts.text));
  return c.size;
}

Result<std::string> Witness::cosign(const WitnessRequest& r, const std::optional<PublicKey>& log) const {
  NORA_TRY(const Note parts, split_note(r.note));
  NORA_TRY(const Checkpoint claimed, parse_checkpoint_text(parts.text));
  std::error_code error;
  std::filesystem::create_directories(dir_, error);
  ::chmod(dir_.c_str(), 0700);
  NORA_TRY(const AuditLock lock, AuditLock::take(dir_, true));
  const auto where = place(claimed.origin);
  // The key of a log is given once by hand; afterwards it is the witness that remembers it.
  std::optional<PublicKey> key = log;
  if (auto kept = read_file(where / "log.pub", 4096)) {
    while (kept->ends_with('\n')) kept->pop_back();
    NORA_TRY(PublicKey known, PublicKey::parse(*kept));
    if (log && *log != known) return fail(Code::refused, fmt::format("this witness knows another key of \"{}\"", claimed.origin));
    key = std::move(known);
  }
  if (!key) return fail(Code::refused, fmt::format("this witness does not know the log \"{}\"", claimed.origin), "give its key the first time: --log-key FILE.pub");
  NORA_TRY(const Checkpoint c, open_checkpoint(r.note, *key));
  NORA_TRY(const std::uint64_t last, last_size(c.origin));
  if (c.size < last) return fail(Code::refused, fmt::format("the log went back: {} leaves were seen of \"{}\", now it shows {}", last, c.origin, c.size));
  if (r.old_size != last) return fail(Code::refused, fmt::format("the last state seen of \"{}\" has {} leaves", c.origin, last), fmt::format("make the request with --old {}", last));
  Hash old_root = merkle_root({});
  if (last > 0) {
    NORA_TRY(const std::string note, read_file(where / "checkpoint", max_checkpoint_bytes));
    NORA_TRY(const Checkpoint before, open_checkpoint(note, *key));
    old_root = before.root;
  }
  if (c.size == 0 && c.root != merkle_root({})) return fail(Code::refused, "an empty log has the root of nothing");
  if (!consistency_holds(r.old_size, c.size, r.path, old_root, c.root))
    return fail(Code::refused, fmt::format("the log was forked: its {} leaves do not begin with the {} that were seen", c.size, last));
  const std::string line = cosignature_line(parts.text, *key_, env_.clock.now());
  const std::string cosigned = fmt::format("{}\n{}{}", parts.text, note_signature_line(key->name, key->key_id(), [&]() -> Bytes {
    for (const auto& s : parts.signatures)
      if (s.name == key->name && s.key_id == key->key_id()) return s.signature;
    return {};
  }()), line);
  if (::mkdir(where.c_str(), 0700) != 0 && errno != EEXIST) return fail(Code::failed, fmt::format("{}: {}", where.string(), errno_text(errno)));
  NORA_CHECK(replace_file(where / "log.pub", key->text() + "\n", 0600));
  NORA_CHECK(replace_file(where / "checkpoint", cosigned, 0600));  // remembered before it is given away
  return cosigned;
}

Result<std::vector<Cosignature>> accept_cosigned(const std::filesystem::path& dir, const PublicKey& log, std::string_view note, const std::vector<PublicKey>& witnesses) {
  NORA_TRY(const Checkpoint c, open_checkpoint(note, log));
  NORA_TRY(const Note parts, split_note(note));
  NORA_TRY(auto by, cosignatures(parts, witnesses));
  if (by.empty()) return fail(Code::refused, "no witness that was named has cosigned this");
  NORA_TRY(AuditReader reader, AuditReader::open(dir, &log));
  if (c.origin != reader.checkpoint().origin) return fail(Code::refused, fmt::format("this is a checkpoint of \"{}\"", c.origin));
  if (c.size > reader.size()) return fail(Code::failed, fmt::format("the log went back: {} saw {} leaves, here are {}", by[0].witness, c.size, reader.size()));
  NORA_TRY(const Hash root, reader.root_at(c.size));
  if (root != c.root) return fail(Code::failed, fmt::format("the log was forked: {} saw another root at {} leaves", by[0].witness, c.size));
  NORA_TRY(const AuditLock lock, AuditLock::take(dir, true));
  if (::mkdir((dir / "witness").c_str(), 0700) != 0 && errno != EEXIST) return fail(Code::failed, fmt::format("{}: {}", (dir / "witness").string(), errno_text(errno)));
  for (const auto& one : by) {
    const auto file = dir / "witness" / fmt::format("{:08x}", one.key_id);
    // An older state never takes the place of a newer one.
    if (const auto kept = read_file(file, max_checkpoint_bytes)) {
      const auto old_parts = split_note(*kept);
      const auto old = old_parts ? parse_checkpoint_text(old_parts->text) : pass(old_parts.error());
      if (old && old->size > c.size) continue;
    }
    NORA_CHECK(replace_file(file, note, 0600));
  }
  return by;
}

}  // namespace nora::law
