#include "survey/permutation.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <vector>

namespace nora::survey {
namespace {

Key key_of(std::uint8_t seed) {
  Key k{};
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = static_cast<std::uint8_t>(seed * 17 + i);
  return k;
}

TEST(SipHash, ReferenceVectors) {  // appendix A of the SipHash paper and its reference table
  Key k{};
  std::uint8_t in[16];
  for (std::size_t i = 0; i < 16; ++i) k[i] = in[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(siphash(k, in, 15), 0xa129ca6149be45e5u);
  EXPECT_EQ(siphash(k, in, 0), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(k, in, 8), 0x93f5f5799a932462u);
}

TEST(Permutation, EveryIndexOnceForEverySmallSize) {
  for (std::uint64_t n = 1; n <= 600; ++n) {
    Permutation p(n, key_of(static_cast<std::uint8_t>(n)));
    std::vector<bool> seen(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      auto x = p.at(i);
      ASSERT_LT(x, n);
      ASSERT_EQ(p.place(x), i);
      ASSERT_FALSE(seen[x]) << "n " << n << " index " << i;
      seen[x] = true;
    }
  }
}

RC_GTEST_PROP(Permutation, EveryIndexOnce, ()) {
  const auto n = *rc::gen::inRange<std::uint64_t>(1, 70'000);
  Permutation p(n, key_of(*rc::gen::arbitrary<std::uint8_t>()));
  std::vector<bool> seen(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    auto x = p.at(i);
    RC_ASSERT(x < n);
    RC_ASSERT(!seen[x]);
    seen[x] = true;
  }
}

TEST(Permutation, LargeSizesStayInRange) {
  for (std::uint64_t n : {std::uint64_t{1} << 32, (std::uint64_t{1} << 40) + 7, (std::uint64_t{1} << 62)}) {
    Permutation p(n, key_of(3));
    for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_LT(p.at(n - 1 - i), n);
  }
}

TEST(Permutation, NeighboursAreScattered) {  // politeness: consecutive probes go to different networks
  Permutation p(256 * 20, key_of(9));
  int same_network = 0;
  for (std::uint64_t i = 1; i < p.size(); ++i) same_network += p.at(i) / 20 / 16 == p.at(i - 1) / 20 / 16;
  EXPECT_LT(same_network, static_cast<int>(p.size()) / 8) << "random would be one in 16";
}

}  // namespace
}  // namespace nora::survey
