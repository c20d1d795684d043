// AddressSet: which addresses lie in a set of prefixes; AddressMap: the longest prefix that holds an address, with a number.
// Used by law (range, exclude, opt-out on the send path), survey, sense, isp. Immutable after make(); any thread may read.
// Cost: IPv4 contains() is one table look-up by the upper 16 bits and a binary search among the few intervals of that block.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"

namespace nora::net {

class AddressSet {
 public:
  AddressSet() = default;
  static AddressSet make(std::span<const Prefix> prefixes);  // overlaps and duplicates are fine
  bool contains(Ip ip) const;
  bool contains_v4(std::uint32_t host_order) const {  // the send path: the caller has split the families
    if (block_.empty()) return false;
    // The interval that holds v, if any, is the first with last >= v; it lies between the starts of this block and of the next
    // (the next block's first interval may begin in this one, hence + 1).
    const std::uint32_t v = host_order;
    std::size_t low = block_[v >> 16], count = block_[(v >> 16) + 1] + 1 - low;
    if (low + count > v4_.size()) count = v4_.size() - low;
    while (count > 0) {
      const std::size_t half = count / 2;
      const bool right = v4_[low + half].last < v;
      low = right ? low + half + 1 : low;
      count = right ? count - half - 1 : half;
    }
    return low < v4_.size() && v4_[low].first <= v;
  }
  bool empty() const { return v4_.empty() && v6_.empty(); }
  std::size_t intervals() const { return v4_.size() + v6_.size(); }

 private:
  struct Interval4 {
    std::uint32_t first, last;
  };
  struct Key6 {
    std::uint64_t high, low;
    auto operator<=>(const Key6&) const = default;
  };
  struct Interval6 {
    Key6 first, last;
  };
  static Key6 key(Ip ip);
  std::vector<Interval4> v4_;             // sorted, disjoint
  std::vector<std::uint32_t> block_;      // [upper 16 bits] -> first interval whose last >= block start; 65537 entries, or empty
  std::vector<Interval6> v6_;             // sorted, disjoint
};

class AddressMap {
 public:
  struct Entry {
    Prefix prefix;
    std::uint32_t value = 0;
  };
  static AddressMap make(std::vector<Entry> entries);  // of equal prefixes the last one counts
  std::optional<Entry> find(Ip ip) const;              // longest match

 private:
  std::vector<Entry> sorted_;               // by (base, length)
  std::vector<std::int32_t> parent_;        // the entry that encloses this one, or -1
};

}  // namespace nora::net
