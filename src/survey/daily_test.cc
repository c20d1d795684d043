#include "survey/daily.h"

#include <gtest/gtest.h>

#include <fstream>

#include "survey/test_plan.h"

namespace nora::survey {
namespace {

struct Daily : ::testing::Test {
  std::filesystem::path dir;
  law::MandateText text = test_mandate_text();
  Instant now = *Instant::parse("2026-11-26T10:00:00Z");
  std::unique_ptr<TestPlan> plan;
  Daily() {
    char name[] = "/tmp/nora-daily-XXXXXX";
    dir = mkdtemp(name);
    text.probes_per_target_per_day = 10;
    plan = std::make_unique<TestPlan>(text);
  }
  ~Daily() override { std::filesystem::remove_all(dir); }
  // Asks for n probes, each when its turn has come; returns how many were granted.
  int take(law::Budget& budget, int n, std::string_view ip = "203.0.113.7") {
    int granted = 0;
    for (int i = 0; i < n; ++i) {
      now = now + Span::seconds(1);
      auto permit = plan->mandate.permit({*Ip::parse(ip), 80}, *plan->mandate.probes().find("syn"), now);
      granted += permit && budget.take(*permit, now).go();
    }
    return granted;
  }
};

TEST_F(Daily, TheCapOutlivesTheProcess) {
  {
    law::Budget budget(text);
    auto counts = DailyCounts::open(dir / "d/probes.txt", budget, now);
    ASSERT_TRUE(counts);
    EXPECT_EQ(take(budget, 6), 6);
    ASSERT_TRUE(counts->keep(budget, now));
    ASSERT_TRUE(counts->keep(budget, now)) << "keeping twice counts once";
  }
  law::Budget budget(text);
  auto counts = DailyCounts::open(dir / "d/probes.txt", budget, now);
  ASSERT_TRUE(counts);
  EXPECT_EQ(take(budget, 9), 4);
  ASSERT_TRUE(counts->keep(budget, now));
  EXPECT_EQ(*read_file(dir / "d/probes.txt"), "2026-11-26\n203.0.113.7 10\n");
}

TEST_F(Daily, TwoProcessesAddUp) {
  law::Budget a(text), b(text);
  auto one = DailyCounts::open(dir / "p.txt", a, now), two = DailyCounts::open(dir / "p.txt", b, now);
  EXPECT_EQ(take(a, 3), 3);
  EXPECT_EQ(take(b, 4), 4);
  EXPECT_EQ(take(b, 1, "203.0.113.8"), 1);
  ASSERT_TRUE(one->keep(a, now));
  ASSERT_TRUE(two->keep(b, now));
  EXPECT_EQ(take(a, 1), 1);
  ASSERT_TRUE(one->keep(a, now));
  EXPECT_EQ(*read_file(dir / "p.txt"), "2026-11-26\n203.0.113.7 8\n203.0.113.8 1\n");
}

TEST_F(Daily, ANewDayBeginsAtNothingAndDamageIsTold) {
  std::ofstream(dir / "p.txt") << "2026-11-25\n203.0.113.7 10\n";
  law::Budget budget(text);
  ASSERT_TRUE(DailyCounts::open(dir / "p.txt", budget, now));
  EXPECT_EQ(take(budget, 2), 2);
  std::ofstream(dir / "q.txt") << "2026-11-26\n203.0.113.7 ten\n";
  EXPECT_FALSE(DailyCounts::open(dir / "q.txt", budget, now));
  EXPECT_TRUE(DailyCounts::open("", budget, now)) << "without a file nothing is kept";
}

}  // namespace
}  // namespace nora::survey
