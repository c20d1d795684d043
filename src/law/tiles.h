// Tiles: the public part of a log on disk, as C2SP tlog-tiles has it: tile/<level>/<n>[.p/<width>] with 256 hashes of 32 bytes, and
// tile/entries/<n>[.p/<width>] with the entries behind a uint16 length each. Used by the audit log, its verifier and its proofs.
// Names and readers are pure and total (fuzz/audit_fuzz.cc); Tiles reads files and keeps at most max_kept_tiles. One thread per object.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "law/merkle.h"

namespace nora::law {

inline constexpr int tile_height = 8;
inline constexpr unsigned tile_width = 256;
inline constexpr int entries_level = -1;  // stands for "entries" where a tile level is asked for
inline constexpr std::size_t max_kept_tiles = 1024;

struct TileName {
  int level = 0;  // 0-63, or entries_level
  std::uint64_t n = 0;
  unsigned width = tile_width;  // 1-256; 256: the full tile
  auto operator<=>(const TileName&) const = default;
};
std::string number_path(std::uint64_t n);              // "x001/x234/067"
std::optional<std::uint64_t> parse_number_path(std::string_view path);
std::string tile_path(const TileName& name);           // "tile/0/x001/x234/067.p/12"
std::optional<TileName> parse_tile_path(std::string_view path);

// How wide tile n of a level is in a log of this size: 0 (not there) to 256. entries_level is as wide as level 0.
unsigned tile_width_at(int level, std::uint64_t n, std::uint64_t size);
// Number of full tiles of a level; the tile with this number is the unfinished one.
std::uint64_t full_tiles(int level, std::uint64_t size);
int tile_levels(std::uint64_t size);  // levels that have a tile

Result<std::vector<Hash>> parse_tile(ByteView bytes, unsigned width);       // Errors: bad_input (length)
Result<std::vector<ByteView>> parse_bundle(ByteView bytes, unsigned width);  // views into bytes. Errors: bad_input (cut, or bytes left over)
void put_hashes(Bytes& out, std::span<const Hash> hashes);
void put_entry(Bytes& out, ByteView entry);  // at most 65,535 bytes

// Reads tiles of a log of `size` leaves in `dir`. Full tiles never change, and a partial one is a prefix of what replaces it, so a reader
// needs no lock while the log grows.
class Tiles {
 public:
  Tiles(std::filesystem::path dir, std::uint64_t size) : dir_(std::move(dir)), size_(size) {}
  // The first `width` hashes of a tile. Errors: failed (no such file, too short).
  Result<std::vector<Hash>> tile(int level, std::uint64_t n, unsigned width);
  Result<Bytes> bundle(std::uint64_t n);                     // the entry bundle, as far as this size goes
  Result<Hash> subtree(int level, std::uint64_t index);      // of 2^level leaves, all of them below size
  SubtreeHash source() { return [this](int level, std::uint64_t index) { return subtree(level, index); }; }

 private:
  Result<std::string> read(int level, std::uint64_t n, unsigned width, std::size_t max_bytes);
  std::filesystem::path dir_;
  std::uint64_t size_ = 0;
  std::map<std::pair<int, std::uint64_t>, std::vector<Hash>> kept_;
};

}  // namespace nora::law
