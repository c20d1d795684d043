// Parts of the engine that need no wire: the set of answers, what is in doubt after a crash, back-off, middleboxes, the loss and its interval.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/env.h"
#include "survey/answered.h"
#include "survey/back_off.h"
#include "survey/clock_state.h"
#include "survey/doubt.h"
#include "survey/estimate.h"
#include "survey/loss.h"
#include "survey/middlebox.h"
#include "survey/rates.h"
#include "survey/record.h"
#include "survey/test_plan.h"

namespace nora::survey {
namespace {

struct Dir {
  std::filesystem::path path;
  Dir() {
    char name[] = "/tmp/nora-parts-XXXXXX";
    path = mkdtemp(name);
  }
  ~Dir() { std::filesystem::remove_all(path); }
};

TEST(IndexSet, IsASetWhateverItsDensity) {
  SeededRandom random(11);
  for (std::uint64_t span : {100ull, 70'000ull, 10'000'000'000ull}) {
    IndexSet set;
    std::set<std::uint64_t> truth;
    for (int i = 0; i < 60'000; ++i) {
      auto x = random.below(span);
      if (random.below(5) == 0) {
        EXPECT_EQ(set.erase(x), truth.erase(x) == 1);
      } else {
        EXPECT_EQ(set.insert(x), truth.insert(x).second);
      }
      EXPECT_EQ(set.contains(x + 1), truth.contains(x + 1));
    }
    EXPECT_EQ(set.size(), truth.size());
    for (auto x : truth) ASSERT_TRUE(set.contains(x));
  }
  IndexSet full;
  for (std::uint64_t i = 0; i < 1u << 18; ++i) full.insert(i);
  EXPECT_EQ(full.size(), 1u << 18);
  EXPECT_LT(full.bytes(), 40'000u);
}

TEST(Answered, OutlivesTheProcessButNotACutEntry) {
  Dir dir;
  {
    auto a = Answered::open(dir.path);
    ASSERT_TRUE(a);
    for (std::uint64_t i = 0; i < 300'000; ++i) {
      EXPECT_TRUE(a->insert(i * 3));
      if (i != 5) a->keep(i * 3);
    }
    a->forget_for_good(30);
    ASSERT_TRUE(a->flush(true));
  }
  std::ofstream(dir.path / "answered.bin", std::ios::app) << "abc";
  auto a = Answered::open(dir.path);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->size(), 299'998u);
  EXPECT_TRUE(a->contains(3));
  EXPECT_FALSE(a->contains(15)) << "what it said was not in the spool yet";
  EXPECT_FALSE(a->contains(30)) << "forgotten";
  EXPECT_EQ(std::filesystem::file_size(dir.path / "answered.bin") % 8, 0u);
}

TEST(Doubt, OrdersAreFewAndExact) {
  SeededRandom random(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> places;
    for (std::uint64_t at = 0; places.size() < 60'000;) {
      at += 1 + random.below(3);
      for (auto n = random.below(8) == 0 ? random.below(20'000) : random.below(5); n > 0; --n) places.push_back(at++);
    }
    std::vector<std::uint64_t> back;
    for (const auto& o : orders_of(places)) {
      EXPECT_LE(o.places.size(), max_order_places);
      if (o.places.empty()) {
        EXPECT_GT(o.to - o.from, max_order_places);
        for (auto i = o.from; i < o.to; ++i) back.push_back(i);
      } else {
        back.insert(back.end(), o.places.begin(), o.places.end());
      }
    }
    std::sort(back.begin(), back.end());
    EXPECT_EQ(back, places);
  }
  EXPECT_TRUE(orders_of({}).empty());
}

// A segment of which some probes were sent long ago, some just now (answered or not), and some never.
TEST(Doubt, OnlyWhatMayBeUnheardIsAskedAgain) {
  Dir dir;
  TestPlan t;
  Plan plan;
  plan.space = t.space;
  plan.answer_window_ms = 1000;
  plan.segment_size = 200;
  Permutation permutation(plan.space.size(), plan.order);
  std::vector<std::string> ids;
  for (const auto& p : t.mandate.probes().all()) ids.push_back(p.id);
  auto answered = Answered::open(dir.path);
  Instant heard = Instant::seconds(1'795'600'000);
  Bytes records;
  std::set<std::uint64_t> settled, again, never;
  for (std::uint64_t place = 200; place < 400; ++place) {
    auto index = permutation.at(place);
    auto point = plan.space.at(index);
    auto at = heard - Span::ms(4000 - static_cast<std::int64_t>(place) * 10);  // 2 s before up to just now
    if (place % 7 == 0) {
      never.insert(place);
      continue;
    }
    put(records, {at, plan.space.record_address(point.ip), point.slot->port, t.mandate.probes().find(point.slot->probe)->index});
    if (place % 3 == 0) answered->insert(index);
    if (place % 3 == 0 || at + Span::seconds(1) <= heard) settled.insert(place);
    else again.insert(place);
  }
  auto file = dir.path / "1.bin";
  std::ofstream(file, std::ios::binary) << to_string(records) << "half a record";
  auto d = doubt(plan, permutation, ids, file, {200, 400, false, heard, 1000}, *answered);
  ASSERT_TRUE(d) << d.error().text();
  EXPECT_EQ(std::filesystem::file_size(file), records.size()) << "the cut record is gone";
  std::set<std::uint64_t> want = again;
  want.insert(never.begin(), never.end());
  EXPECT_EQ(std::set<std::uint64_t>(d->places.begin(), d->places.end()), want);
  EXPECT_EQ(d->again, again.size());
  EXPECT_EQ(d->unheard, 0u);
  ASSERT_GT(again.size(), 20u);
  // The sender had finished: what has no record was refused.
  EXPECT_EQ(doubt(plan, permutation, ids, file, {200, 400, true, heard, 1000}, *answered)->places.size(), again.size());
  // Not more than a segment goes out twice; the rest may be lost, and is counted.
  d = doubt(plan, permutation, ids, file, {200, 400, true, heard, 20}, *answered);
  EXPECT_EQ(d->again, 20u);
  EXPECT_EQ(d->unheard, again.size() - 20);
  EXPECT_EQ(doubt(plan, permutation, ids, dir.path / "none.bin", {200, 400, false, heard, 0}, *answered)->places.size(), 200u);
}

TEST(BackOff, AStormIsAJumpNotAHabit) {
  BackOff calm;
  auto ip = *Ip::parse("203.0.113.7");
  double probes = 0;
  for (int i = 0; i < 5000; ++i) EXPECT_FALSE(calm.answered(ip, true, probes += 1, Span::ms(i * 10))) << "a network that always resets";
  BackOff b;
  probes = 0;
  Span t{};
  auto quiet = [&](int n) {  // a fifth of the probes is answered, half of that by RST
    for (int i = 0; i < n; ++i) {
      probes += 5;
      t = t + Span::ms(50);
      EXPECT_FALSE(b.answered(ip, i % 2 == 0, probes, t)) << i;
    }
  };
  quiet(200);
  Span held = Span::seconds(30);
  for (int storm = 1; storm <= BackOff::storms_until_stop; ++storm) {
    std::optional<BackOff::Decision> d;
    int n = 0;
    for (; n < 200 && !d; ++n) d = b.answered(ip, true, probes += 1, t = t + Span::ms(10));  // everything is reset
    ASSERT_TRUE(d) << storm;
    EXPECT_LT(n, 80) << "not seen for long";
    EXPECT_EQ(d->prefix.text(), "203.0.113.0/24");
    if (storm == BackOff::storms_until_stop) {
      EXPECT_LT(d->for_ms, 0);
      break;
    }
    EXPECT_EQ(d->for_ms, held.us / 1000);
    t = t + held;
    held = held + held;
    quiet(100);
  }
  EXPECT_TRUE(b.events().begin()->second.for_good);
  EXPECT_FALSE(b.answered(*Ip::parse("203.0.114.7"), true, 1, t)) << "its neighbour is not meant";
}

TEST(BackOff, AProhibitionStopsARoutersNetworkOrAHost) {
  auto ip = [](std::string_view s) { return *Ip::parse(s); };
  BackOff b;
  auto d = b.prohibited(ip("203.0.113.7"), ip("192.0.2.254"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->prefix.text(), "203.0.113.0/24");
  EXPECT_LT(d->for_ms, 0);
  EXPECT_FALSE(b.prohibited(ip("203.0.113.8"), ip("192.0.2.254"))) << "once";
  d = b.prohibited(ip("198.51.100.1"), ip("198.51.100.1"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->prefix.text(), "198.51.100.1/32") << "one host speaks for itself";
  EXPECT_FALSE(b.prohibited(ip("198.51.100.1"), ip("198.51.100.1")));
  EXPECT_EQ(b.prohibited(ip("198.51.100.2"), ip("198.51.100.2"))->prefix.length(), 32);
  EXPECT_EQ(b.prohibited(ip("198.51.100.3"), ip("198.51.100.3"))->prefix.text(), "198.51.100.0/24");
}

TEST(Middleboxes, AWholeNetworkThatAcceptsAndSaysNothingIsOneAnomaly) {
  SeededRandom random(9);
  constexpr int ports = 8;
  Middleboxes m(ports, [](const Prefix&) { return 256.0; });
  std::vector<int> order;
  for (int i = 0; i < 256 * ports; ++i) order.push_back(i);
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.below(i + 1)]);
  int anomalies = 0, talks = 0, refused = 0;
  std::vector<Ip> open;
  for (std::size_t i = 0; i < order.size(); ++i) {
    auto ip = Ip::v4(0xcb007100u + static_cast<std::uint32_t>(order[i] / ports));
    if (m.accepted(ip, 64, 1024, static_cast<double>(i + 1) / static_cast<double>(order.size()))) ++anomalies;
    if (m.may(ip) == Middleboxes::May::talk) {
      m.begun(ip);
      ++talks;
      if (auto a = m.over(ip, false)) {
        ++anomalies;
        EXPECT_EQ(a->what.text(), "203.0.113.0/24");
      }
    } else {
      ++refused;
    }
  }
  EXPECT_EQ(anomalies, 1);
  EXPECT_LT(talks, 40);
  EXPECT_GT(refused, 2000);
  EXPECT_TRUE(m.convicted(Ip::v4(0xcb0071ffu)));
  EXPECT_FALSE(m.convicted(Ip::v4(0xcb0072ffu)));
}

TEST(Middleboxes, OneAnswerWithDataClears) {
  Middleboxes m(2, [](const Prefix&) { return 64.0; });
  int told = 0;
  for (std::uint32_t i = 0; i < 64; ++i)
    for (int port = 0; port < 2; ++port) told += m.accepted(Ip::v4(0xcb007100u + i), 64, 65160, (i + 1) / 64.0).has_value();
  EXPECT_EQ(told, 0);
  int talks = 0;
  while (m.may(Ip::v4(0xcb007100u + static_cast<std::uint32_t>(talks % 64))) == Middleboxes::May::talk && talks < 20) m.begun(Ip::v4(0xcb007100u + static_cast<std::uint32_t>(talks++ % 64)));
  EXPECT_EQ(talks, Middleboxes::talks_network) << "suspected: a few conversations decide, the others wait";
  EXPECT_FALSE(m.over(Ip::v4(0xcb007100u), true));
  EXPECT_EQ(m.may(Ip::v4(0xcb007130u)), Middleboxes::May::talk);
  EXPECT_EQ(m.count(), 0);
}

TEST(Middleboxes, AnAddressWithAllPortsOpen) {
  Middleboxes m(30, [](const Prefix&) { return 256.0; });
  auto ip = *Ip::parse("203.0.113.7"), honest = *Ip::parse("203.0.113.8");
  std::optional<Middleboxes::Anomaly> a;
  for (int port = 0; port < 30; ++port) {
    double sent = (port + 1) / 30.0;
    if (auto x = m.accepted(ip, 64, 100, sent)) a = x;
    if (port % 6 == 0) {  // five open ports: a device
      EXPECT_FALSE(m.accepted(honest, 64, 100, sent));
    }
    if (port < 3) {
      m.begun(ip);
      if (auto x = m.over(ip, false)) a = x;
      m.begun(honest);
      EXPECT_FALSE(m.over(honest, false));
    }
  }
  ASSERT_TRUE(a);
  EXPECT_EQ(a->what.text(), "203.0.113.7/32");
  EXPECT_EQ(m.may(ip), Middleboxes::May::never);
  EXPECT_EQ(m.may(honest), Middleboxes::May::talk);
}

// 400 surveys each: the interval must hold the true loss of the first pass in at least 90 % (it is a 95 % interval).
TEST(Loss, TheIntervalHoldsTheTruth) {
  SeededRandom random(2026);
  auto lost = [&](double p) { return static_cast<double>(random.below(1'000'000)) < p * 1e6; };
  for (double p : {0.0, 0.01, 0.05, 0.2, 0.5}) {
    int held = 0, held_again = 0, counted = 0, population = 0;
    constexpr int surveys = 400, hosts = 20'000;
    for (int s = 0; s < surveys; ++s) {
      int first_missed = 0;
      Recapture r;
      Repeat again;
      for (int h = 0; h < hosts; ++h) {
        bool first = !lost(p);
        first_missed += !first;
        if (h < 1000) {  // in the sample
          ++r.sample;
          bool second = !lost(p);
          r.first += first;
          r.second += second;
          r.both += first && second;
        } else if (first && again.asked < 200) {
          ++again.asked;
          again.missed += lost(p);
        }
      }
      double truth = static_cast<double>(first_missed) / hosts;
      auto [low, high] = wilson(r.loss().missed, r.loss().asked);
      held += low <= truth && truth <= high;
      auto [low2, high2] = wilson(again.missed, again.asked);
      held_again += low2 <= truth && truth <= high2;
      auto [n_low, n_high] = r.population_interval();
      population += n_low <= 1000.5 && 999.5 <= n_high;
      ++counted;
      EXPECT_NEAR(r.population(), 1000, 120) << p;
    }
    EXPECT_GE(held, counted * 9 / 10) << "loss " << p;
    EXPECT_GE(held_again, counted * 9 / 10) << "loss " << p;
    EXPECT_GE(population, counted * 9 / 10) << "loss " << p;
  }
}

TEST(Loss, TheBestMeasureIsNamed) {
  Loss l;
  EXPECT_EQ(l.best().second, "");
  l.canary = {10, 1};
  EXPECT_EQ(l.best().second, "canary");
  l.again = {200, 4};
  EXPECT_EQ(l.best().second, "again");
  l.recapture = {1000, 90, 95, 85};
  EXPECT_EQ(l.best().second, "recapture");
  auto o = l.to_json();
  EXPECT_EQ(json::int_or(o, "asked", 0), 95);
  EXPECT_EQ(json::int_or(o, "missed", 0), 10);
  EXPECT_EQ(json::string_or(o, "basis"), "recapture");
  EXPECT_TRUE(o.contains("again") && o.contains("canary") && o.contains("recapture"));
}

TEST(Pace, NoSecondHoldsMoreThanTheRateAndNearlyAllIsDelivered) {
  for (int pps : {1, 7, 200, 10'000}) {
    Pace pace;
    pace.set(pps);
    std::vector<std::int64_t> times;
    for (std::int64_t t = 1'000'000; t < 6'000'000; t += 50)
      if (pace.wait(Span{t}).us == 0) pace.count(Span{t}, 1), times.push_back(t);
    std::size_t most = 0;
    for (std::size_t i = 0, from = 0; i < times.size(); ++i) {
      while (times[i] - times[from] >= 1'000'000) ++from;
      most = std::max(most, i - from + 1);
    }
    EXPECT_LE(most, static_cast<std::size_t>(pps));
    EXPECT_GE(times.size(), static_cast<std::size_t>(pps * 5 * 98 / 100)) << pps;
  }
  Pace none;
  none.set(0);
  EXPECT_GT(none.wait(Span::seconds(5)).us, 0);
}

// 112 M addresses x 30 ports: the plan is small, and every cap has its price.
TEST(Estimate, TheNationalSurvey) {
  auto m = test_mandate_text();
  m.ranges.clear();
  // Nothing is sent: only their number matters.
  for (auto r : {"10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8", "13.0.0.0/8", "14.0.0.0/8", "15.0.0.0/8", "16.0.0.0/9", "100.64.0.0/11", "172.16.0.0/12"})
    m.ranges.push_back(*Prefix::parse(r));
  m.excludes.clear();
  m.social_impact.clear();
  m.ports.clear();
  for (std::uint16_t p = 1; p <= 30; ++p) m.ports.push_back({Proto::tcp, {static_cast<std::uint16_t>(9000 + p)}});
  TestPlan t(m, {}, {});
  Plan plan;
  plan.space = t.space;
  plan.segment_size = 56'000;
  EXPECT_GT(plan.space.targets(), 112'000'000u);
  EXPECT_LT(plan.text().size(), 8'000u);
  auto e = estimate(plan, m, {});
  double base = static_cast<double>(e.probes) / m.rate_total_pps, sum = 0;
  for (const auto& c : e.costs) sum += c.seconds;
  EXPECT_NEAR(sum, e.seconds, 1);
  EXPECT_NEAR(e.costs.front().seconds, base, 1);
  auto cost = [&](std::string_view what) {
    for (const auto& c : e.costs)
      if (c.what == what) return c.seconds;
    return -1.0;
  };
  EXPECT_LT(cost("answer windows"), 2) << "they pass while the next segment is sent";
  EXPECT_EQ(cost("per /24"), 0);
  EXPECT_EQ(cost("hours"), 0);
  m.window_from_min = 0;
  m.window_to_min = 12 * 60;
  EXPECT_GT(estimate(plan, m, {}).seconds, e.seconds * 1.8);
  m.probes_per_target_per_day = 20;
  EXPECT_GT(estimate(plan, m, {}).seconds, e.seconds);
}

TEST(ClockState, TheKernelSaysSomething) {
  auto c = clock_state();
  EXPECT_GE(c.max_error_us, 0);
  EXPECT_TRUE(c.to_json().contains("synchronised"));
}

}  // namespace
}  // namespace nora::survey
