// FlagTable: up to eight marks per IPv4 address, from lists of prefixes, in at most three memory reads (a 16-8-8 table).
// Used by law on the send path, where range, exclude, opt-out and social-impact are asked for each probe.
// Immutable after make(); any thread. Memory: 256 KiB, 1 KiB for each /16 and 256 bytes for each /24 that is not uniform.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/ip.h"

namespace nora::net {

class FlagTable {
 public:
  struct Mark {
    std::span<const Prefix> prefixes;  // IPv6 prefixes are passed over
    std::uint8_t flag = 0;             // one bit
  };
  FlagTable() = default;
  static FlagTable make(std::initializer_list<Mark> marks);

  // Flags of the address (host order); 0 outside every prefix.
  std::uint8_t at(std::uint32_t v) const {
    const std::uint32_t top = top_[v >> 16];
    if (top & leaf) return static_cast<std::uint8_t>(top);
    const std::uint32_t middle = middle_[top * 256 + (v >> 8 & 255)];
    if (middle & leaf) return static_cast<std::uint8_t>(middle);
    return low_[middle * 256 + (v & 255)];
  }
  // Asks the processor for the line that at(v) will read last; a hint.
  void prefetch(std::uint32_t v) const {
    const std::uint32_t top = top_[v >> 16];
    if (!(top & leaf)) __builtin_prefetch(&middle_[top * 256 + (v >> 8 & 255)]);
  }
  // As it lies in memory, for a copy elsewhere (law/live_out.h): top has 65,536 entries, the others blocks of 256.
  std::span<const std::uint32_t> top() const { return top_; }
  std::span<const std::uint32_t> middle() const { return middle_; }
  std::span<const std::uint8_t> low() const { return low_; }

 private:
  static constexpr std::uint32_t leaf = 1u << 31;
  void add(std::uint32_t first, std::uint32_t last, std::uint8_t flag);
  std::vector<std::uint32_t> top_ = std::vector<std::uint32_t>(65536, leaf);  // leaf | flags, or the number of a block of middle_
  std::vector<std::uint32_t> middle_;                                        // leaf | flags, or the number of a block of low_
  std::vector<std::uint8_t> low_;
};

}  // namespace nora::net
