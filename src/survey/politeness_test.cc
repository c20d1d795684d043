// Holds and operators' caps: what is left alone, for how long, and how much goes to one operator.
#include <gtest/gtest.h>

#include "survey/holds.h"
#include "survey/operators.h"

namespace nora::survey {
namespace {

Ip ip(std::string_view text) { return *Ip::parse(text); }

TEST(Holds, AreForANetworkAndATime) {
  Holds h;
  auto t = Span::seconds(100);
  EXPECT_EQ(h.wait(ip("203.0.113.7"), t), Span{});
  EXPECT_TRUE(h.set(*Prefix::parse("203.0.113.0/24"), 5000, t));
  EXPECT_EQ(h.wait(ip("203.0.113.7"), t), Span::seconds(5));
  EXPECT_EQ(h.wait(ip("203.0.114.7"), t), Span{});
  EXPECT_EQ(h.wait(ip("203.0.113.7"), t + Span::seconds(5)), Span{});
  EXPECT_TRUE(h.set(*Prefix::parse("203.0.113.0/24"), 1000, t));  // a shorter one does not shorten
  EXPECT_EQ(h.wait(ip("203.0.113.7"), t), Span::seconds(5));
  EXPECT_TRUE(h.set(*Prefix::parse("203.0.113.0/24"), 0, t));
  EXPECT_EQ(h.wait(ip("203.0.113.7"), t), Span{});
  EXPECT_TRUE(h.set(*Prefix::parse("203.0.113.9/32"), -1, t));
  EXPECT_EQ(h.wait(ip("203.0.113.9"), t + Span::days(9)), held_for_good);
  EXPECT_EQ(h.wait(ip("203.0.113.8"), t), Span{});
  EXPECT_TRUE(h.set(*Prefix::parse("2001:db8:1::/48"), -1, t));
  EXPECT_EQ(h.wait(ip("2001:db8:1:2::3"), t), held_for_good);
  EXPECT_FALSE(h.set(*Prefix::parse("203.0.0.0/16"), 1000, t));
}

TEST(Holds, AFullTableForgetsNoLivingHold) {
  Holds h;
  for (std::uint32_t i = 0; i < Holds::max_holds; ++i) ASSERT_TRUE(h.set(Prefix::of(Ip::v4(i << 8), 24), 1000, Span{}));
  EXPECT_FALSE(h.set(*Prefix::parse("203.0.113.0/24"), 1000, Span::ms(999)));
  EXPECT_TRUE(h.set(*Prefix::parse("203.0.113.0/24"), 1000, Span::ms(1001)));
  EXPECT_EQ(h.size(), 1u);
}

TEST(Operators, TheLongestPrefixCountsAndNoSecondHoldsMoreThanTheCap) {
  auto o = Operators::parse(
      "# who\n203.0.113.0/24 Example-Net\n203.0.113.128/25\tOther\r\n2001:db8::/32 Example-Net\ncap Example-Net 200\ncap Other 1\n"
      "198.51.100.0/24 Third\n",
      50);
  ASSERT_TRUE(o) << o.error().text();
  EXPECT_EQ(o->find(ip("203.0.113.5"))->name, "Example-Net");
  EXPECT_EQ(o->find(ip("203.0.113.200"))->name, "Other");
  EXPECT_EQ(o->find(ip("2001:db8::1"))->pps, 200u);
  EXPECT_EQ(o->find(ip("198.51.100.1"))->pps, 50u);
  EXPECT_EQ(o->find(ip("192.0.2.1")), nullptr);
  EXPECT_EQ(o->take(ip("192.0.2.1"), Span{}), Span{});
  for (auto [address, cap] : {std::pair{"203.0.113.5", 200}, std::pair{"203.0.113.200", 1}, std::pair{"198.51.100.1", 50}}) {
    std::vector<std::int64_t> times;
    for (std::int64_t t = 0; t < 5'000'000; t += 500)
      if (o->take(ip(address), Span{t}).us == 0) times.push_back(t);
    std::size_t most = 0;
    for (std::size_t i = 0, from = 0; i < times.size(); ++i) {
      while (times[i] - times[from] >= 1'000'000) ++from;
      most = std::max(most, i - from + 1);
    }
    EXPECT_LE(most, static_cast<std::size_t>(cap)) << address;
    EXPECT_GE(times.size(), static_cast<std::size_t>(cap * 5 * 95 / 100)) << address;
  }
  o->share(30);  // 30 % of 1 packet a second: one in 3.3 s
  int n = 0;
  for (std::int64_t t = 10'000'000; t < 43'000'000; t += 1000) n += o->take(ip("203.0.113.200"), Span{t}).us == 0;
  EXPECT_EQ(n, 10);
}

TEST(Operators, ABadLineIsNamed) {
  for (auto [text, place] : {std::pair{"203.0.113.0/24\n", "line 1"}, std::pair{"\ncap A\n", "line 2"}, std::pair{"cap A x\n", "not a number"},
                             std::pair{"nowhere A\n", "line 1"}, std::pair{"203.0.113.1/24 A\n", "line 1"}}) {
    auto o = Operators::parse(text, 0);
    ASSERT_FALSE(o) << text;
    EXPECT_NE(o.error().text().find(place), std::string::npos) << o.error().text();
  }
}

}  // namespace
}  // namespace nora::survey
