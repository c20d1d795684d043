// The registry of MAC addresses (mac_maker.h), and what the shipped rules make of it.
#include "identify/mac_maker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>

#include "identify/fuse.h"
#include "identify/matcher.h"
#include "identify/rule_diff.h"

namespace nora::identify {
namespace {

constexpr const char* head = "Registry,Assignment,Organization Name,Organization Address\n";

TEST(MacMakers, TheLongestAssignmentCounts) {
  MacMakers m;
  EXPECT_EQ(m.add(std::string(head) + "MA-L,004026,\"BUFFALO.INC\",\"Akamonn Bld., Nagoya\"\r\nMA-L,70B3D5,IEEE Registration Authority,x\n"), 2u);
  EXPECT_EQ(m.add("MA-M,70B3D51,Half Way,y\n"), 1u);
  EXPECT_EQ(m.add("MA-S,70B3D5F2F,\"TELE \"\"PLAT\"\", Inc. \",z\nnot a line\nMA-S,70B3D5F2,five digits too few\n"), 1u) << "8 digits are no assignment";
  EXPECT_EQ(m.of("00:40:26:00:00:01"), "BUFFALO.INC");
  EXPECT_EQ(m.of("0040.2600.0001"), "BUFFALO.INC");
  EXPECT_EQ(m.of("004026000001"), "BUFFALO.INC");
  EXPECT_EQ(m.of("70-B3-D5-F2-F0-01"), "TELE \"PLAT\", Inc.");
  EXPECT_EQ(m.of("70-B3-D5-12-F0-01"), "Half Way");
  EXPECT_EQ(m.of("70-B3-D5-22-F0-01"), "IEEE Registration Authority");
  for (const auto* nobody : {"", "00:40:26", "00:40:26:00:00:01:02", "00:40:26:00:00:0g", "02:40:26:00:00:01", "01:40:26:00:00:01", "fc:ec:da:00:00:01"})
    EXPECT_EQ(m.of(nobody), "") << nobody;
  EXPECT_EQ(m.size(), 4u);
}

TEST(MacMakers, AMissingRegistryNamesThePackage) {
  const auto none = MacMakers::load("/nonexistent");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
  EXPECT_NE(none.error().fix.find("ieee-data"), std::string::npos);
}

// Debian's package as it is, against a second reader of the same files that splits the whole line.
TEST(MacMakers, DebiansRegistryReadTwice) {
  const auto m = MacMakers::load(debian_mac_registry);
  ASSERT_TRUE(m) << m.error().what;
  EXPECT_GT(m->size(), 40'000u);
  std::size_t compared = 0;
  std::ifstream in(std::string(debian_mac_registry) + "/oui36.csv");
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      else if (c == ',' && !quoted) cells.emplace_back();
      else cells.back() += c;
    }
    if (cells.size() < 3 || cells[0] != "MA-S") continue;
    auto name = cells[2];
    name.erase(name.find_last_not_of(" \t") + 1);
    name.erase(0, std::min(name.find_first_not_of(" \t"), name.size()));
    if (line.find("\"\"") != std::string::npos) continue;  // the second reader does not know doubled quotes
    ++compared;
    EXPECT_EQ(m->of(cells[1] + "001"), name) << line;
  }
  EXPECT_GT(compared, 4000u);
}

RC_GTEST_PROP(MacMakers, AnyTextIsReadWithoutHarm, (const std::string& text, const std::string& mac)) {
  MacMakers m;
  m.add(text);
  m.add(std::string(head) + "MA-L,00" + text);
  m.of(mac);
  RC_SUCCEED("read");
}

TEST(MacMakers, ALeakedAddressSaysTheMakerWithLittleCertainty) {
  auto rules = RuleSet::load({NORA_SOURCE_DIR "/data/fingerprints"});
  ASSERT_TRUE(rules);
  const auto without = rules->version();
  auto makers = std::make_shared<MacMakers>();
  makers->add("MA-L,004026,BUFFALO.INC,x\nMA-L,240AC4,Espressif Inc.,x\nMA-L,BC5C4C,ELECOM CO.\\,LTD.,x\nMA-L,64D4BD,\"ELECOM CO.,LTD.\",x\n");
  rules->use(makers);
  EXPECT_NE(rules->version(), without) << "what is identified with another registry is identified again";
  Matcher matcher(*rules);
  const auto said = [&](std::vector<registry::KeyValue> keys) { return statements_of(matcher, keys); };
  const auto one = said({{"netbios.mac", "00402600aabb"}});
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].vendor, "Buffalo");
  EXPECT_EQ(one[0].key, "mac.maker");
  EXPECT_TRUE(one[0].product.empty()) << "a maker is no model";
  EXPECT_LT(one[0].certainty, strong);
  EXPECT_TRUE(said({{"dvr.mac", "24:0a:c4:00:00:01"}}).empty()) << "the maker of a radio module is not the maker of the box";
  EXPECT_EQ(said({{"snmpv3.mac", "64d4bd000001"}, {"knx.mac", "00402600aabb"}}).size(), 2u);
  // Alone it is "likely" at most; a rule that names another maker is lowered, not overruled.
  auto alone = fuse({{{Port{137}, Proto::udp}, one}});
  ASSERT_EQ(alone.size(), 1u);
  EXPECT_LT(alone[0].identity.vendor.confidence, strong);
  Statement named;
  named.key = "html_title";
  named.rule = "r";
  named.vendor = "NTT";
  named.product = "PR-500KI";
  named.certainty = 0.85;
  named.verified = true;
  auto both = fuse({{{Port{80}, Proto::tcp}, {named}}, {{Port{137}, Proto::udp}, one}});
  ASSERT_EQ(both.size(), 1u);
  EXPECT_EQ(both[0].identity.vendor.value, "NTT");
  EXPECT_GE(both[0].identity.vendor.confidence, strong);
  EXPECT_EQ(both[0].conflicts.size(), 1u) << "the contradiction is shown";
}

TEST(MacMakers, AnotherRegistryTouchesLeakedAddressesOnly) {
  auto before = RuleSet::load({NORA_SOURCE_DIR "/data/fingerprints"}), after = RuleSet::load({NORA_SOURCE_DIR "/data/fingerprints"});
  ASSERT_TRUE(before && after);
  EXPECT_TRUE(diff(*before, *after).empty());
  auto makers = std::make_shared<MacMakers>();
  makers->add("MA-L,004026,BUFFALO.INC,x\n");
  after->use(makers);
  const auto changes = diff(*before, *after);
  ASSERT_NE(changed(changes, "netbios.mac"), nullptr);
  EXPECT_TRUE(changed(changes, "netbios.mac")->everything);
  EXPECT_EQ(changed(changes, "html_title"), nullptr);
  ASSERT_NE(changed(changes, "x509.subject"), nullptr) << "its rules read addresses out of a text";
  Scratch scratch;
  std::vector<Slice> slices;
  EXPECT_FALSE(may_differ(*changed(changes, "x509.subject"), "CN=nobody", scratch, slices));
}

}  // namespace
}  // namespace nora::identify
