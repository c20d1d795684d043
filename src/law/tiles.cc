#include "law/tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/files.h"

namespace nora::law {
namespace {

constexpr std::size_t max_bundle_bytes = std::size_t{tile_width} * (2 + 65535);

bool digits3(std::string_view s, std::uint64_t& v) {
  return s.size() == 3 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::from_chars(s.data(), s.data() + 3, v).ec == std::errc{};
}
bool plain(std::string_view s, std::uint64_t max, std::uint64_t& v) {
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  return error == std::errc{} && end == s.data() + s.size() && v <= max && std::to_string(v) == s;
}

}  // namespace

std::string number_path(std::uint64_t n) {
  std::string out = fmt::format("{:03}", n % 1000);
  while (n >= 1000) {
    n /= 1000;
    out = fmt::format("x{:03}/", n % 1000) + out;
  }
  return out;
}

std::optional<std::uint64_t> parse_number_path(std::string_view path) {
  std::uint64_t n = 0;
  if (path.size() > 8 * 5) return std::nullopt;
  for (std::string_view rest = path;;) {
    const auto slash = rest.find('/');
    std::uint64_t part = 0;
    const bool last = slash == rest.npos;
    if (last ? !digits3(rest, part) : !(rest.starts_with('x') && digits3(rest.substr(1, slash - 1), part))) return std::nullopt;
    n = n * 1000 + part;
    if (last) break;
    rest.remove_prefix(slash + 1);
  }
  if (number_path(n) != path) return std::nullopt;
  return n;
}

std::string tile_path(const TileName& t) {
  const std::string level = t.level == entries_level ? "entries" : std::to_string(t.level);
  std::string out = fmt::format("tile/{}/{}", level, number_path(t.n));
  if (t.width < tile_width) out += fmt::format(".p/{}", t.width);
  return out;
}

std::optional<TileName> parse_tile_path(std::string_view path) {
  TileName out;
  if (!path.starts_with("tile/")) return std::nullopt;
  path.remove_prefix(5);
  const auto slash = path.find('/');
  if (slash == path.npos) return std::nullopt;
  const auto level = path.substr(0, slash);
  path.remove_prefix(slash + 1);
  std::uint64_t v = 0;
  if (level == "entries") out.level = entries_level;
  else if (plain(level, 63, v)) out.level = static_cast<int>(v);
  else return std::nullopt;
  if (const auto dot = path.find(".p/"); dot != path.npos) {
    if (!plain(path.substr(dot + 3), tile_width - 1, v) || v == 0) return std::nullopt;
    out.width = static_cast<unsigned>(v);
    path = path.substr(0, dot);
  }
  const auto n = parse_number_path(path);
  if (!n) return std::nullopt;
  out.n = *n;
  return out;
}

std::uint64_t full_tiles(int level, std::uint64_t size) {
  const int shift = tile_height * (std::max(level, 0) + 1);
  return shift >= 64 ? 0 : size >> shift;
}

unsigned tile_width_at(int level, std::uint64_t n, std::uint64_t size) {
  const std::uint64_t full = full_tiles(level, size);
  if (n < full) return tile_width;
  const int shift = tile_height * std::max(level, 0);
  return n == full && shift < 64 ? static_cast<unsigned>((size >> shift) % tile_width) : 0;
}

int tile_levels(std::uint64_t size) {
  int levels = 0;
  for (; size > 0; size >>= tile_height) ++levels;
  return levels;
}

Result<std::vector<Hash>> parse_tile(ByteView bytes, unsigned width) {
  if (width > tile_width || bytes.size() != std::size_t{width} * 32)
    return fail(Code::bad_input, fmt::format("a tile of {} hashes has {} bytes", width, bytes.size()));
  std::vector<Hash> out(width);
  for (unsigned i = 0; i < width; ++i) std::memcpy(out[i].data(), bytes.data() + std::size_t{i} * 32, 32);
  return out;
}

Result<std::vector<ByteView>> parse_bundle(ByteView bytes, unsigned width) {
  std::vector<ByteView> out;
  if (width > tile_width) return fail(Code::bad_input, "an entry bundle has at most 256 entries");
  out.reserve(width);
  std::size_t at = 0;
  while (out.size() < width) {
    if (bytes.size() - at < 2) return fail(Code::bad_input, fmt::format("entry {} of the bundle is cut", out.size()));
    const std::size_t length = get_u16be(bytes.data() + at);
    if (bytes.size() - at - 2 < length) return fail(Code::bad_input, fmt::format("entry {} of the bundle is cut", out.size()));
    out.push_back(bytes.subspan(at + 2, length));
    at += 2 + length;
  }
  if (at != bytes.size()) return fail(Code::bad_input, "the bundle has bytes behind its last entry");
  return out;
}

void put_hashes(Bytes& out, std::span<const Hash> hashes) {
  for (const Hash& h : hashes) out.insert(out.end(), h.begin(), h.end());
}
void put_entry(Bytes& out, ByteView entry) {
  put_u16be(out, static_cast<std::uint16_t>(entry.size()));
  out.insert(out.end(), entry.begin(), entry.end());
}

// The file of this width, or the full one that has replaced it meanwhile.
Result<std::string> Tiles::read(int level, std::uint64_t n, unsigned width, std::size_t max_bytes) {
  const TileName name{level, n, width};
  auto text = read_file(dir_ / tile_path(name), max_bytes);
  if (!text && width < tile_width) {
    if (auto full = read_file(dir_ / tile_path({level, n, tile_width}), max_bytes)) return full;
  }
  if (!text && text.error().code == Code::not_found) return fail(Code::failed, fmt::format("{} is missing", tile_path(name)));
  return text;
}

Result<std::vector<Hash>> Tiles::tile(int level, std::uint64_t n, unsigned width) {
  const unsigned there = tile_width_at(level, n, size_);
  if (width > there) return fail(Code::failed, fmt::format("{} is not part of a log of {} leaves", tile_path({level, n, width}), size_));
  if (const auto kept = kept_.find({level, n}); kept != kept_.end() && kept->second.size() >= width)
    return std::vector<Hash>(kept->second.begin(), kept->second.begin() + width);
  NORA_TRY(const std::string text, read(level, n, there, tile_width * 32));
  if (text.size() < std::size_t{there} * 32) return fail(Code::failed, fmt::format("{} is too short", tile_path({level, n, there})));
  NORA_TRY(auto hashes, parse_tile(as_bytes(text).first(std::size_t{there} * 32), there));
  if (kept_.size() >= max_kept_tiles) kept_.clear();
  const auto& kept = kept_[{level, n}] = std::move(hashes);
  return std::vector<Hash>(kept.begin(), kept.begin() + width);
}

Result<Bytes> Tiles::bundle(std::uint64_t n) {
  const unsigned width = tile_width_at(entries_level, n, size_);
  NORA_TRY(const std::string text, read(entries_level, n, width, max_bundle_bytes));
  // The full bundle may have come in place of the partial one: as much of it as this size counts.
  std::size_t at = 0;
  for (unsigned i = 0; i < width; ++i) {
    if (text.size() < at + 2) return fail(Code::failed, fmt::format("{} is too short", tile_path({entries_level, n, width})));
    at += 2 + get_u16be(as_bytes(text).data() + at);
  }
  if (text.size() < at) return fail(Code::failed, fmt::format("{} is too short", tile_path({entries_level, n, width})));
  return Bytes(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at));
}

Result<Hash> Tiles::subtree(int level, std::uint64_t index) {
  const int tile_level = level / tile_height, inner = level % tile_height;
  const std::uint64_t first = index << inner;
  const auto n = first / tile_width;
  const auto from = static_cast<unsigned>(first % tile_width), count = 1u << inner;
  NORA_TRY(const auto hashes, tile(tile_level, n, from + count));
  return merkle_root(std::span(hashes).subspan(from, count));
}

}  // namespace nora::law
