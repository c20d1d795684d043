#include "base/instant.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora {
namespace {

TEST(Instant, ReadsRfc3339) {
  EXPECT_EQ(Instant::parse("1970-01-01T00:00:00Z")->us, 0);
  EXPECT_EQ(Instant::parse("2026-11-25T12:12:00.5+09:00")->text(), "2026-11-25T03:12:00.5Z");
  EXPECT_EQ(Instant::parse("2024-02-29T23:59:59.123456789Z")->us % 1'000'000, 123456);
  EXPECT_EQ(Instant::parse("2026-11-25T03:12:00Z")->local(540), "2026-11-25 12:12");
}

TEST(Instant, RefusesWhatIsNotExact) {
  for (const char* bad : {"2026-11-25T03:12:00", "2026-11-25 03:12:00Z", "2026-02-29T00:00:00Z", "2026-11-25T24:00:00Z", "2026-11-25T03:12:00.Z", "2026-11-25T03:12:00+0900",
                          "2026-11-25T03:12:00JST", "2026-11-25T03:12:00Zx", "", "2026-13-01T00:00:00Z", "1969-12-31T00:00:00Z"}) {
    EXPECT_FALSE(Instant::parse(bad).has_value()) << bad;
  }
}

TEST(Span, Reads) {
  EXPECT_EQ(*Span::parse("90s"), Span::seconds(90));
  EXPECT_EQ(*Span::parse("10m"), Span::minutes(10));
  EXPECT_EQ(*Span::parse("24h"), Span::hours(24));
  EXPECT_EQ(*Span::parse("0d"), Span::days(0));
  for (const char* bad : {"", "10", "m", "-5m", "1.5h", "10 m", "10mm", "99999999999999999999s", "999999d", "10M"}) EXPECT_FALSE(Span::parse(bad).has_value()) << bad;
}

RC_GTEST_PROP(InstantProperty, TextIsReadBack, ()) {
  const Instant t{*rc::gen::inRange<std::int64_t>(0, 253'402'300'799'999'999)};
  RC_ASSERT(*Instant::parse(t.text()) == t);
}

}  // namespace
}  // namespace nora
