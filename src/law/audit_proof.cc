#include "law/audit_proof.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "law/audit_disk.h"
#include "law/audit_parts.h"

namespace nora::law {
namespace {

constexpr std::string_view head_line = "c2sp.org/tlog-proof@v1\n";

bool take_line(std::string_view& rest, std::string_view& line) {
  const auto end = rest.find('\n');
  if (end == rest.npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
}

// The newest state in which the leaf is and that a witness cosigned; its files lie in witness/. The reader's own otherwise.
Result<std::string> note_for(const std::filesystem::path& dir, AuditReader& reader, std::uint64_t index, std::uint64_t& size) {
  size = reader.size();
  std::string best = reader.note();
  bool cosigned = false;
  for (const auto& path : files_below(dir, "witness")) {
    const auto note = read_file(dir / path, max_checkpoint_bytes);
    if (!note) continue;
    const auto parts = split_note(*note);
    const auto c = parts ? parse_checkpoint_text(parts->text) : pass(parts.error());
    if (!c || c->origin != reader.checkpoint().origin || c->size <= index || c->size > reader.size()) continue;
    NORA_TRY(const Hash root, reader.root_at(c->size));
    if (root != c->root) return fail(Code::failed, fmt::format("{} shows another history of this log", path), "nora audit verify says more");
    if (cosigned && c->size < size) continue;
    if (cosigned && c->size == size) {
      if (auto both = merge_signatures(best, *note)) best = std::move(*both);
      continue;
    }
    best = *note;
    size = c->size;
    cosigned = true;
  }
  return best;
}

}  // namespace

std::string write_proof(const AuditProof& p) {
  Bytes extra;
  if (p.disclosed) {
    extra.push_back(1);
    extra.insert(extra.end(), p.salt.begin(), p.salt.end());
    extra.insert(extra.end(), p.data.begin(), p.data.end());
  } else {
    extra.push_back(0);
    extra.insert(extra.end(), p.entry.begin(), p.entry.end());
  }
  std::string out = fmt::format("{}extra {}\nindex {}\n", head_line, to_base64(extra), p.index);
  for (const Hash& h : p.path) out += to_base64(h) + "\n";
  return out + "\n" + p.note;
}

Result<AuditProof> parse_proof(std::string_view text) {
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, fmt::format("not a proof: {}", why)); };
  if (text.size() > max_proof_bytes) return bad("it is too long");
  if (!text.starts_with(head_line)) return bad("its first line is not \"c2sp.org/tlog-proof@v1\"");
  std::string_view rest = text.substr(head_line.size()), line;
  AuditProof out;
  if (!take_line(rest, line) || !line.starts_with("extra ")) return bad("it has no extra line: the entry must stand there");
  const auto extra = from_base64(line.substr(6));
  if (!extra || to_base64(*extra) != line.substr(6) || extra->size() < 33 || (*extra)[0] > 1) return bad("its extra line cannot be read");
  out.disclosed = (*extra)[0] == 1;
  if (!out.disclosed && extra->size() != 33) return bad("its extra line cannot be read");
  Hash& first = out.disclosed ? out.salt : out.entry;
  std::copy_n(extra->begin() + 1, first.size(), first.begin());
  if (out.disclosed) {
    out.data.assign(extra->begin() + 33, extra->end());
    out.entry = audit_commitment(out.salt, as_bytes(out.data));
  }
  if (!take_line(rest, line) || !line.starts_with("index ")) return bad("it has no index line");
  line.remove_prefix(6);
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out.index);
  if (error != std::errc{} || end != line.data() + line.size() || std::to_string(out.index) != line) return bad("its index is not a plain number");
  for (;;) {
    if (!take_line(rest, line)) return bad("it has no checkpoint");
    if (line.empty()) break;
    const auto hash = from_base64(line);
    Hash h;
    if (!hash || hash->size() != h.size() || to_base64(*hash) != line) return bad("a line of its path is not 32 bytes of base64");
    if (out.path.size() == max_proof_hashes) return bad("its path is too long");
    std::copy(hash->begin(), hash->end(), h.begin());
    out.path.push_back(h);
  }
  if (rest.empty()) return bad("it has no checkpoint");
  out.note = std::string(rest);
  return out;
}

Result<std::vector<AuditProof>> parse_proofs(std::string_view text) {
  std::vector<AuditProof> out;
  while (!text.empty()) {
    const auto next = text.find(std::string("\n") + std::string(head_line));
    const auto one = text.substr(0, next == text.npos ? text.npos : next + 1);
    NORA_TRY(auto proof, parse_proof(one));
    if (out.size() == max_proofs_in_file) return fail(Code::bad_input, "too many proofs in one file");
    out.push_back(std::move(proof));
    text.remove_prefix(one.size());
  }
  if (out.empty()) return fail(Code::bad_input, "not a proof: it is empty");
  return out;
}

Result<AuditProof> prove_leaf(const std::filesystem::path& dir, AuditReader& reader, std::uint64_t index, bool disclose) {
  AuditProof out;
  out.index = index;
  std::uint64_t size = 0;
  NORA_TRY(out.note, note_for(dir, reader, index, size));
  NORA_TRY(out.path, reader.inclusion(index, size));
  NORA_CHECK(reader.each(index, index + 1, [&](const AuditLeaf& leaf) -> Status {
    out.entry = leaf.entry;
    if (disclose && !leaf.shredded) {
      out.disclosed = true;
      out.salt = leaf.salt;
      out.data = leaf.data;
    }
    return {};
  }));
  return out;
}

Result<Proven> check_proof(const AuditProof& p, const PublicKey& log, const std::vector<PublicKey>& witnesses, unsigned quorum) {
  NORA_TRY(const Checkpoint c, open_checkpoint(p.note, log));
  if (!inclusion_holds(p.index, c.size, merkle_leaf(p.entry), p.path, c.root))
    return fail(Code::failed, fmt::format("the path does not lead from leaf {} to the signed root", p.index));
  Proven out{c.origin, p.index, c.size, c.root, std::nullopt, {}};
  NORA_TRY(const Note parts, split_note(p.note));
  if (note_text(parts) != p.note) return fail(Code::failed, "its checkpoint is not canonical");
  NORA_TRY(out.cosigned, cosignatures(parts, witnesses));
  if (out.cosigned.size() < quorum) return fail(Code::refused, fmt::format("{} of {} witnesses that are needed cosigned it", out.cosigned.size(), quorum));
  if (p.disclosed) {
    NORA_TRY(out.entry, audit_entry(p.index, p.data));
  }
  return out;
}

Result<std::vector<AuditEntry>> segment_leaves(AuditReader& reader, std::string_view segment) {
  std::vector<AuditEntry> out;
  NORA_CHECK(reader.each(0, reader.size(), [&](const AuditLeaf& leaf) -> Status {
    if (leaf.shredded || leaf.data.find("\"kind\":\"segment_") == leaf.data.npos || leaf.data.find(segment) == leaf.data.npos) return {};
    NORA_TRY(AuditEntry e, audit_entry(leaf.index, leaf.data));
    if ((e.kind == "segment_reserved" || e.kind == "segment_committed") && json::string_or(e.data, "segment") == segment) out.push_back(std::move(e));
    return {};
  }));
  return out;
}

}  // namespace nora::law
