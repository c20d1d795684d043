// AddressSet and AddressMap (net/address_set.h).
#include "net/address_set.h"

#include <algorithm>

namespace nora::net {
namespace {
constexpr std::size_t blocks = 65536;
}

AddressSet::Key6 AddressSet::key(Ip ip) {
  const auto& b = ip.bytes();
  Key6 k{0, 0};
  for (int i = 0; i < 8; ++i) k.high = k.high << 8 | b[static_cast<std::size_t>(i)];
  for (int i = 8; i < 16; ++i) k.low = k.low << 8 | b[static_cast<std::size_t>(i)];
  return k;
}

AddressSet AddressSet::make(std::span<const Prefix> prefixes) {
  AddressSet set;
  std::vector<Interval4> v4;
  std::vector<Interval6> v6;
  for (const Prefix& p : prefixes) {
    if (p.is_v4()) v4.push_back({p.base().v4_value(), p.last().v4_value()});
    else v6.push_back({key(p.base()), key(p.last())});
  }
  std::sort(v4.begin(), v4.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::sort(v6.begin(), v6.end(), [](auto& a, auto& b) { return a.first < b.first; });
  for (const auto& i : v4) {
    if (!set.v4_.empty() && i.first <= set.v4_.back().last) set.v4_.back().last = std::max(set.v4_.back().last, i.last);
    else set.v4_.push_back(i);
  }
  for (const auto& i : v6) {
    if (!set.v6_.empty() && i.first <= set.v6_.back().last) set.v6_.back().last = std::max(set.v6_.back().last, i.last);
    else set.v6_.push_back(i);
  }
  if (!set.v4_.empty()) {
    set.block_.resize(blocks + 1);
    std::size_t at = 0;
    for (std::size_t block = 0; block < blocks; ++block) {
      const auto start = static_cast<std::uint32_t>(block << 16);
      while (at < set.v4_.size() && set.v4_[at].last < start) ++at;
      set.block_[block] = static_cast<std::uint32_t>(at);
    }
    set.block_[blocks] = static_cast<std::uint32_t>(set.v4_.size());
  }
  return set;
}

bool AddressSet::contains(Ip ip) const {
  if (ip.is_v4()) return contains_v4(ip.v4_value());
  if (v6_.empty()) return false;
  const Key6 k = key(ip);
  const auto it = std::lower_bound(v6_.begin(), v6_.end(), k, [](const Interval6& i, const Key6& x) { return i.last < x; });
  return it != v6_.end() && it->first <= k;
}

// Families apart: in the 128-bit order ::/0 would enclose the IPv4 entries, which it does not hold.
static bool before(const AddressMap::Entry& a, bool v4, const Prefix& b) {
  return a.prefix.is_v4() != v4 ? v4 : a.prefix < b;
}

AddressMap AddressMap::make(std::vector<Entry> entries) {
  AddressMap map;
  std::vector<std::size_t> order(entries.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    const Entry &a = entries[i], &b = entries[j];
    return a.prefix == b.prefix ? i < j : before(a, b.prefix.is_v4(), b.prefix);
  });
  for (const std::size_t i : order) {
    const Entry& e = entries[i];
    if (!map.sorted_.empty() && map.sorted_.back().prefix == e.prefix) map.sorted_.back() = e;
    else map.sorted_.push_back(e);
  }
  map.parent_.resize(map.sorted_.size(), -1);
  std::vector<std::int32_t> open;  // enclosing prefixes of the current one, outermost first
  for (std::size_t i = 0; i < map.sorted_.size(); ++i) {
    while (!open.empty() && !map.sorted_[static_cast<std::size_t>(open.back())].prefix.contains(map.sorted_[i].prefix)) open.pop_back();
    map.parent_[i] = open.empty() ? -1 : open.back();
    open.push_back(static_cast<std::int32_t>(i));
  }
  return map;
}

std::optional<AddressMap::Entry> AddressMap::find(Ip ip) const {
  // The last entry whose base is <= ip; every prefix that holds ip is that entry or one that encloses it.
  const bool v4 = ip.is_v4();
  auto it = std::upper_bound(sorted_.begin(), sorted_.end(), ip, [v4](const Ip& x, const Entry& e) {
    return e.prefix.is_v4() != v4 ? !v4 : x < e.prefix.base();
  });
  if (it == sorted_.begin()) return std::nullopt;
  for (auto i = static_cast<std::int32_t>(it - sorted_.begin()) - 1; i >= 0; i = parent_[static_cast<std::size_t>(i)])
    if (sorted_[static_cast<std::size_t>(i)].prefix.contains(ip)) return sorted_[static_cast<std::size_t>(i)];
  return std::nullopt;
}

}  // namespace nora::net
