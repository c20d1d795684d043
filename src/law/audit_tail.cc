#include "law/audit_tail.h"

#include <fmt/format.h>

#include <algorithm>

namespace nora::law {
namespace {

std::unexpected<Error> bad_leaf(std::uint64_t i, std::string_view why) { return fail(Code::failed, fmt::format("leaf {}: {}", i, why)); }

// The unfinished tile of a level as its file has it; nothing when the file is not there or not whole.
std::optional<std::vector<Hash>> stored_tile(const std::filesystem::path& dir, const TileName& name) {
  const auto text = read_file(dir / tile_path(name), tile_width * 32);
  if (!text) return std::nullopt;
  auto hashes = parse_tile(as_bytes(*text), name.width);
  if (!hashes) return std::nullopt;
  return std::move(*hashes);
}

// The same, from the full tiles of the level below, which are synced before a checkpoint counts them.
Result<std::vector<Hash>> tile_from_below(const std::filesystem::path& dir, const TileName& name) {
  std::vector<Hash> out;
  for (unsigned i = 0; i < name.width; ++i) {
    const TileName below{name.level - 1, name.n * tile_width + i, tile_width};
    const auto hashes = stored_tile(dir, below);
    if (!hashes) return fail(Code::failed, fmt::format("{} is missing or too short", tile_path(below)));
    out.push_back(merkle_root(*hashes));
  }
  return out;
}

MerkleEdge edge_of(const std::vector<std::vector<Hash>>& tiles) {
  MerkleEdge edge;
  for (std::size_t level = tiles.size(); level-- > 0;)
    for (const Hash& h : tiles[level]) edge.add_subtree(static_cast<int>(level) * tile_height, h);
  return edge;
}

}  // namespace

Result<AuditTail> load_tail(const std::filesystem::path& dir, const Checkpoint& c, Log& log) {
  AuditTail out;
  const int levels = tile_levels(c.size);
  const auto name = [&](int level) {
    const std::uint64_t n = full_tiles(level, c.size);
    return TileName{level, n, tile_width_at(level, n, c.size)};
  };
  out.tiles.resize(static_cast<std::size_t>(levels));
  const TileName bundle = name(entries_level);
  const std::uint64_t first = bundle.n * tile_width;
  // The records say everything about the last bundle.
  std::string text;
  std::vector<AuditRecord> records;
  if (bundle.width > 0) {
    auto read = read_file(dir / private_path(bundle.n), max_private_bytes + (1u << 20));
    if (!read) return bad_leaf(first, fmt::format("{} cannot be read: {}", private_path(bundle.n), read.error().what));
    text = std::move(*read);
    auto parsed = parse_records(as_bytes(text), bundle.width);
    if (!parsed) return bad_leaf(first, fmt::format("{}: {}", private_path(bundle.n), parsed.error().what));
    records = std::move(*parsed);
    out.private_bytes = end_of(records.back());
  }
  for (const auto& r : records) {
    put_entry(out.entries, r.entry);
    out.tiles[0].push_back(merkle_leaf(r.entry));
  }
  for (int level = 1; level < levels; ++level) {
    const TileName t = name(level);
    if (t.width == 0) continue;
    auto stored = stored_tile(dir, t);
    if (stored) out.tiles[static_cast<std::size_t>(level)] = std::move(*stored);
  }
  out.edge = edge_of(out.tiles);
  if (out.edge.size() != c.size || out.edge.root() != c.root) {
    for (int level = 1; level < levels; ++level) {
      if (const TileName t = name(level); t.width > 0) {
        NORA_TRY(out.tiles[static_cast<std::size_t>(level)], tile_from_below(dir, t));
      }
    }
    out.edge = edge_of(out.tiles);
    if (out.edge.size() != c.size || out.edge.root() != c.root) {
      // Which leaf of the last bundle it is, the public entries tell.
      if (const auto stored = read_file(dir / tile_path(bundle), tile_width * 34)) {
        if (const auto entries = parse_bundle(as_bytes(*stored), bundle.width))
          for (std::size_t i = 0; i < records.size(); ++i)
            if (!std::ranges::equal((*entries)[i], records[i].entry)) return bad_leaf(first + i, "its record does not fit its entry");
      }
      return fail(Code::failed, "its entries do not fit its checkpoint");
    }
  }
  for (std::size_t i = 0; i < records.size(); ++i)
    if (!records[i].holds()) return bad_leaf(first + i, "its data or salt was changed");
  // What the root vouches for now stands in the tiles too.
  const auto settle = [&](const TileName& t, const Bytes& wanted) -> Status {
    if (t.width == 0) return {};
    const auto stored = read_file(dir / tile_path(t), tile_width * 34);
    if (stored && std::ranges::equal(as_bytes(*stored), wanted)) return {};
    log.warn(fmt::format("audit log {}: {} was not whole and is written again from the records", dir.string(), tile_path(t)));
    return write_log_file(dir, tile_path(t), 0, wanted, Durable::yes);
  };
  NORA_CHECK(settle(bundle, out.entries));
  for (int level = 0; level < levels; ++level) {
    Bytes wanted;
    put_hashes(wanted, out.tiles[static_cast<std::size_t>(level)]);
    NORA_CHECK(settle(name(level), wanted));
  }
  return out;
}

// Files are written in order and durably, so what an append left behind begins right at the end and has no gaps: no folder is listed whole.
Status clean_beyond(const std::filesystem::path& dir, const AuditTail& tail) {
  const std::uint64_t size = tail.size();
  std::error_code error;
  constexpr int levels_max = 64 / tile_height;
  for (int level = entries_level; level < levels_max; ++level) {
    for (std::uint64_t n = full_tiles(level, size);; ++n) {
      const auto full = dir / tile_path({level, n, tile_width}), parts = std::filesystem::path(full.string() + ".p");
      const unsigned there = tile_width_at(level, n, size);
      const bool any = std::filesystem::remove(full, error) | std::filesystem::exists(parts, error);
      for (std::filesystem::directory_iterator at(parts, error), end; !error && at != end; at.increment(error)) {
        const auto t = parse_tile_path(at->path().lexically_relative(dir).string());
        if (t && t->width > there) std::filesystem::remove(at->path(), error);
      }
      if (there == 0) std::filesystem::remove(parts, error);  // when it is empty
      if (!any) break;
    }
  }
  const std::uint64_t last = full_tiles(0, size);
  const auto file = dir / private_path(last);
  if (tail.private_bytes > 0 && std::filesystem::file_size(file, error) > tail.private_bytes && !error) NORA_CHECK(cut_log_file(file, tail.private_bytes));
  for (std::uint64_t n = last + (tail.private_bytes > 0); std::filesystem::remove(dir / private_path(n), error); ++n) {}
  for (std::filesystem::directory_iterator at(dir, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with("checkpoint.new.")) std::filesystem::remove(at->path(), error);
  return {};
}

void AuditGrowth::add_hash(std::size_t level, const Hash& h) {
  if (tail_.tiles.size() <= level) tail_.tiles.resize(level + 1);
  tail_.tiles[level].push_back(h);
  if (tail_.tiles[level].size() < tile_width) return;
  const auto done = std::move(tail_.tiles[level]);
  tail_.tiles[level].clear();
  Bytes bytes;
  put_hashes(bytes, done);
  full_.emplace_back(TileName{static_cast<int>(level), (tail_.size() >> (tile_height * static_cast<int>(level + 1))) - 1, tile_width}, std::move(bytes));
  add_hash(level + 1, merkle_root(done));
}

Hash AuditGrowth::add(const Hash& entry, ByteView salt, ByteView data) {
  Bytes record;
  put_record(record, entry, salt, data);
  add_record(entry, record);
  return merkle_leaf(entry);
}

void AuditGrowth::add_record(const Hash& entry, ByteView record) {
  const std::uint64_t n = full_tiles(0, tail_.size());
  if (records_.empty() || records_.back().n != n) records_.push_back({n, tail_.private_bytes, {}});
  records_.back().bytes.insert(records_.back().bytes.end(), record.begin(), record.end());
  tail_.private_bytes += record.size();
  put_entry(tail_.entries, entry);
  const Hash leaf = merkle_leaf(entry);
  tail_.edge.add(leaf);
  if (tail_.size() % tile_width == 0) {
    full_.emplace_back(TileName{entries_level, n, tile_width}, std::move(tail_.entries));
    tail_.entries = {};
    tail_.private_bytes = 0;
  }
  add_hash(0, leaf);
}

Status AuditGrowth::write(const std::filesystem::path& dir) const {
  for (const auto& r : records_) NORA_CHECK(write_log_file(dir, private_path(r.n), r.at, r.bytes, Durable::yes));
  for (const auto& [name, bytes] : full_) NORA_CHECK(write_log_file(dir, tile_path(name), 0, bytes, Durable::yes));
  const std::uint64_t size = tail_.size();
  const auto partial = [&](int level, const Bytes& bytes) -> Status {
    const std::uint64_t n = full_tiles(level, size);
    const TileName name{level, n, tile_width_at(level, n, size)};
    const std::uint64_t before = full_tiles(level, old_.size());
    if (name.width == 0 || (before == n && tile_width_at(level, n, old_.size()) == name.width)) return {};
    return write_log_file(dir, tile_path(name), 0, bytes, Durable::no);
  };
  NORA_CHECK(partial(entries_level, tail_.entries));
  for (std::size_t level = 0; level < tail_.tiles.size(); ++level) {
    Bytes bytes;
    put_hashes(bytes, tail_.tiles[level]);
    NORA_CHECK(partial(static_cast<int>(level), bytes));
  }
  return {};
}

void AuditGrowth::drop_partials(const std::filesystem::path& dir) const {
  std::error_code error;
  for (const auto& [name, bytes] : full_) std::filesystem::remove_all(dir / (tile_path(name) + ".p"), error);
}

}  // namespace nora::law
