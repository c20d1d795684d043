#include "law/audit_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "law/audit_parts.h"
#include "law/witness.h"

namespace nora::law {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> bad_leaf(std::uint64_t i, std::string_view why) { return fail(Code::failed, fmt::format("leaf {}: {}", i, why)); }
std::unexpected<Error> bad_file(std::string_view path, std::string_view why) { return fail(Code::failed, fmt::format("{} {}", path, why)); }

class Check {
 public:
  Check(const fs::path& dir, const Checkpoint& c, const AuditCheck& wanted) : dir_(dir), c_(c), wanted_(wanted) {}
  Result<AuditReport> run();
  // The sizes whose roots are asked for, and after run() the roots.
  std::map<std::uint64_t, Hash> roots;

 private:
  Status list_files();
  Status bundle(std::uint64_t n, unsigned width);
  Status finished(int level, std::uint64_t n, const std::vector<Hash>& hashes);
  Status add(int level, std::uint64_t index, const Hash& h);
  Status same_file(const TileName& name, ByteView wanted);
  Status shredding();

  const fs::path& dir_;
  const Checkpoint& c_;
  const AuditCheck& wanted_;
  MerkleEdge edge_;
  std::vector<std::vector<Hash>> tiles_;                               // [level], unfinished
  std::map<std::pair<int, std::uint64_t>, std::vector<unsigned>> parts_;  // widths of partial files
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gone_;           // (leaf, ordered by)
  std::map<std::uint64_t, std::vector<std::uint64_t>> orders_;          // leaf of shredding → leaves
};

// Names first: what does not belong to this size is a change too.
Status Check::list_files() {
  for (const auto& path : files_below(dir_, "tile")) {
    const auto t = parse_tile_path(path);
    if (!t) return bad_file(path, "does not belong to the log");
    const unsigned there = tile_width_at(t->level, t->n, c_.size);
    if (there == 0 || t->width > there) return bad_file(path, "has leaves that the checkpoint does not count");
    if (t->width < tile_width) parts_[{t->level, t->n}].push_back(t->width);
  }
  if (wanted_.public_part_only) return {};
  const std::uint64_t files = full_tiles(0, c_.size) + (c_.size % tile_width != 0);
  for (const auto& path : files_below(dir_, "private")) {
    const auto n = parse_private_path(path);
    if (!n) return bad_file(path, "does not belong to the log");
    if (*n >= files) return bad_file(path, "has leaves that the checkpoint does not count");
  }
  std::error_code error;
  if (fs::exists(dir_ / "shredding", error)) return bad_file("shredding", "is there: a shredding was cut off; nora audit repair finishes it");
  return {};
}

// The file of this tile and every narrower one beside it.
Status Check::same_file(const TileName& name, ByteView wanted) {
  const auto path = tile_path(name);
  NORA_TRY(const auto text, [&]() -> Result<std::string> {
    auto read = read_file(dir_ / path, wanted.size() + 1);
    if (read) return read;
    return read.error().code == Code::not_found ? bad_file(path, "is missing") : bad_file(path, "does not fit its leaves");
  }());
  if (!std::ranges::equal(as_bytes(text), wanted)) return bad_file(path, "does not fit its leaves");
  const auto narrower = parts_.find({name.level, name.n});
  if (narrower == parts_.end()) return {};
  const std::size_t step = name.level == entries_level ? 34 : 32;  // the entries of this log are 32 bytes
  for (const unsigned width : narrower->second) {
    const auto part = tile_path({name.level, name.n, width});
    const auto read = read_file(dir_ / part, width * step + 1);
    if (!read || !std::ranges::equal(as_bytes(*read), wanted.first(width * step))) return bad_file(part, "does not fit its leaves");
  }
  return {};
}

Status Check::finished(int level, std::uint64_t n, const std::vector<Hash>& hashes) {
  Bytes wanted;
  put_hashes(wanted, hashes);
  return same_file({level, n, static_cast<unsigned>(hashes.size())}, wanted);
}

Status Check::add(int level, std::uint64_t index, const Hash& h) {
  if (tiles_.size() <= static_cast<std::size_t>(level)) tiles_.resize(static_cast<std::size_t>(level) + 1);
  auto& tile = tiles_[static_cast<std::size_t>(level)];
  tile.push_back(h);
  if (tile.size() < tile_width) return {};
  const auto done = std::move(tile);
  tile.clear();
  NORA_CHECK(finished(level, index / tile_width, done));
  return add(level + 1, index / tile_width, merkle_root(done));
}

Status Check::bundle(std::uint64_t n, unsigned width) {
  const std::uint64_t first = n * tile_width;
  const TileName name{entries_level, n, width};
  const auto text = read_file(dir_ / tile_path(name), std::size_t{tile_width} * 34 + 1);
  if (!text) return bad_leaf(first, tile_path(name) + " is missing or too long");
  const auto entries = parse_bundle(as_bytes(*text), width);
  if (!entries) return bad_leaf(first, fmt::format("{}: {}", tile_path(name), entries.error().what));
  for (unsigned i = 0; i < width; ++i)
    if ((*entries)[i].size() != 32) return bad_leaf(first + i, "its length is wrong");
  std::string kept;
  if (!wanted_.public_part_only) {
    auto file = read_file(dir_ / private_path(n), max_private_bytes + (1u << 20));
    if (!file) return bad_leaf(first, private_path(n) + " is missing or cannot be read");
    kept = std::move(*file);
    const auto records = parse_records(as_bytes(kept), width);
    if (!records) return bad_leaf(first, fmt::format("{}: {}", private_path(n), records.error().what));
    for (unsigned i = 0; i < width; ++i) {
      const AuditRecord& r = (*records)[i];
      if (!std::ranges::equal(r.entry, (*entries)[i])) return bad_leaf(first + i, "its record does not fit its entry");
      if (!r.holds()) return bad_leaf(first + i, "its data or salt was changed");
      if (r.shredded) gone_.emplace_back(first + i, r.shredded_by());
      else if (as_text(r.data).find("\"kind\":\"shred\"") != std::string_view::npos) {
        const auto e = audit_entry(first + i, as_text(r.data));
        if (!e || e->kind != shred_kind) continue;  // the words stand in somebody's text
        const auto leaves = shredded_leaves(e->data);
        if (!leaves) return bad_leaf(first + i, leaves.error().what);
        orders_[first + i] = *leaves;
      }
    }
    if (end_of(records->back()) != kept.size()) return bad_leaf(first + width, "there are bytes that the checkpoint does not count");
  }
  NORA_CHECK(same_file(name, as_bytes(*text)));
  for (unsigned i = 0; i < width; ++i) {
    const Hash leaf = merkle_leaf((*entries)[i]);
    edge_.add(leaf);
    if (const auto asked = roots.find(edge_.size()); asked != roots.end()) asked->second = edge_.root();
    NORA_CHECK(add(0, first + i, leaf));
  }
  return {};
}

// Every shredded leaf was ordered by a later one, and every ordered one is gone.
Status Check::shredding() {
  std::map<std::uint64_t, std::uint64_t> by(gone_.begin(), gone_.end());
  for (const auto& [leaf, order] : gone_) {
    const auto found = orders_.find(order);
    if (order <= leaf || found == orders_.end() || std::find(found->second.begin(), found->second.end(), leaf) == found->second.end())
      return bad_leaf(leaf, "its data are gone, and no later leaf ordered that");
  }
  for (const auto& [order, leaves] : orders_)
    for (const std::uint64_t leaf : leaves)
      if (leaf >= order || !by.contains(leaf)) return bad_leaf(leaf, fmt::format("leaf {} ordered it shredded, and it is still there", order));
  return {};
}

Result<AuditReport> Check::run() {
  NORA_CHECK(list_files());
  if (const auto empty = roots.find(0); empty != roots.end()) empty->second = edge_.root();
  const std::uint64_t full = full_tiles(0, c_.size);
  for (std::uint64_t n = 0; n < full; ++n) NORA_CHECK(bundle(n, tile_width));
  if (const auto rest = static_cast<unsigned>(c_.size % tile_width)) NORA_CHECK(bundle(full, rest));
  for (std::size_t level = 0; level < tiles_.size(); ++level)
    if (!tiles_[level].empty()) NORA_CHECK(finished(static_cast<int>(level), full_tiles(static_cast<int>(level), c_.size), tiles_[level]));
  if (edge_.root() != c_.root) return fail(Code::failed, "the leaves do not give the root of the checkpoint");
  NORA_CHECK(shredding());
  return AuditReport{{c_.size, c_.root}, gone_.size(), {}};
}

struct Seen {
  Checkpoint checkpoint;
  std::vector<Cosignature> by;
};

// What others saw of this log: each one signed by it. Cosignatures of witnesses that were not named are left aside.
Result<std::vector<Seen>> what_others_saw(const fs::path& dir, const PublicKey& key, const std::string& origin, const AuditCheck& wanted) {
  std::vector<std::string> notes = wanted.seen;
  for (const auto& path : files_below(dir, "witness")) {
    NORA_TRY(std::string note, read_file(dir / path, max_checkpoint_bytes));
    notes.push_back(std::move(note));
  }
  std::vector<Seen> out;
  for (const auto& note : notes) {
    NORA_TRY(Checkpoint c, open_checkpoint(note, key));
    if (c.origin != origin) return fail(Code::failed, fmt::format("a checkpoint of \"{}\" is not one of \"{}\"", c.origin, origin));
    NORA_TRY(const Note parts, split_note(note));
    if (note_text(parts) != note) return fail(Code::failed, "a checkpoint of a witness is not canonical");
    NORA_TRY(auto by, cosignatures(parts, wanted.witnesses));
    out.push_back({std::move(c), std::move(by)});
  }
  return out;
}

}  // namespace

