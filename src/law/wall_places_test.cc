// The lookup tables of the XDP wall against a judge that walks the lists one by one.
#include "law/wall_places.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"

namespace nora::law::wall {
namespace {

Net net(bool v4, std::array<std::uint8_t, 16> first, int length) {
  for (int bit = length; bit < 128; ++bit) first[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
  return {v4, first, length, {}};
}

bool holds(const Net& n, bool v4, const std::array<std::uint8_t, 16>& a) {
  if (n.v4 != v4) return false;
  for (int bit = 0; bit < n.length; ++bit)
    if ((n.first[static_cast<std::size_t>(bit / 8)] ^ a[static_cast<std::size_t>(bit / 8)]) & 0x80 >> bit % 8) return false;
  return true;
}

nora_wall_place judge(const Plan& p, const OptOuts& o, bool v4, const std::array<std::uint8_t, 16>& a) {
  const auto in = [&](const std::vector<Net>& list) {
    for (const auto& n : list) if (holds(n, v4, a)) return true;
    return false;
  };
  if (in(o.settled)) return nora_wall_opt_out;
  if (in(o.fresh)) return nora_wall_fresh;
  if (in(p.excludes)) return nora_wall_outside;
  return in(p.ranges) ? nora_wall_range : nora_wall_outside;
}

// The longest prefix that holds the address, as an LPM trie answers.
nora_wall_place longest(const Places6& places, const std::array<std::uint8_t, 16>& a) {
  nora_wall_place out = nora_wall_outside;
  int best = -1;
  for (const auto& [key, place] : places)
    if (key.length > best && holds({false, key.first, key.length, {}}, false, a)) {
      best = key.length;
      out = place;
    }
  return out;
}

TEST(WallPlaces, TheTablesSayWhatTheListsSay) {
  std::mt19937_64 random(11);
  long looked = 0;
  for (int round = 0; round < 400; ++round) {
    Plan plan;
    OptOuts out;
    // Prefixes of every length near to each other, so that they hold each other, and at both ends of the space.
    const auto prefix = [&](bool v4) {
      std::array<std::uint8_t, 16> a{};
      const int kind = static_cast<int>(random() % 8);
      if (kind == 0) a.fill(0xff);
      else if (kind > 1) a = v4 ? std::array<std::uint8_t, 16>{203, static_cast<std::uint8_t>(random() % 2)} : std::array<std::uint8_t, 16>{0x20, 1, 0x0d, 0xb8, 0x10};
      const std::size_t bytes = v4 ? 4 : 16;
      for (std::size_t i = bytes - 2; i < bytes; ++i) if (kind > 1 && random() % 2) a[i] = static_cast<std::uint8_t>(random());
      const int bits = v4 ? 32 : 128;
      return net(v4, a, random() % 4 == 0 ? static_cast<int>(random() % static_cast<std::uint64_t>(bits + 1)) : bits - static_cast<int>(random() % 18));
    };
    for (auto* list : {&plan.ranges, &plan.excludes, &out.fresh, &out.settled})
      for (std::uint64_t i = random() % 12; i > 0; --i) list->push_back(prefix(random() % 2));
    const Places4 four(plan, out);
    const auto six = places6(plan, out);
    const auto look = [&](bool v4, std::array<std::uint8_t, 16> a) {
      ++looked;
      if (v4) ASSERT_EQ(four.place(get_u32be(a.data())), judge(plan, out, true, a)) << "round " << round;
      else ASSERT_EQ(longest(six, a), judge(plan, out, false, a)) << "round " << round;
    };
    for (const auto* list : {&plan.ranges, &plan.excludes, &out.fresh, &out.settled})
      for (const auto& n : *list) {
        // First, last, the one before, the one after, and some inside.
        std::array<std::uint8_t, 16> last = n.first;
        const int bits = n.v4 ? 32 : 128;
        for (int bit = n.length; bit < bits; ++bit) last[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
        const auto step = [&](std::array<std::uint8_t, 16> a, int by) {
          for (int i = bits / 8 - 1; i >= 0; --i) {
            const int v = a[static_cast<std::size_t>(i)] + by;
            a[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(v);
            if (v >= 0 && v < 256) break;
          }
          return a;
        };
        for (const auto& a : {n.first, last, step(n.first, -1), step(last, 1)}) look(n.v4, a);
        for (int i = 0; i < 20; ++i) {
          auto a = n.first;
          for (int bit = n.length; bit < bits; ++bit) if (random() % 2) a[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
          look(n.v4, a);
        }
      }
  }
  EXPECT_GT(looked, 100'000);
}

TEST(WallPlaces, PagesAndLeavesAreUsedAgain) {
  Plan plan;
  for (std::uint8_t i = 0; i < 200; ++i) plan.ranges.push_back({true, {10, 0, i, 128}, 25, {}});
  plan.excludes.push_back({true, {10, 0}, 16, {}});       // covers them all: what they used is free again
  OptOuts out;
  for (std::uint8_t i = 0; i < 200; ++i) out.settled.push_back({true, {10, 1, i, 128}, 25, {}});
  const Places4 places(plan, out);
  EXPECT_EQ(places.pages.size(), 1u);
  EXPECT_EQ(places.leaves.size(), 200u);
  EXPECT_EQ(places.place(0x0a000080), nora_wall_outside);
  EXPECT_EQ(places.place(0x0a010080), nora_wall_opt_out);
  EXPECT_EQ(places.place(0x0a01007f), nora_wall_outside);
}

TEST(WallPlaces, TheWholeSpaceAndItsCorners) {
  Plan plan;
  plan.ranges.push_back({true, {}, 0, {}});
  plan.excludes.push_back({true, {255, 255, 255, 255}, 32, {}});
  OptOuts out;
  out.settled.push_back({true, {}, 32, {}});
  const Places4 places(plan, out);
  EXPECT_EQ(places.place(0), nora_wall_opt_out);
  EXPECT_EQ(places.place(1), nora_wall_range);
  EXPECT_EQ(places.place(0xfffffffe), nora_wall_range);
  EXPECT_EQ(places.place(0xffffffff), nora_wall_outside);
}

}  // namespace
}  // namespace nora::law::wall
