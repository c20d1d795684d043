// The witness at the far end of the wire: counts what really left the wall and judges it by a reading of the mandate's text of its own.
// Deliberately naive and sharing no code with src/law: linear search over prefixes, one frame at a time. Used by nora-neighbour
// wire-count (on the core side of the wall's cable) and by its test. Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nora::neighbourhood {

// Only the lines that say where packets may go.
struct MandateReading {
  struct Block {
    std::vector<std::uint8_t> base;  // 4 or 16 bytes
    int length = 0;
  };
  std::vector<Block> ranges, excludes, social;
  std::set<std::pair<int, int>> ports;  // {6 or 17, port}
  std::vector<std::vector<std::uint8_t>> sources;
  std::vector<std::pair<std::vector<std::uint8_t>, int>> listeners;
  static Result<MandateReading> read(std::string_view text);
};

struct WireCounts {
  std::uint64_t frames = 0, inside = 0, outside = 0;            // frames = all that the wall sent
  std::uint64_t arp = 0, nd = 0, icmp = 0, reset = 0, listener = 0;  // counted apart
  std::uint64_t other = 0;                                      // neither IP nor ARP: also outside
  std::uint64_t credential_bytes = 0;
  std::map<std::string, std::uint64_t> outside_targets;         // "203.0.113.98 tcp 23" -> frames; at most max_listed
};
inline constexpr std::size_t max_listed = 50;

// Judges one Ethernet frame that came from the wall.
void judge(const MandateReading& mandate, std::span<const std::uint8_t> frame, WireCounts& counts);
std::string to_json(const WireCounts& counts);

}  // namespace nora::neighbourhood
