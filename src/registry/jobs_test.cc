// Jobs: lease, fencing, give-up, rate counting; on both stores.
#include "registry/jobs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "registry/registry.h"
#include "store/testing/both_stores.h"

namespace nora::registry {
namespace {

const Instant t0 = Instant::seconds(1'795'600'000);

class JobsOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    auto migrated = Registry(*db).migrate();
    ASSERT_TRUE(migrated) << migrated.error().text();
  }
};
NORA_ON_BOTH_STORES(JobsOnBoth);

TEST_P(JobsOnBoth, OldestFirstAndFenced) {
  Jobs jobs(*db);
  const auto ip = *Ip::parse("203.0.113.10");
  auto a = jobs.enqueue("check", "{}", ip, "portal", t0);
  ASSERT_TRUE(a) << a.error().text();
  ASSERT_TRUE(jobs.enqueue("survey", "{}", std::nullopt, "scheduler", t0));
  EXPECT_EQ(*jobs.count_since("check", ip, t0 - Span::hours(1)), 1);
  EXPECT_EQ(*jobs.count_since("check", ip, t0), 0);
  auto held = jobs.lease({"check", "survey"}, "node-a", t0);
  ASSERT_TRUE(held) << held.error().text();
  ASSERT_TRUE(*held);
  EXPECT_EQ((*held)->id, *a);
  EXPECT_EQ((*held)->ip, ip);
  ASSERT_TRUE(jobs.append_event(*a, (*held)->fence, t0, R"({"step":"started"})"));
  EXPECT_EQ((*jobs.lease({"check", "survey"}, "node-b", t0))->kind, "survey");
  EXPECT_FALSE(jobs.lease({"check", "survey"}, "node-b", t0)->has_value());
  auto taken = jobs.lease({"check"}, "node-c", t0 + job_lease);
  ASSERT_TRUE(taken && *taken);
  EXPECT_FALSE(jobs.append_event(*a, (*held)->fence, t0, "{}"));
  EXPECT_FALSE(jobs.finish(*a, (*held)->fence, true, "{}", t0));
  EXPECT_TRUE(jobs.append_event(*a, (*taken)->fence, t0, "{}"));
  EXPECT_TRUE(jobs.finish(*a, (*taken)->fence, true, "{}", t0));
  auto events = jobs.events_after(*a, 0);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ(jobs.events_after(*a, events->at(0).id)->size(), 1u);
  EXPECT_EQ((*jobs.job(*a))->state, "done");
  EXPECT_EQ(*jobs.forget_check_addresses(t0 + Span::hours(25)), 1);
  EXPECT_FALSE((*jobs.job(*a))->ip.has_value());
}

TEST_P(JobsOnBoth, AJobThatKillsItsHolderIsGivenUp) {
  Jobs jobs(*db);
  auto id = jobs.enqueue("check", "{}", std::nullopt, "portal", t0);
  Instant now = t0;
  for (int i = 0; i < max_job_attempts; ++i, now = now + job_lease) ASSERT_TRUE(jobs.lease({"check"}, "n", now)->has_value());
  EXPECT_FALSE(jobs.lease({"check"}, "n", now)->has_value());
  EXPECT_EQ((*jobs.job(*id))->state, "failed");
}

TEST_P(JobsOnBoth, TwoHoldersNeverShareAJob) {
  constexpr int count = 40;
  {
    Jobs jobs(*db);
    for (int i = 0; i < count; ++i) ASSERT_TRUE(jobs.enqueue("check", "{}", std::nullopt, "t", t0));
  }
  auto db_a = open_again(), db_b = open_again();
  std::vector<Id> got[2];
  std::atomic<bool> failed{false};
  auto work = [&](store::Db& own, std::vector<Id>& mine, const char* name) {
    Jobs jobs(own);
    for (int i = 0; i < 2 * count; ++i) {
      auto held = jobs.lease({"check"}, name, t0);
      if (!held) { failed = true; return; }
      if (!*held) return;
      mine.push_back((*held)->id);
    }
  };
  std::thread a([&] { work(*db_a, got[0], "a"); });
  std::thread b([&] { work(*db_b, got[1], "b"); });
  a.join();
  b.join();
  EXPECT_FALSE(failed);
  std::set<Id> all(got[0].begin(), got[0].end());
  all.insert(got[1].begin(), got[1].end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(got[0].size() + got[1].size(), static_cast<std::size_t>(count));
}

}  // namespace
}  // namespace nora::registry
