// Judges frames that a survey sent by a reading of the mandate's text of its own: inside or outside, bytes that are no request of the catalogue,
// credentials in any of their forms. Used by `nora scan audit` on captures, and by nora-neighbour wire-count as the witness at the far end of
// the demo's wire. Deliberately naive and sharing no code with src/law: linear search over prefixes, one frame at a time. Single-threaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "survey/catalogue.h"

namespace nora::survey {

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
  std::uint64_t datagrams = 0, datagrams_outside_catalogue = 0, bytes_outside_catalogue = 0;  // where a catalogue was given
  std::map<std::string, std::uint64_t> outside_targets;         // "203.0.113.98 tcp 23" -> frames; at most max_listed
};
inline constexpr std::size_t max_listed = 50;

// Judges one Ethernet frame that the survey sent. With a catalogue: is a datagram one of its requests, and a control probe only where the
// mandate names control systems?
void judge(const MandateReading& mandate, std::span<const std::uint8_t> frame, WireCounts& counts, const Catalogue* catalogue = nullptr);
std::string to_json(const WireCounts& counts);

// A whole capture (Ethernet, whole frames): judges every frame that came from a network card which the survey sends from, whatever address it
// bore. Errors: bad_input (another link type, frames cut short, no probe of the survey: a tap on
// the interface of nora-sender sees none, because it sends past the queueing layer; capture at the other end of the cable).
Result<WireCounts> audit_capture(const std::filesystem::path& pcap, const MandateReading& mandate, const Catalogue& catalogue);

}  // namespace nora::survey
