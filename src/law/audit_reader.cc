#include "law/audit_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "law/audit_parts.h"

namespace nora::law {
namespace {

std::unexpected<Error> bad_leaf(std::uint64_t i, std::string_view why) { return fail(Code::failed, fmt::format("leaf {}: {}", i, why)); }

Result<Checkpoint> any_checkpoint(std::string_view note) {
  NORA_TRY(const Note parts, split_note(note));
  return parse_checkpoint_text(parts.text);
}

AuditLeaf leaf_of(std::uint64_t index, const AuditRecord& r) {
  AuditLeaf out;
  out.index = index;
  out.entry = r.entry;
  out.shredded = r.shredded;
  if (r.shredded) {
    out.shredded_by = r.shredded_by();
  } else {
    std::copy(r.salt.begin(), r.salt.end(), out.salt.begin());
    out.data = to_string(r.data);
  }
  return out;
}

}  // namespace

AuditReader::AuditReader(std::filesystem::path dir, std::uint64_t size) : dir_(std::move(dir)), size_(size), tiles_(dir_, size) {}

Result<AuditReader> AuditReader::open(const std::filesystem::path& dir, const PublicKey* key) {
  std::error_code error;
  if (!std::filesystem::exists(dir / "checkpoint", error)) return fail(Code::failed, fmt::format("there is no audit log in {}", dir.string()));
  NORA_TRY(const AuditLock lock, AuditLock::take(dir, false));
  NORA_TRY(std::string note, read_file(dir / "checkpoint", max_checkpoint_bytes));
  auto c = key ? open_own_checkpoint(note, *key) : any_checkpoint(note);
  if (!c) return pass(c.error());
  if (is_old_layout(*c)) return fail(Code::failed, fmt::format("the audit log {} has the first layout", dir.string()), "nora audit repair DIR --key KEY moves it");
  AuditReader out(dir, c->size);
  out.note_ = std::move(note);
  out.checkpoint_ = std::move(*c);
  return out;
}

Result<const std::string*> AuditReader::private_file(std::uint64_t n) {
  if (n != file_n_) {
    auto text = read_file(dir_ / private_path(n), max_private_bytes + (1u << 20));
    if (!text) return bad_leaf(n * tile_width, text.error().code == Code::not_found ? private_path(n) + " is missing" : text.error().what);
    file_ = std::move(*text);
    file_n_ = n;
  }
  return &file_;
}

Result<AuditLeaf> AuditReader::record(std::uint64_t index) {
  if (index >= size_) return fail(Code::usage, fmt::format("there is no leaf {} in a log of {}", index, size_));
  NORA_TRY(const std::string* file, private_file(index / tile_width));
  const auto records = parse_records(as_bytes(*file), static_cast<unsigned>(index % tile_width) + 1);
  if (!records) return bad_leaf(index, records.error().what);
  const AuditRecord& r = records->back();
  if (!r.holds()) return bad_leaf(index, "its data or salt was changed");
  return leaf_of(index, r);
}

Status AuditReader::each(std::uint64_t from, std::uint64_t to, const std::function<Status(const AuditLeaf&)>& visit) {
  to = std::min(to, size_);
  while (from < to) {
    const std::uint64_t n = from / tile_width, end = std::min(to, (n + 1) * tile_width);
    NORA_TRY(const Bytes bundle, tiles_.bundle(n));
    NORA_TRY(const auto entries, parse_bundle(bundle, tile_width_at(entries_level, n, size_)));
    NORA_TRY(const std::string* file, private_file(n));
    const auto records = parse_records(as_bytes(*file), static_cast<unsigned>(end - n * tile_width));
    if (!records) return bad_leaf(from, fmt::format("{}: {}", private_path(n), records.error().what));
    for (; from < end; ++from) {
      const AuditRecord& r = (*records)[from % tile_width];
      if (!std::ranges::equal(r.entry, entries[from % tile_width]) || !r.holds()) return bad_leaf(from, "its data or salt was changed");
      NORA_CHECK(visit(leaf_of(from, r)));
    }
  }
  return {};
}

Result<Hash> AuditReader::root_at(std::uint64_t size) {
  if (size > size_) return fail(Code::usage, fmt::format("the log has {} leaves, not {}", size_, size));
  return merkle_root_at(size, tiles_.source());
}
Result<std::vector<Hash>> AuditReader::inclusion(std::uint64_t index, std::uint64_t size) {
  if (size > size_) return fail(Code::usage, fmt::format("the log has {} leaves, not {}", size_, size));
  return inclusion_proof(index, size, tiles_.source());
}
Result<std::vector<Hash>> AuditReader::consistency(std::uint64_t old_size, std::uint64_t size) {
  if (size > size_) return fail(Code::usage, fmt::format("the log has {} leaves, not {}", size_, size));
  return consistency_proof(old_size, size, tiles_.source());
}

Result<std::string> audit_party(const std::filesystem::path& dir) {
  const auto note = read_file(dir / "checkpoint", max_checkpoint_bytes);
  if (!note) return fail(Code::failed, fmt::format("there is no audit log in {}", dir.string()));
  NORA_TRY(const Checkpoint c, any_checkpoint(*note));
  const std::string head = audit_origin("");
  if (!c.origin.starts_with(head)) return fail(Code::bad_input, fmt::format("\"{}\" is not an audit log", c.origin));
  return c.origin.substr(head.size());
}

Result<std::vector<AuditEntry>> audit_read(const std::filesystem::path& dir, std::uint64_t from, std::uint64_t to) {
  std::vector<AuditEntry> out;
  auto reader = AuditReader::open(dir, nullptr);
  if (!reader) {
    // A log of the first layout that was not opened since: it reads all the same.
    const auto note = read_file(dir / "checkpoint", max_checkpoint_bytes);
    const auto c = note ? any_checkpoint(*note) : pass(note.error());
    if (!c || !is_old_layout(*c)) return pass(reader.error());
    std::uint64_t i = 0;
    NORA_CHECK(read_old_log(dir, *c, false, [&](const Hash&, ByteView, ByteView data) -> Status {
      if (i >= from && i < to) {
        NORA_TRY(AuditEntry e, audit_entry(i, as_text(data)));
        out.push_back(std::move(e));
      }
      ++i;
      return {};
    }));
    return out;
  }
  NORA_CHECK(reader->each(from, to, [&](const AuditLeaf& leaf) -> Status {
    if (leaf.shredded) {
      out.push_back({leaf.index, {}, "shredded", {{"by", leaf.shredded_by}}});
      return {};
    }
    NORA_TRY(AuditEntry e, audit_entry(leaf.index, leaf.data));
    out.push_back(std::move(e));
    return {};
  }));
  return out;
}

}  // namespace nora::law
