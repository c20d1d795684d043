// The plan of a name, streamed, is what looking at every device for every key gives: on random worlds with copies, namesakes and look-alikes.
#include <gtest/gtest.h>

#include <random>

#include "identify/testdata/plan_over.h"

namespace nora::identify {
namespace {

RuleSet rules() {
  RuleSet out;
  out.add_file("titles", R"(<fingerprints matches="html_title"><fingerprint pattern="^Gate Panel [0-9]$"><description>x</description><example>Gate Panel 7</example>
    <param pos="0" name="hw.vendor" value="Kinmirai"/><param pos="0" name="hw.product" value="GP"/></fingerprint></fingerprints>)");
  return out;
}

// Few words, so that faces meet: some devices share a title with a named one, or with another cluster.
std::vector<Sample> world(std::mt19937& random) {
  const auto pick = [&](auto... words) {
    const std::vector<std::string> all{words...};
    return all[random() % all.size()];
  };
  std::vector<Sample> out;
  const auto number = 5 + static_cast<registry::Id>(random() % 40);
  for (registry::Id id = 1; id <= number; ++id) {
    Sample s;
    s.device = id;
    if (random() % 6 == 0) s.identity.vendor = {pick("Kinmirai", "Other Maker"), 0.9, {}}, s.identity.product = {pick("CTL-100", "OM-1"), 0.9, {}};
    std::vector<registry::KeyValue> keys;
    if (random() % 8 != 0) keys.push_back({"html_title", pick("Device Console", "Device Console", "Unit 1a2b3c4d", "Unit 12345678", "Unit 87654321", "Gate Panel 7", "Login")});
    if (random() % 2 != 0) keys.push_back({"http_header.server", pick("httpd/1.2 tiny", "httpd/1.3 tiny", "nginx")});
    if (random() % 3 == 0) keys.push_back({"http.body_shape", pick("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb")});
    s.replies.push_back({{Port{80}, Proto::tcp}, "http", std::move(keys)});
    if (random() % 3 == 0) s.replies.push_back({{Port{23}, Proto::tcp}, "telnet", {{"telnet_banners", pick("console login 1:", "console login 2:", "", "x")}}});
    if (random() % 5 == 0) s.replies.push_back({{Port{8080}, Proto::tcp}, "http", {{"html_title", pick("Device Console", "Admin page", "Unit 11111111")}}});
    out.push_back(std::move(s));
  }
  return out;
}

TEST(NamePlan, IsWhatLookingAtEveryDeviceGives) {
  const auto known = rules();
  std::mt19937 random(4);
  std::size_t named = 0, conflicts = 0, others = 0;
  for (int round = 0; round < 400; ++round) {
    auto samples = world(random);
    for (const auto& cluster : clusters(samples, 1)) {
      const Naming naming{cluster.key, "Kinmirai", "CTL-100", "Router", "a", "b", {}};
      const auto quick = testing::plain(testing::plan_over(naming, samples, known));
      const auto naive = testing::naive_plan(naming, samples, known);
      ASSERT_EQ(quick.has_value(), naive.has_value()) << round << " " << (naive ? "" : naive.error().what) << (quick ? "" : quick.error().what);
      if (!naive) {
        EXPECT_EQ(quick.error().what, naive.error().what);
        conflicts += naive.error().what.find("is also shown by device") != std::string::npos ? 1 : 0;
        continue;
      }
      ASSERT_EQ(*quick, *naive) << round;
      ++named;
      for (const auto& r : *naive) others += r.also.size();
    }
  }
  EXPECT_GT(named, 500u);      // the worlds do have what the test is about
  EXPECT_GT(conflicts, 100u);
  EXPECT_GT(others, 100u);
}

TEST(NamePlan, PlacesOfAName) {
  EXPECT_EQ(places_of("CTL-100"), std::vector<std::size_t>{});
  EXPECT_EQ(places_of("TL-{2} {1}{2}"), (std::vector<std::size_t>{1, 2}));
  for (const auto* bad : {"{", "}", "{0}", "{10}", "{a}", "TL-{1", "{}", "{{1}}"}) EXPECT_FALSE(places_of(bad)) << bad;
  EXPECT_EQ(differing_words(std::vector<std::string>{"A 1 B2 x", "A 1 B3 y"}), (std::vector<std::size_t>{2, 3}));
  EXPECT_TRUE(differing_words(std::vector<std::string>{"A 1", "A 1 B"}).empty());
}

// One decision names each model by what it says of itself, the models that come later too.
TEST(NamePlan, AFamilyTakesItsModelsFromTheText) {
  std::vector<Sample> samples;
  for (registry::Id id = 1; id <= 6; ++id) {
    Sample s;
    s.device = id;
    s.replies.push_back({{Port{1900}, Proto::udp}, "ssdp", {{"ssdp.server", "kos/7.0 UPnP/1.0 KR-W" + std::to_string(840 + id % 3) + "N/" + std::to_string(id) + ".0"}}});
    samples.push_back(std::move(s));
  }
  const RuleSet none;
  const auto key = cluster_key(samples[0]);
  for (const auto& s : samples) ASSERT_EQ(cluster_key(s), key) << "one mask, one cluster";
  const auto plan = testing::plan_over({key, "Kinmirai", "KR-{1}", "Router", "a", "b", {}}, samples, none);
  ASSERT_TRUE(plan) << plan.error().what;
  ASSERT_EQ(plan->size(), 1u);
  RuleSet rules;
  rules.add_file("named", plan->front().xml);
  ASSERT_TRUE(rules.problems().empty()) << rules.problems()[0].text();
  for (const auto& [text, product] : {std::pair("kos/7.0 UPnP/1.0 KR-W842N/3.0", "KR-W842N"), std::pair("kos/7.1 UPnP/1.0 KR-W1043N/12.1", "KR-W1043N")}) {
    const auto match = identify(rules, "ssdp.server", text);
    ASSERT_TRUE(match) << text;
    EXPECT_EQ(match->fields.at("hw.product"), product);
    EXPECT_FALSE(match->fields.contains("_tmp.1"));
  }
  EXPECT_FALSE(identify(rules, "ssdp.server", "kos/7.0 UPnP/1.0 KRX-W842N/3.0"));
  // A place without a word that differs is refused with the reason; the second word that differs is the version.
  const auto third = testing::plan_over({key, "Kinmirai", "KR-{3}", "", "a", "b", {}}, samples, none);
  ASSERT_FALSE(third);
  EXPECT_NE(third.error().what.find("2 words"), std::string::npos) << third.error().what;
  EXPECT_FALSE(testing::plan_over({key, "Kinmirai", "KR-{x}", "", "a", "b", {}}, samples, none));
  // A device of the family that has its name already is no conflict; another product that the pattern would take is one.
  auto other = samples[0];
  other.device = 7;
  other.identity.vendor = {"Kinmirai", 0.9, {}};
  other.identity.product = {"KR-W841N", 0.9, {}};
  samples.push_back(other);
  EXPECT_TRUE(testing::plan_over({key, "Kinmirai", "KR-{1}", "", "a", "b", {}}, samples, none));
  samples.back().identity.product.value = "Repeater 3";
  EXPECT_FALSE(testing::plan_over({key, "Kinmirai", "KR-{1}", "", "a", "b", {}}, samples, none));
}

}  // namespace
}  // namespace nora::identify
