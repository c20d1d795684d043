#include "base/ip.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora {
namespace {

TEST(Ip, StrictTexts) {
  EXPECT_EQ(Ip::parse("203.0.113.7")->text(), "203.0.113.7");
  EXPECT_EQ(Ip::parse("2001:DB8::0:1")->text(), "2001:db8::1");
  EXPECT_EQ(*Ip::parse("::ffff:203.0.113.7"), *Ip::parse("203.0.113.7"));
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "0177.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.+4", "1.2.3.4/32", "fe80::1%eth0", ":", "1::2::3",
                          "192.030.0.6", "1.2.3.", "0x7f.0.0.1"}) {
    EXPECT_FALSE(Ip::parse(bad).has_value()) << bad;
  }
  EXPECT_FALSE(Ip::parse(std::string("::1\0", 4)).has_value());
}

TEST(Ip, PlusWrapsAcrossBytes) {
  EXPECT_EQ(Ip::parse("203.0.113.255")->plus(1).text(), "203.0.114.0");
  EXPECT_EQ(Ip::parse("2001:db8::ffff:ffff:ffff:ffff")->plus(1).text(), "2001:db8:0:1::");
}

RC_GTEST_PROP(IpProperty, TextIsReadBack, (std::array<std::uint8_t, 16> bytes, bool v4)) {
  const Ip ip = v4 ? Ip::v4(get_u32be(bytes.data())) : Ip::v6(bytes);
  RC_ASSERT(*Ip::parse(ip.text()) == ip);
}

// The oracle compares bit strings character by character.
std::string bits(const Ip& ip) {
  std::string out;
  const auto& b = ip.bytes();
  for (int i = ip.is_v4() ? 12 : 0; i < 16; ++i) for (int k = 7; k >= 0; --k) out += (b[i] >> k & 1) ? '1' : '0';
  return out;
}

RC_GTEST_PROP(PrefixProperty, ContainsAgreesWithABitString, ()) {
  const bool v4 = *rc::gen::arbitrary<bool>();
  const auto make = [&] {
    auto bytes = *rc::gen::arbitrary<std::array<std::uint8_t, 16>>();
    if (*rc::gen::arbitrary<bool>()) bytes[12] = bytes[13] = 0;  // near neighbours are likely to differ late
    return v4 ? Ip::v4(get_u32be(bytes.data() + 12)) : Ip::v6(bytes);
  };
  const Ip base = make();
  const int length = *rc::gen::inRange(0, (v4 ? 32 : 128) + 1);
  const Prefix p = Prefix::of(base, length);
  const Ip ip = *rc::gen::arbitrary<bool>() ? make() : p.base().plus(*rc::gen::inRange<std::uint64_t>(0, 300));
  const bool expected = ip.is_v4() == base.is_v4() && bits(ip).substr(0, length) == bits(base).substr(0, length);
  RC_ASSERT(p.contains(ip) == expected);
  RC_ASSERT(p.contains(p.base()));
  RC_ASSERT(p.contains(p.last()));
  RC_ASSERT(*Prefix::parse(p.text()) == p);
  if (length > 0) RC_ASSERT(!p.contains(p.last().plus(1)) || p.last().plus(1).is_v4() != v4);
}

TEST(Prefix, HostBitsAreNamedWithTheFix) {
  const auto p = Prefix::parse("203.0.113.7/24");
  ASSERT_FALSE(p.has_value());
  EXPECT_EQ(p.error().fix, "write 203.0.113.0/24");
  EXPECT_FALSE(Prefix::parse("203.0.113.0/33").has_value());
  EXPECT_FALSE(Prefix::parse("203.0.113.0/024").has_value());
  EXPECT_FALSE(Prefix::parse("203.0.113.0/").has_value());
  EXPECT_EQ(Prefix::parse("203.0.113.7")->size(), 1u);
  EXPECT_EQ(Prefix::parse("0.0.0.0/0")->size(), std::uint64_t{1} << 32);
  EXPECT_EQ(Prefix::parse("::/0")->size(), ~std::uint64_t{0});
}

TEST(Port, Range) {
  EXPECT_EQ(parse_port("65535")->value, 65535);
  for (const char* bad : {"0", "65536", "-1", "", "080", "80 ", "+80"}) EXPECT_FALSE(parse_port(bad).has_value()) << bad;
}

}  // namespace
}  // namespace nora
