// Nodes: joining, slots, and shares whose sum never exceeds the cap; on both stores.
#include "registry/nodes.h"

#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <thread>

#include "base/crypto.h"
#include "base/env.h"
#include "registry/registry.h"
#include "store/testing/both_stores.h"

namespace nora::registry {
namespace {

const Instant t0 = Instant::seconds(1'795'600'000);
const Span lease = Span::seconds(30);

class NodesOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    Survey s;
    s.id = "s1";
    s.kind = "full";
    s.mandate_hash = mandate;
    s.started = t0;
    ASSERT_TRUE(registry->put_survey(s));
  }
  std::optional<Registry> registry;
  Hash mandate = sha256(as_bytes("mandate"));
};
NORA_ON_BOTH_STORES(NodesOnBoth);

TEST_P(NodesOnBoth, AsManyAsMayAndEachWithASlotForGood) {
  Nodes nodes(*db);
  EXPECT_LT(std::abs((*nodes.now() - Instant::seconds(std::time(nullptr))).us), Span::seconds(5).us);
  EXPECT_FALSE(nodes.join("s1", "a", t0, lease)) << "not open";
  EXPECT_TRUE(nodes.open_surveys(mandate)->empty());
  ASSERT_TRUE(nodes.open_survey("s1", 2));
  EXPECT_EQ(*nodes.open_surveys(mandate), std::vector<std::string>{"s1"});
  EXPECT_TRUE(nodes.open_surveys(sha256(as_bytes("other")))->empty());
  EXPECT_EQ(*nodes.join("s1", "a", t0, lease), 0);
  EXPECT_EQ(*nodes.join("s1", "b", t0, lease), 1);
  auto third = nodes.join("s1", "c", t0, lease);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::refused);
  EXPECT_EQ(*nodes.join("s1", "a", t0, lease), 0) << "again after a restart";
  ASSERT_TRUE(nodes.renew("s1", "a", t0 + Span::seconds(60)));
  EXPECT_EQ(*nodes.join("s1", "c", t0 + Span::seconds(31), lease), 2) << "b is dead";
  ASSERT_TRUE(nodes.leave("s1", "a", t0 + Span::seconds(32), "{}"));
  auto members = nodes.members("s1", t0 + Span::seconds(33));
  ASSERT_EQ(members->size(), 3u);
  EXPECT_FALSE(members->at(0).alive);
  EXPECT_EQ(members->at(0).summary, "{}");
  EXPECT_FALSE(members->at(1).alive);
  EXPECT_TRUE(members->at(2).alive);
}

TEST_P(NodesOnBoth, ANewcomerGetsOnlyWhatOthersHaveGivenUp) {
  Nodes nodes(*db);
  const Rates cap{1000, 90};
  auto a = nodes.share(mandate, "a", cap, {}, t0, lease);
  ASSERT_TRUE(a) << a.error().text();
  EXPECT_EQ(a->granted, cap);
  auto b = nodes.share(mandate, "b", cap, {}, t0, lease);
  EXPECT_EQ(b->granted, (Rates{0, 0}));
  EXPECT_EQ(b->fair, (Rates{500, 45}));
  a = nodes.share(mandate, "a", cap, a->granted, t0, lease);
  EXPECT_EQ(a->granted, cap) << "still in force: not taken away";
  EXPECT_EQ(a->fair, (Rates{500, 45}));
  a = nodes.share(mandate, "a", cap, a->fair, t0, lease);
  EXPECT_EQ(a->granted, (Rates{500, 45}));
  b = nodes.share(mandate, "b", cap, {}, t0, lease);
  EXPECT_EQ(b->granted, (Rates{500, 45}));
  // a dies: b gets all after a's lease, not before.
  b = nodes.share(mandate, "b", cap, b->granted, t0 + Span::seconds(29), lease);
  EXPECT_EQ(b->granted, (Rates{500, 45}));
  b = nodes.share(mandate, "b", cap, b->granted, t0 + Span::seconds(30), lease);
  EXPECT_EQ(b->granted, cap);
  // a comes back and believes in its old share: it has none.
  a = nodes.share(mandate, "a", cap, {500, 45}, t0 + Span::seconds(31), lease);
  EXPECT_EQ(a->granted, (Rates{0, 0}));
  EXPECT_EQ(nodes.share(sha256(as_bytes("other")), "a", cap, {}, t0 + Span::seconds(31), lease)->granted, cap) << "another mandate";
  ASSERT_TRUE(nodes.give_back(mandate, "b"));
  EXPECT_EQ(nodes.share(mandate, "a", cap, {}, t0 + Span::seconds(32), lease)->granted, cap);
}

