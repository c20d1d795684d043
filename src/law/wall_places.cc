// One place for every address (law/wall_places.h). Lists are painted over each other in the order of their rank.
#include "law/wall_places.h"

#include <algorithm>

#include "base/bytes.h"

namespace nora::law::wall {
namespace {

bool holds(const Key6& outer, const Key6& inner) {
  if (inner.length < outer.length) return false;
  for (int bit = 0; bit < outer.length; bit += 8) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    const int left = std::min(8, outer.length - bit);
    if ((outer.first[byte] ^ inner.first[byte]) >> (8 - left) & 0xff) return false;
  }
  return true;
}

}  // namespace

Places4::Places4(const Plan& plan, const OptOuts& opt_outs) {
  for (const auto& n : plan.ranges) paint(n, nora_wall_range);
  for (const auto& n : plan.excludes) paint(n, nora_wall_outside);
  for (const auto& n : opt_outs.fresh) paint(n, nora_wall_fresh);
  for (const auto& n : opt_outs.settled) paint(n, nora_wall_opt_out);
}

void Places4::forget(std::uint32_t entry) {
  if (entry < nora_wall_places) return;
  free_pages_.push_back(entry - nora_wall_places);
  for (const std::uint32_t e : pages[free_pages_.back()].block)
    if (e >= nora_wall_places) free_leaves_.push_back(e - nora_wall_places);
}

// The page behind an entry, made from what the entry said so far.
std::uint32_t Places4::page_of(std::uint32_t& entry) {
  if (entry >= nora_wall_places) return entry - nora_wall_places;
  if (free_pages_.empty()) {
    free_pages_.push_back(static_cast<std::uint32_t>(pages.size()));
    pages.emplace_back();
  }
  const std::uint32_t number = free_pages_.back();
  free_pages_.pop_back();
  std::fill(std::begin(pages[number].block), std::end(pages[number].block), entry);
  entry = nora_wall_places + number;
  return number;
}

std::uint32_t Places4::leaf_of(std::uint32_t& entry) {
  if (entry >= nora_wall_places) return entry - nora_wall_places;
  if (free_leaves_.empty()) {
    free_leaves_.push_back(static_cast<std::uint32_t>(leaves.size()));
    leaves.emplace_back();
  }
  const std::uint32_t number = free_leaves_.back();
  free_leaves_.pop_back();
  std::fill(std::begin(leaves[number].places), std::end(leaves[number].places), entry * 0x55555555u);  // the same two bits sixteen times
  entry = nora_wall_places + number;
  return number;
}

void Places4::paint(const Net& net, nora_wall_place place) {
  if (!net.v4) return;
  const std::uint32_t first = get_u32be(net.first.data());
  if (net.length <= 16) {
    const std::uint32_t at = first >> 16, n = 1u << (16 - net.length);
    for (std::uint32_t i = at; i < at + n; ++i) {
      forget(top[i]);
      top[i] = place;
    }
    return;
  }
  const std::uint32_t page = page_of(top[first >> 16]);
  if (net.length <= 24) {
    const std::uint32_t at = first >> 8 & 255, n = 1u << (24 - net.length);
    for (std::uint32_t i = at; i < at + n; ++i) {
      std::uint32_t& entry = pages[page].block[i];
      if (entry >= nora_wall_places) free_leaves_.push_back(entry - nora_wall_places);
      entry = place;
    }
    return;
  }
  nora_wall_leaf& leaf = leaves[leaf_of(pages[page].block[first >> 8 & 255])];
  for (std::uint32_t i = first & 255; i < (first & 255) + (1u << (32 - net.length)); ++i) {
    std::uint32_t& word = leaf.places[i >> 4];
    const std::uint32_t shift = 2 * (i & 15);
    word = (word & ~(3u << shift)) | std::uint32_t{place} << shift;
  }
}

nora_wall_place Places4::place(std::uint32_t address) const {
  std::uint32_t e = top[address >> 16];
  if (e >= nora_wall_places) e = pages[e - nora_wall_places].block[address >> 8 & 255];
  if (e >= nora_wall_places) e = leaves[e - nora_wall_places].places[address >> 4 & 15] >> 2 * (address & 15) & 3;
  return static_cast<nora_wall_place>(e);
}

Places6 places6(const Plan& plan, const OptOuts& opt_outs) {
  enum Rank { range, exclude, fresh, settled };
  constexpr nora_wall_place places[] = {nora_wall_range, nora_wall_outside, nora_wall_fresh, nora_wall_opt_out};
  std::map<Key6, Rank> ranks;
  const auto add = [&](const std::vector<Net>& nets, Rank rank) {
    for (const auto& n : nets) {
      if (n.v4) continue;
      const auto at = ranks.try_emplace({n.first, n.length}, rank).first;
      at->second = std::max(at->second, rank);
    }
  };
  add(plan.ranges, range);
  add(plan.excludes, exclude);
  add(opt_outs.fresh, fresh);
  add(opt_outs.settled, settled);
  // In the order of (address, length) a prefix comes after all that hold it: what holds the present one is a stack.
  Places6 out;
  std::vector<std::pair<Key6, Rank>> above;
  for (const auto& [key, own] : ranks) {
    while (!above.empty() && !holds(above.back().first, key)) above.pop_back();
    const Rank rank = above.empty() ? own : std::max(own, above.back().second);
    above.emplace_back(key, rank);
    out[key] = places[rank];
  }
  return out;
}

}  // namespace nora::law::wall