Result<AuditReport> audit_check(const fs::path& dir, const PublicKey& key, const AuditCheck& wanted) {
  std::error_code error;
  if (!fs::exists(dir / "checkpoint", error)) return fail(Code::failed, fmt::format("there is no audit log in {}", dir.string()));
  NORA_TRY(const AuditLock lock, AuditLock::take(dir, false));
  NORA_TRY(const std::string note, read_file(dir / "checkpoint", max_checkpoint_bytes));
  NORA_TRY(const Checkpoint c, open_own_checkpoint(note, key));
  if (is_old_layout(c)) {
    NORA_CHECK(read_old_log(dir, c, true, [](const Hash&, ByteView, ByteView) -> Status { return {}; }));
    if (wanted.quorum > 0 || !wanted.seen.empty()) return fail(Code::failed, "a log of the first layout has no witnesses", "nora audit repair DIR --key KEY moves it");
    return AuditReport{{c.size, c.root}, 0, {}};
  }
  NORA_TRY(const auto seen, what_others_saw(dir, key, c.origin, wanted));
  Check check(dir, c, wanted);
  for (const auto& s : seen) {
    if (s.checkpoint.size > c.size)
      return fail(Code::failed, fmt::format("the log went back: a state of {} leaves was {}, here are {}", s.checkpoint.size, s.by.empty() ? "signed by it" : "seen by " + s.by[0].witness, c.size));
    check.roots[s.checkpoint.size] = {};
  }
  NORA_TRY(AuditReport report, check.run());
  for (const auto& s : seen) {
    if (check.roots.at(s.checkpoint.size) != s.checkpoint.root)
      return fail(Code::failed, fmt::format("the log was forked: at {} leaves it had another root when {}", s.checkpoint.size, s.by.empty() ? "it signed that" : s.by[0].witness + " saw it"));
    for (const auto& one : s.by) {
      if (wanted.not_before && one.at < *wanted.not_before) continue;
      const auto known = std::find_if(report.cosigned.begin(), report.cosigned.end(), [&](const Cosignature& k) { return k.key_id == one.key_id && k.witness == one.witness; });
      if (known == report.cosigned.end()) report.cosigned.push_back(one);
      else known->at = std::max(known->at, one.at);
    }
  }
  if (report.cosigned.size() < wanted.quorum)
    return fail(Code::refused, fmt::format("{} of {} witnesses that are needed have seen this log", report.cosigned.size(), wanted.quorum),
                "nora audit witness makes a cosignature, nora audit accept keeps it");
  return report;
}

Result<AuditState> audit_verify(const fs::path& dir, const PublicKey& key) {
  NORA_TRY(const auto report, audit_check(dir, key, {}));
  return report.state;
}

}  // namespace nora::law
