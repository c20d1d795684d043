#include "law/grounds.h"

#include <gtest/gtest.h>

namespace nora::law {
namespace {

constexpr std::string_view file = R"(
[[ground]]
class = "vulnerable/*"
kind = "contract-terms"
reference = "terms of service 4.2"
version = "2026-04-01"
approved_by = "legal owner"
approved_at = "2026-11-01T00:00:00Z"
valid_until = "2027-11-01T00:00:00Z"
[[ground]]
class = "malicious-code/infected-system"
kind = "necessity"
reference = "memo 7"
approved_by = "legal owner"
approved_at = "2026-11-01T00:00:00Z"
valid_until = "2026-12-01T00:00:00Z"
)";
const Instant now = *Instant::parse("2026-11-25T00:00:00Z");

TEST(Grounds, FindsTheGroundOfAClass) {
  const auto g = Grounds::parse(file);
  ASSERT_TRUE(g) << g.error().text();
  EXPECT_EQ(g->find("vulnerable/ddos-amplifier", now)->kind, GroundKind::contract_terms);
  EXPECT_EQ(g->find("malicious-code/infected-system", now)->reference, "memo 7");
}

TEST(Grounds, NoGroundNoLookup) {
  const auto g = Grounds::parse(file);
  for (const char* c : {"vulnerable", "vulnerable/", "other/x", "malicious-code/c2-server", ""}) {
    const auto r = g->find(c, now);
    ASSERT_FALSE(r) << c;
    EXPECT_EQ(r.error().code, Code::refused);
  }
  EXPECT_FALSE(g->find("malicious-code/infected-system", *Instant::parse("2026-12-01T00:00:00Z")));
  EXPECT_FALSE(g->find("vulnerable/x", *Instant::parse("2026-10-31T00:00:00Z")));
}

TEST(Grounds, IncompleteGroundsAreRefusedWithTheLine) {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string t(file);
    t.replace(t.find(from), from.size(), to);
    return Grounds::parse(t);
  };
  EXPECT_FALSE(with("version = \"2026-04-01\"\n", ""));
  EXPECT_FALSE(with("\"vulnerable/*\"", "\"*\""));
  EXPECT_FALSE(with("contract-terms", "because"));
  EXPECT_FALSE(with("approved_by = \"legal owner\"\n", ""));
  EXPECT_FALSE(with("2027-11-01T00:00:00Z", "2027-11-01"));
  EXPECT_NE(with("reference = \"memo 7\"\n", "").error().what.find("line 10"), std::string::npos);
  EXPECT_FALSE(Grounds::parse(""));
  EXPECT_FALSE(Grounds::parse("[[ground"));
}

}  // namespace
}  // namespace nora::law