// Random joining, dying, renewing: at no time do the shares in force exceed the cap.
TEST_P(NodesOnBoth, TheSumNeverExceedsTheCap) {
  SeededRandom random(5);
  Nodes nodes(*db);
  const Rates cap{997, 10};
  struct Holder {
    Rates in_force;
    Instant until{};
  };
  std::map<std::string, Holder> holders;
  Instant now = t0;
  int full = 0;
  for (int step = 0; step < 400; ++step) {
    now = now + Span::seconds(static_cast<std::int64_t>(random.below(7)));
    for (auto& [name, h] : holders)
      if (h.until <= now) h.in_force = {};  // a holder stops before its lease ends
    std::string name(1, static_cast<char>('a' + random.below(5)));
    auto& h = holders[name];
    if (random.below(10) == 0) {
      ASSERT_TRUE(nodes.give_back(mandate, name));
      h = {};
    } else {
      auto s = nodes.share(mandate, name, cap, h.in_force, now, lease);
      ASSERT_TRUE(s) << s.error().text();
      h.until = now + lease;
      h.in_force = {std::min(s->granted.pps, s->fair.pps), std::min(s->granted.per_24_pps, s->fair.per_24_pps)};
      if (random.below(3) == 0) h.in_force = s->granted;  // slow to lower
    }
    Rates sum;
    for (const auto& [n, x] : holders) sum.pps += x.in_force.pps, sum.per_24_pps += x.in_force.per_24_pps;
    ASSERT_LE(sum.pps, cap.pps) << step;
    ASSERT_LE(sum.per_24_pps, cap.per_24_pps) << step;
    full += sum.pps > cap.pps / 2;
  }
  EXPECT_GT(full, 100) << "and not by giving nothing";
}

// Eight connections lease at once: every segment once.
TEST_P(NodesOnBoth, NoSegmentIsLeasedTwice) {
  constexpr int count = 60, workers = 6;
  std::vector<Segment> all;
  for (int i = 0; i < count; ++i) {
    Segment s;
    s.id = "s1/" + std::to_string(i);
    s.survey = "s1";
    s.number = i;
    s.from = static_cast<std::uint64_t>(i);
    s.to = s.from + 1;
    all.push_back(s);
  }
  ASSERT_TRUE(registry->add_segments(all));
  std::vector<std::vector<std::int64_t>> got(workers);
  std::vector<std::unique_ptr<store::Db>> dbs;
  for (int w = 0; w < workers; ++w) dbs.push_back(open_again());
  std::vector<std::thread> threads;
  for (int w = 0; w < workers; ++w)
    threads.emplace_back([&, w] {
      Registry mine(*dbs[static_cast<std::size_t>(w)]);
      for (int idle = 0; idle < 3;) {
        auto s = mine.lease_segments("s1", "n" + std::to_string(w), t0, lease, count, 3);
        if (!s || s->empty()) ++idle;
        else
          for (const auto& x : *s) got[static_cast<std::size_t>(w)].push_back(x.number);
      }
    });
  for (auto& t : threads) t.join();
  std::map<std::int64_t, int> times;
  for (const auto& g : got)
    for (auto n : g) ++times[n];
  EXPECT_EQ(times.size(), static_cast<std::size_t>(count));
  for (const auto& [n, k] : times) EXPECT_EQ(k, 1) << n;
}

}  // namespace
}  // namespace nora::registry
