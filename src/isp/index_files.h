// The files of the lease index, shared by its reading and its writing side only.
#pragma once

#include <map>

#include "isp/index.h"

namespace nora::isp {

inline constexpr char lookup_magic[8] = {'N', 'O', 'R', 'A', 'L', 'K', 'P', '1'};
inline constexpr char records_magic[8] = {'N', 'O', 'R', 'A', 'R', 'E', 'C', '1'};

struct LookupHeader {
  char magic[8];
  std::uint64_t entries, strings, string_bytes;
  std::uint8_t pad[32];
};
static_assert(sizeof(LookupHeader) == 64);

struct Manifest {
  std::vector<std::string> records;  // names of the record segments
  std::string lookup, lines, mape;   // empty: none
  Instant covered_until;
  std::int64_t record_count = 0, interval_count = 0;
  std::map<std::string, NasClock> clocks;
};

// Errors: not_found (no index), bad_input.
Result<Manifest> read_manifest(const std::filesystem::path& dir);
std::string manifest_text(const Manifest& manifest);
Result<std::unordered_map<std::string, std::string>> load_lines(const std::filesystem::path& dir, const Manifest& manifest);
Result<std::map<std::string, std::vector<MapeRule>>> load_mape(const std::filesystem::path& dir, const Manifest& manifest);
std::string lines_text(const std::unordered_map<std::string, std::string>& lines);
std::string mape_text(const std::map<std::string, std::vector<MapeRule>>& rules);

}  // namespace nora::isp
