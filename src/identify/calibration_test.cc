// Calibration (calibration.h): what labels do to certainties, and that claims then mean what they say.
#include "identify/calibration.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

#include "identify/fuse.h"
#include "identify/matcher.h"
#include "identify/rule_diff.h"

namespace nora::identify {
namespace {

TEST(Calibration, NothingKnownLeavesWhatIsStated) {
  const Calibration none;
  EXPECT_DOUBLE_EQ(none.certainty("a:1", 0.85), 0.85);
  const Calibration some({{"a:1", {0, 3, "x"}}, {"b:1", {190, 10, "x"}}});
  EXPECT_GT(some.certainty("a:1", 0.85), 0.73) << "three labels move it a little";
  EXPECT_NEAR(some.certainty("b:1", 0.5), 0.95, 0.05) << "two hundred decide";
  EXPECT_DOUBLE_EQ(some.certainty("c:1", 0.4), 0.4);
}

RC_GTEST_PROP(Calibration, MoreRightNeverLowersAndItStaysAShare, ()) {
  const double stated = *rc::gen::inRange(0, 101) / 100.0;
  const Tally t{*rc::gen::inRange<std::int64_t>(0, 1000), *rc::gen::inRange<std::int64_t>(0, 1000), ""};
  const Calibration a({{"r", t}}), b({{"r", {t.right + 1, t.wrong, ""}}}), c({{"r", {t.right, t.wrong + 1, ""}}});
  const double now = a.certainty("r", stated);
  RC_ASSERT(now >= 0 && now <= 1);
  RC_ASSERT(b.certainty("r", stated) >= now && c.certainty("r", stated) <= now);
  const auto again = Calibration::from_json(a.to_json());
  RC_ASSERT(again && *again == a);
}

TEST(Calibration, ABrokenFileIsNamed) {
  for (const auto* text : {R"({})", R"({"rules":[]})", R"({"rules":{"a":1}})", R"({"rules":{"a":{"right":-1,"wrong":0,"pattern":""}}})", R"({"rules":{"a":{"right":1}}})"}) {
    const auto object = json::parse_object(text);
    ASSERT_TRUE(object);
    EXPECT_FALSE(Calibration::from_json(*object)) << text;
  }
}

RuleSet rules_of(int count) {
  std::string xml = "<fingerprints matches=\"html_title\">";
  for (int i = 0; i < count; ++i)
    xml += "<fingerprint pattern=\"^Box " + std::to_string(i) + "$\"><description>b</description><example>Box " + std::to_string(i) + "</example>"
           "<param pos=\"0\" name=\"hw.vendor\" value=\"Maker\"/><param pos=\"0\" name=\"hw.product\" value=\"Box" + std::to_string(i) + "\"/></fingerprint>\n";
  RuleSet out;
  out.add_file("boxes", xml + "</fingerprints>");
  return out;
}

// Rules that state 0.85 and are right in 95, 70, 50 and 20 of 100 cases. The labels of one half of the devices are learnt; the other half judges.
TEST(Calibration, HeldOutDevicesAreAsRightAsStated) {
  constexpr std::array<double, 4> truth = {0.95, 0.7, 0.5, 0.2};
  constexpr int devices_per_rule = 400;
  auto rules = rules_of(4);
  std::mt19937 random(20261126);
  std::map<std::string, Tally, std::less<>> tallies;
  std::array<std::vector<bool>, 4> held_out;
  for (std::size_t r = 0; r < truth.size(); ++r) {
    const auto& rule = rules.files()[0].rules[r];
    auto& tally = tallies[rule.id];
    tally.pattern = rule.pattern_text;
    for (int i = 0; i < devices_per_rule; ++i) {
      const bool right = std::bernoulli_distribution(truth[r])(random);
      if (i % 2) held_out[r].push_back(right);
      else ++(right ? tally.right : tally.wrong);
    }
  }
  const auto error_with = [&](const RuleSet& set) {
    std::vector<Claimed> claims;
    Matcher matcher(set);
    for (std::size_t r = 0; r < truth.size(); ++r) {
      const std::vector<registry::KeyValue> keys = {{"html_title", "Box " + std::to_string(r)}};
      const auto device = fuse({{{Port{80}, Proto::tcp}, statements_of(matcher, keys)}});
      for (const bool right : held_out[r]) claims.push_back({device[0].identity.product.confidence, right});
    }
    return reliability(claims).error;
  };
  const double before = error_with(rules);
  auto calibrated = rules_of(4);
  calibrated.use(Calibration(tallies));
  EXPECT_EQ(calibrated.calibration().by_rule().size(), 4u);
  const double after = error_with(calibrated);
  EXPECT_GT(before, 0.2);
  EXPECT_LT(after, 0.05) << "before " << before;
  // Other certainties are another version, and the difference is those rules alone.
  EXPECT_NE(calibrated.version(), rules.version());
  tallies.erase(rules.files()[0].rules[2].id);
  auto fewer = rules_of(4);
  fewer.use(Calibration(tallies));
  const auto changes = diff(calibrated, fewer);
  ASSERT_NE(changed(changes, "html_title"), nullptr);
  EXPECT_EQ(changed(changes, "html_title")->rules.size(), 1u);
}

TEST(Calibration, AnotherRuleUnderTheSameIdInheritsNothing) {
  auto rules = rules_of(1);
  rules.use(Calibration({{rules.files()[0].rules[0].id, {1, 99, "^Something else$"}}}));
  EXPECT_TRUE(rules.calibration().empty());
}

TEST(Reliability, BinsAndError) {
  const std::vector<Claimed> claims = {{0.9, true}, {0.9, false}, {0.5, true}, {1.0, true}};
  const auto r = reliability(claims);
  ASSERT_EQ(r.bins.size(), 2u);
  EXPECT_EQ(r.bins[1].claims, 3) << "1.0 belongs to the last bin";
  EXPECT_NEAR(r.error, (std::abs(2 - 2.8) + std::abs(1 - 0.5)) / 4, 1e-9);
  EXPECT_TRUE(reliability({}).bins.empty());
}

}  // namespace
}  // namespace nora::identify
