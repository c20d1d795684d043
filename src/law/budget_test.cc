#include "law/budget.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "law/test_mandate.h"

namespace nora::law {
namespace {

const Instant start = *Instant::parse("2026-11-25T12:00:00Z");

// Sends to `targets` as fast as the budget lets and returns the largest count in any half-open window of one second.
std::size_t busiest_second(const MandateText& text, const std::vector<Ip>& targets, int packets) {
  const auto m = test_mandate(text);
  Budget budget(text);
  std::deque<Instant> window;
  std::size_t most = 0;
  Instant now = start;
  for (int i = 0; i < packets; ++i) {
    auto permit = m->permit({targets[static_cast<std::size_t>(i) % targets.size()], 80}, *m->probes().find("tcp-syn"), now);
    for (;;) {
      const auto a = budget.take(*permit, now);
      if (a.go()) break;
      if (a.refusal != Refusal::none) return 999'999;
      now = now + a.wait;
    }
    window.push_back(now);
    while (now - window.front() >= Span::seconds(1)) window.pop_front();
    most = std::max(most, window.size());
  }
  return most;
}

TEST(Budget, NoWindowOfOneSecondHoldsMoreThanTheCap) {
  MandateText text = test_text();
  text.probes_per_target_per_day = 100000;
  const std::vector<Ip> one = {*Ip::parse("203.0.113.7")};
  for (const std::uint32_t cap : {1u, 2u, 7u, 20u, 100u, 1000u}) {
    text.rate_per_target_pps = cap;
    text.rate_per_24_pps = text.rate_total_pps = 1'000'000;
    const std::size_t busiest = busiest_second(text, one, 3000);
    EXPECT_LE(busiest, cap);
    EXPECT_GE(busiest * 10, cap * 9u) << "the cap should be used, not only kept";
  }
  std::vector<Ip> net;
  for (std::uint64_t i = 1; i < 60; ++i) net.push_back(Ip::parse("198.51.100.0")->plus(i));
  text.rate_per_target_pps = 1000;
  text.rate_per_24_pps = 200;
  EXPECT_LE(busiest_second(text, net, 3000), 200u);
  std::vector<Ip> nets = net;
  nets.push_back(one[0]);
  text.rate_per_24_pps = 1'000'000;
  text.rate_total_pps = 300;
  EXPECT_LE(busiest_second(text, nets, 3000), 300u);
}

TEST(Budget, TheDailyCapIsKeptAndEndsWithTheDay) {
  MandateText text = test_text();
  text.probes_per_target_per_day = 10;
  const auto m = test_mandate(text);
  const auto& probe = *m->probes().find("tcp-syn");
  Budget budget(text);
  Instant now = start;
  const Target a{*Ip::parse("203.0.113.7"), 80};
  for (int i = 0; i < 10; ++i) {
    now = now + Span::seconds(1);
    ASSERT_TRUE(budget.take(*m->permit(a, probe, now), now).go());
  }
  now = now + Span::seconds(1);
  EXPECT_EQ(budget.take(*m->permit(a, probe, now), now).refusal, Refusal::daily_cap_reached);
  EXPECT_TRUE(budget.take(*m->permit({*Ip::parse("203.0.113.8"), 80}, probe, now), now).go());
  now = *Instant::parse("2026-11-26T00:00:00Z");
  EXPECT_TRUE(budget.take(*m->permit(a, probe, now), now).go());
}

// Against a naive count: random targets at a random pace; no target, no /24 and not the whole ever get more in a second than they may, and
// what is refused a moment is granted later.
TEST(Budget, AgreesWithANaiveCount) {
  MandateText text = test_text();
  text.ranges = {*Prefix::parse("198.51.100.0/24"), *Prefix::parse("203.0.113.0/24")};
  text.social_impact.clear();
  text.excludes.clear();
  text.rate_per_target_pps = 2;
  text.rate_per_24_pps = 60;
  text.rate_total_pps = 90;
  text.probes_per_target_per_day = 60000;
  const auto m = test_mandate(text);
  ASSERT_TRUE(m) << m.error().text();
  SeededRandom random(7);
  Budget budget(text);
  Instant now = start;
  std::map<Ip, std::deque<Instant>> target;
  std::map<bool, std::deque<Instant>> net;
  std::deque<Instant> all;
  int granted = 0;
  for (int i = 0; i < 60'000; ++i) {
    now = now + Span{static_cast<std::int64_t>(random.below(5000))};
    const bool first = random.below(2) == 0;
    const Ip ip = Ip::parse(first ? "203.0.113.0" : "198.51.100.0")->plus(1 + random.below(200));
    const auto permit = m->permit({ip, 80}, *m->probes().find("tcp-syn"), now);
    budget.prefetch(ip);
    if (!permit || !budget.take(*permit, now).go()) continue;
    ++granted;
    const auto count = [&](std::deque<Instant>& w, std::size_t cap) {
      w.push_back(now);
      while (now - w.front() >= Span::seconds(1)) w.pop_front();
      ASSERT_LE(w.size(), cap);
    };
    count(target[ip], 2);
    count(net[first], 60);
    count(all, 90);
  }
  EXPECT_GT(granted, 60'000 / 400 * 50) << "what comes at random and is not asked again uses more than half of 90 a second, for 150 s";
}

}  // namespace
}  // namespace nora::law
