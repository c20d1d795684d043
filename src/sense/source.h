// What one source address did to a sensor: counts, fingerprints, verdict. Used by sense (aggregator, sinks), app, flow.
// Rules: observation of packets to unused addresses; a fingerprint must hold on at least 90 % of a source's SYNs, never on one packet alone.
// Plain data and pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "net/frame.h"

namespace nora::sense {

// What a single packet looks like.
enum Mark : std::uint8_t {
  mark_syn = 1,          // a bare TCP SYN
  mark_mirai = 2,        // SYN whose sequence number is the destination address (mirai scanner.c: tcph->seq = iph->daddr)
  mark_zmap = 4,         // SYN with ip.id 54321 (zmap before 4.1)
  mark_masscan = 8,      // SYN with ip.id = low 16 bits of destination ^ port ^ sequence number
  mark_backscatter = 16  // an answer to somebody who forged our address: SYN-ACK, RST, ICMP 0, 3, 11, UDP from an amplifier's port
};
std::uint8_t marks_of(const net::Packet& packet);

enum class Verdict : std::uint8_t { suspected, confirmed, excluded };
std::string_view name(Verdict verdict);

struct Sample {
  Instant at;
  std::uint16_t source_port = 0, dest_port = 0;
};

// One source over one window of at most 24 h.
struct SourceRecord {
  Ip source;
  Verdict verdict = Verdict::suspected;
  std::string kind;            // mirai, zmap, masscan, scan, backscatter, other
  std::string tool;            // mirai, zmap, masscan or empty
  std::uint64_t packets = 0, syns = 0, destinations = 0;
  std::uint32_t bots = 0;      // distinct source ports with at least 2 Mirai packets: an estimate of bots behind the address, not a fact
  std::vector<std::uint16_t> ports;  // destination ports, sorted, at most max_ports
  std::vector<Sample> samples;       // for the look-up of shared addresses
  Instant first, last;
  std::string why;             // one sentence
};

inline constexpr std::uint32_t least_mirai_packets = 2, least_mirai_destinations = 2;  // rule A
inline constexpr std::uint32_t least_tool_packets = 3;
inline constexpr std::uint32_t least_scan_destinations = 10;                            // rule C
inline constexpr double tool_share = 0.9, backscatter_share = 0.9;
inline constexpr std::uint16_t iot_ports[] = {23, 81, 2323, 5555, 7547, 37215, 52869, 60023};

struct Tally {
  std::uint64_t packets = 0, syns = 0, mirai = 0, zmap = 0, masscan = 0, backscatter = 0, destinations = 0;
  bool only_iot_ports = false;
  bool research = false;       // the address is on the list of announced research scanners
};
struct Judged {
  Verdict verdict;
  std::string kind, tool, why;
};
Judged judge(const Tally& tally);

}  // namespace nora::sense
