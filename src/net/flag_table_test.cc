#include "net/flag_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "net/address_set.h"

namespace nora::net {
namespace {

Prefix random_prefix() {
  const int length = *rc::gen::inRange(0, 33);
  // Few upper bits, so that prefixes meet and enclose each other.
  const auto value = *rc::gen::arbitrary<std::uint32_t>() & 0x0301ffffu;
  return Prefix::of(Ip::v4(value), length < 6 ? length + 6 : length);
}

RC_GTEST_PROP(FlagTable, AgreesWithTheSetsItWasMadeOf, ()) {
  std::vector<Prefix> lists[3];
  for (auto& list : lists)
    for (int i = *rc::gen::inRange(0, 12); i > 0; --i) list.push_back(random_prefix());
  const auto table = FlagTable::make({{lists[0], 1}, {lists[1], 2}, {lists[2], 4}});
  const AddressSet sets[3] = {AddressSet::make(lists[0]), AddressSet::make(lists[1]), AddressSet::make(lists[2])};
  std::vector<std::uint32_t> ask = {0, 0xffffffffu};
  for (const auto& list : lists)
    for (const auto& p : list)
      for (const std::uint32_t v : {p.base().v4_value(), p.last().v4_value()})
        for (const std::uint32_t d : {0u, 1u, 0xffffffffu}) ask.push_back(v + d);
  for (int i = 0; i < 50; ++i) ask.push_back(*rc::gen::arbitrary<std::uint32_t>() & 0x0301ffffu);
  for (const std::uint32_t v : ask) {
    table.prefetch(v);
    const unsigned wanted = (sets[0].contains_v4(v) ? 1u : 0u) | (sets[1].contains_v4(v) ? 2u : 0u) | (sets[2].contains_v4(v) ? 4u : 0u);
    RC_ASSERT(table.at(v) == wanted);
  }
}

TEST(FlagTable, TheWholeSpaceAndNothing) {
  const std::vector<Prefix> all = {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("2001:db8::/32")};
  const auto table = FlagTable::make({{all, 128}});
  for (const std::uint32_t v : {0u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_EQ(table.at(v), 128);
    EXPECT_EQ(FlagTable().at(v), 0);
  }
}

}  // namespace
}  // namespace nora::net
