// Aggregator: packets in, one record per source and window out. Used by the pcap and live sensors.
// One owner, one thread. Limits: max_sources at once (further ones are counted as overflow, never silently lost), window of 24 h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "net/address_set.h"
#include "sense/source.h"

namespace nora::sense {

// Distinct 64-bit values: exact up to `exact`, then HyperLogLog with 256 registers (standard error 6.5 %).
class Distinct {
 public:
  static constexpr std::size_t exact = 64, registers = 256;
  void add(std::uint64_t hash);
  std::uint64_t count() const;

 private:
  std::vector<std::uint64_t> few_;       // sorted
  std::vector<std::uint8_t> registers_;  // empty while exact
};

struct AggregatorOptions {
  net::AddressSet darknet;        // count only packets to these; empty = all
  net::AddressSet research;       // announced research scanners
  std::size_t max_sources = 1u << 20;
  Span window = Span::hours(24);
};

class Aggregator {
 public:
  static constexpr std::size_t max_ports = 64, max_samples = 8, max_bot_ports = 256;
  explicit Aggregator(AggregatorOptions options) : options_(std::move(options)) {}

  // A packet seen at `at`. A source whose window is over is closed: its record waits in closed().
  void add(const net::Packet& packet, Instant at);
  // Records of all open sources, in order of address; the state is kept.
  std::vector<SourceRecord> open() const;
  // Only those that changed since the last call of changed().
  std::vector<SourceRecord> changed();
  std::vector<SourceRecord> take_closed();

  std::uint64_t packets() const { return packets_; }    // counted ones
  std::uint64_t ignored() const { return ignored_; }    // not IP, or not to the darknet
  std::uint64_t overflow() const { return overflow_; }  // packets of sources beyond max_sources
  std::uint64_t mirai_packets() const { return mirai_packets_; }

 private:
  struct State {
    Tally tally;
    Distinct destinations;
    std::vector<std::uint16_t> ports;                                  // sorted, at most max_ports
    std::vector<std::pair<std::uint16_t, std::uint8_t>> bot_ports;     // source port, Mirai packets (saturating)
    std::vector<Sample> samples;
    Instant first, last;
    bool other_ports = false, dirty = true;
  };
  SourceRecord record(Ip source, const State& state) const;

  AggregatorOptions options_;
  std::unordered_map<Ip, State> sources_;
  std::vector<SourceRecord> closed_;
  std::uint64_t packets_ = 0, ignored_ = 0, overflow_ = 0, mirai_packets_ = 0;
};

}  // namespace nora::sense
