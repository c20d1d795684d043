#include "net/address_set.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora::net {
namespace {

// Prefixes and addresses drawn from few bits, so that they meet often; edges 0.0.0.0/0, /1, /31, /32 come up.
Prefix some_prefix() {
  const bool v4 = *rc::gen::arbitrary<bool>();
  if (v4) {
    const int length = *rc::gen::element(0, 1, 2, 8, 15, 16, 17, 23, 24, 25, 30, 31, 32);
    return Prefix::of(Ip::v4(*rc::gen::element(0x00000000u, 0x80000000u, 0xffffffffu, 0xc6336400u, 0xcb007100u, 0xcb00ffffu, 0xcb010000u) +
                             *rc::gen::inRange(0u, 600u)), length);
  }
  std::array<std::uint8_t, 16> b{0x20, 0x01, 0x0d, 0xb8};
  b[7] = *rc::gen::inRange<std::uint8_t>(0, 4);
  b[15] = *rc::gen::inRange<std::uint8_t>(0, 20);
  return Prefix::of(Ip::v6(b), *rc::gen::element(0, 1, 32, 36, 62, 63, 64, 65, 124, 127, 128));
}
std::vector<Prefix> some_prefixes(std::size_t max) {
  std::vector<Prefix> out(*rc::gen::inRange<std::size_t>(0, max));
  for (auto& p : out) p = some_prefix();
  return out;
}
Ip near(const std::vector<Prefix>& prefixes) {
  if (prefixes.empty() || *rc::gen::inRange(0, 4) == 0) return some_prefix().base();
  const Prefix p = prefixes[*rc::gen::inRange<std::size_t>(0, prefixes.size())];
  switch (*rc::gen::inRange(0, 4)) {
    case 0: return p.base();
    case 1: return p.last();
    case 2: return p.last().plus(1);
    default: return p.base().plus(*rc::gen::inRange(0u, 300u));
  }
}

RC_GTEST_PROP(AddressSet, ContainsAsTheNaiveOracleSays, ()) {
  const auto prefixes = some_prefixes(64);
  const auto set = AddressSet::make(prefixes);
  for (int i = 0; i < 40; ++i) {
    const Ip ip = near(prefixes);
    bool expected = false;
    for (const auto& p : prefixes) expected = expected || p.contains(ip);
    RC_ASSERT(set.contains(ip) == expected);
  }
}

RC_GTEST_PROP(AddressMap, FindsTheLongestAsTheNaiveOracleSays, ()) {
  const auto prefixes = some_prefixes(64);
  std::vector<AddressMap::Entry> entries;
  for (std::size_t i = 0; i < prefixes.size(); ++i) entries.push_back({prefixes[i], static_cast<std::uint32_t>(i)});
  const auto map = AddressMap::make(entries);
  for (int i = 0; i < 40; ++i) {
    const Ip ip = near(prefixes);
    std::optional<AddressMap::Entry> expected;
    for (const auto& e : entries)
      if (e.prefix.contains(ip) && (!expected || e.prefix.length() >= expected->prefix.length())) expected = e;
    const auto got = map.find(ip);
    RC_ASSERT(got.has_value() == expected.has_value());
    if (got) RC_ASSERT(got->prefix == expected->prefix && got->value == expected->value);
  }
}

TEST(AddressSet, EmptyHoldsNothing) {
  EXPECT_FALSE(AddressSet().contains(Ip::v4(0)));
  EXPECT_FALSE(AddressSet::make({}).contains(*Ip::parse("::1")));
}

}  // namespace
}  // namespace nora::net
