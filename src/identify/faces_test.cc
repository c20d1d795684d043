// Golden identification: every face of the demo's devices gets its product, the four unknown ones form one cluster, and naming works.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/escape.h"
#include "base/files.h"
#include "identify/check.h"
#include "identify/testdata/faces.h"
#include "identify/testdata/plan_over.h"

namespace nora::identify {
namespace {

using testing::Face;

const RuleSet& shipped() {
  static const RuleSet rules = RuleSet::load({std::string(NORA_SOURCE_DIR) + "/data/fingerprints"}).value();
  return rules;
}

std::vector<Sample> samples_of(const RuleSet& rules, const std::vector<Face>& faces) {
  Matcher matcher(rules);
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const auto devices = fuse(testing::evidence_of(matcher, faces[i]));
    EXPECT_EQ(devices.size(), 1u) << faces[i].device;
    samples.push_back(testing::sample_of(faces[i], static_cast<registry::Id>(i + 1), devices.at(0).identity));
  }
  return samples;
}

Naming naming_for(const std::string& cluster) {
  return {cluster, "Kinmirai Denki", "CTL-100", "Broadband Router", "analyst1", "analyst2", Instant::seconds(1'795'600'000)};
}

std::filesystem::path fresh_dir(const char* name) {
  const auto dir = std::filesystem::temp_directory_path() / (std::string("nora-") + name + "-" + std::to_string(::getpid()));
  std::filesystem::remove_all(dir);
  return dir;
}

TEST(Faces, EveryShippedExampleHolds) {
  const auto report = check_rules(shipped());
  for (const auto& failure : report.failures) ADD_FAILURE() << failure.text();
  for (const auto& warning : report.warnings) ADD_FAILURE() << warning.text();
  EXPECT_GT(report.rules, 100u);
  EXPECT_EQ(report.examples, report.equal);
  EXPECT_EQ(report.limits, 0u);
}

TEST(Faces, EveryShippedRuleHasAnIdAndASource) {
  std::set<std::string> ids;
  for (const auto& file : shipped().files()) {
    for (const auto& rule : file.rules) {
      EXPECT_FALSE(rule.source.empty()) << rule.id;
      EXPECT_TRUE(ids.insert(rule.id).second) << rule.id << " exists twice";
    }
  }
}

TEST(Faces, EveryKnownDeviceIsNamed) {
  Matcher matcher(shipped());
  int known = 0;
  for (const auto& face : testing::load_faces()) {
    const auto devices = fuse(testing::evidence_of(matcher, face));
    ASSERT_EQ(devices.size(), 1u) << face.device << ": " << (devices.empty() ? "" : devices[0].identity.product.value);
    const auto& identity = devices[0].identity;
    EXPECT_EQ(identity.vendor.value, face.vendor) << face.device;
    EXPECT_EQ(identity.product.value, face.product) << face.device;
    EXPECT_EQ(identity.firmware.value, face.firmware) << face.device;
    EXPECT_EQ(identity.type.value, face.type) << face.device;
    EXPECT_TRUE(devices[0].conflicts.empty()) << face.device << ": " << devices[0].conflicts[0];
    EXPECT_EQ(identity.product_known(), !face.product.empty()) << face.device << " " << identity.product.confidence;
    if (identity.product_known()) { ++known; EXPECT_FALSE(identity.product.evidence.empty()); }
  }
  EXPECT_EQ(known, 18);
}

TEST(Faces, NegativeTextsNameNothing) {
  Matcher matcher(shipped());
  const std::vector<registry::KeyValue> nothing = {
      {"html_title", "Device Console"}, {"html_title", "401 Unauthorized"}, {"html_title", "index"}, {"html_title", "My WSR page"},
      {"html_title", "Telecom portal"}, {"html_title", "Liebert iCOM"}, {"html_title", "LANDSCAPE"}, {"html_title", "PWRC-1167GST2"},
      {"http_header.server", "lwsrv/0.9b"}, {"http_header.server", "VB/x"}, {"http_header.server", "my nginx"}, {"http_header.wwwauth", "Basic realm=\"login\""},
      {"http_header.wwwauth", "Basic realm=\"LAN\""}, {"telnet_banners", "login:"}, {"telnet_banners", "** ctl console **\r\n\rctl login:"},
      {"ftp.banner", "FTP server ready"}, {"ssh.banner", "Cisco-1.25"}, {"x509.subject", "CN=localhost"}, {"x509.subject", "CN=HDL"},
      {"upnp.manufacturer", "Debian"}, {"upnp.model_name", "Linux"}, {"snmpv3.enterprise", "11829"}, {"coap.core", "</a>;ct=0"},
      {"modbus.device_id", "||"}, {"http.body_text", "Firmware update available"}, {"ntp.readvar", "stratum=16"}};
  for (const auto& kv : nothing) {
    for (const auto& s : statements_of(matcher, std::span(&kv, 1)))
      ADD_FAILURE() << kv.key << " \"" << kv.value << "\" is taken by " << s.rule;
  }
}

TEST(Faces, FourCopiesMakeOneCluster) {
  const auto samples = samples_of(shipped(), testing::load_faces());
  const auto found = clusters(samples);
  ASSERT_EQ(found.size(), 1u);
  const auto& cluster = found[0];
  EXPECT_EQ(cluster.members.size(), 4u);
  EXPECT_EQ(cluster.shared.at("html_title"), "Device Console");
  EXPECT_EQ(cluster.differs.at("http.body_text").size(), 4u);
  EXPECT_EQ(cluster.ports, (std::vector<Service>{{Port{23}, Proto::tcp}, {Port{80}, Proto::tcp}}));
}

TEST(Faces, ACopyWithAFilteredPortStaysInTheCluster) {
  auto samples = samples_of(shipped(), testing::load_faces());
  for (auto& sample : samples) {
    if (sample.identity.product_known()) continue;
    const auto whole = cluster_key(sample);
    std::erase_if(sample.replies, [](const Sample::Reply& r) { return r.protocol == "telnet"; });
    EXPECT_EQ(cluster_key(sample), whole);
    std::reverse(sample.replies.begin(), sample.replies.end());
    EXPECT_EQ(cluster_key(sample), whole);
  }
}

TEST(Faces, NamingTheClusterIdentifiesAllMembersAtOnce) {
  const auto faces = testing::load_faces();
  const auto samples = samples_of(shipped(), faces);
  const auto key = clusters(samples).at(0).key;
  const auto dir = fresh_dir("naming");
  const auto made = testing::plan_over(naming_for(key), samples, shipped());
  ASSERT_TRUE(made) << made.error().text();
  ASSERT_TRUE(write_name(*made, dir));
  ASSERT_FALSE(made->empty());
  EXPECT_EQ(made->at(0).key, "html_title");

  const auto again = RuleSet::load({std::string(NORA_SOURCE_DIR) + "/data/fingerprints", dir}).value();
  EXPECT_NE(again.version(), shipped().version());
  const auto report = check_rules(again);
  for (const auto& failure : report.failures) ADD_FAILURE() << failure.text();
  Matcher matcher(again);
  int named = 0;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const auto devices = fuse(testing::evidence_of(matcher, faces[i]));
    ASSERT_EQ(devices.size(), 1u);
    if (faces[i].product.empty()) {
      EXPECT_EQ(devices[0].identity.product.value, "CTL-100");
      EXPECT_EQ(devices[0].identity.vendor.value, "Kinmirai Denki");
      EXPECT_GT(devices[0].identity.product.confidence, 0.9);
      ++named;
    } else {
      EXPECT_EQ(devices[0].identity.product.value, faces[i].product) << "another device changed its name";
    }
  }
  EXPECT_EQ(named, 4);
  EXPECT_TRUE(clusters(samples_of(again, faces)).empty());

  EXPECT_EQ(unname_cluster(key, dir).value(), static_cast<int>(made->size()));
  EXPECT_EQ(RuleSet::load({std::string(NORA_SOURCE_DIR) + "/data/fingerprints", dir}).value().version(), shipped().version());
  EXPECT_FALSE(unname_cluster(key, dir));
  std::filesystem::remove_all(dir);
}

TEST(Faces, NamingNeedsTwoPersonsAndARealCluster) {
  const auto samples = samples_of(shipped(), testing::load_faces());
  auto naming = naming_for(clusters(samples).at(0).key);
  naming.accepted_by = naming.proposed_by;
  EXPECT_EQ(testing::plan_over(naming, samples, shipped()).error().code, Code::usage);
  naming = naming_for("c-0123456789");
  EXPECT_EQ(testing::plan_over(naming, samples, shipped()).error().code, Code::not_found);
  naming = naming_for("../../etc/x");
  EXPECT_EQ(testing::plan_over(naming, samples, shipped()).error().code, Code::usage);
  naming = naming_for(clusters(samples).at(0).key);
  naming.product = "<script>";
  EXPECT_EQ(testing::plan_over(naming, samples, shipped()).error().code, Code::usage);
}

TEST(Faces, NamingRefusesWhatWouldHitNamedDevices) {
  auto faces = testing::load_faces();
  auto samples = samples_of(shipped(), faces);
  const auto key = clusters(samples).at(0).key;
  // A named device that shows exactly the same face.
  registry::Identity other;
  other.vendor = {"Other Maker", 0.9, {}};
  other.product = {"OM-1", 0.9, {}};
  for (const auto& face : faces) if (face.device == "hk-unknown-1") samples.push_back(testing::sample_of(face, 99, other));
  const auto refused = testing::plan_over(naming_for(key), samples, shipped());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("OM-1"), std::string::npos);
}

TEST(Faces, AGenericTitleAloneGivesNoRule) {
  std::vector<Sample> samples;
  for (int i = 1; i <= 3; ++i) samples.push_back({i, {}, {{{Port{80}, Proto::tcp}, "http", {{"html_title", "Login"}}}}});
  const auto refused = testing::plan_over(naming_for(clusters(samples).at(0).key), samples, shipped());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
}

TEST(Faces, MembersThatDifferInNumbersGetOneLoosePattern) {
  std::vector<Sample> samples;
  for (int i = 1; i <= 3; ++i)
    samples.push_back({i, {}, {{{Port{80}, Proto::tcp}, "http", {{"html_title", "Gate (unit 10" + std::to_string(i) + ") 0a1b2c3d4e5" + std::to_string(i)}}}}});
  const auto found = clusters(samples);
  ASSERT_EQ(found.size(), 1u);
  const auto plan = testing::plan_over(naming_for(found[0].key), samples, shipped());
  ASSERT_TRUE(plan) << plan.error().text();
  auto rules = RuleSet();
  rules.add_file("named", plan->at(0).xml);
  EXPECT_TRUE(rules.problems().empty());
  EXPECT_TRUE(identify(rules, "html_title", "Gate (unit 777) 0a1b2c3d4e9f"));
  EXPECT_FALSE(identify(rules, "html_title", "Gate (unit x) 0a1b2c3d4e9f"));
  EXPECT_FALSE(identify(rules, "html_title", "prefix Gate (unit 777) 0a1b2c3d4e9f"));
}

TEST(Faces, AHostileFaceStaysData) {
  std::vector<Sample> samples;
  const std::string hostile = "x\"/></fingerprint><fingerprint pattern=\".*\"/>\x01\xff${jndi}";
  for (int i = 1; i <= 2; ++i) samples.push_back({i, {}, {{{Port{23}, Proto::tcp}, "telnet", {{"telnet_banners", hostile}}}}});
  const auto plan = testing::plan_over(naming_for(clusters(samples).at(0).key), samples, shipped());
  ASSERT_TRUE(plan) << plan.error().text();
  auto rules = RuleSet();
  rules.add_file("named", plan->at(0).xml);
  EXPECT_TRUE(rules.problems().empty()) << rules.problems()[0].text();
  ASSERT_EQ(rules.rule_count(), 1u);
  EXPECT_EQ(rules.files()[0].rules[0].examples.at(0).text, hostile);
  EXPECT_TRUE(identify(rules, "telnet_banners", hostile));
}

}  // namespace
}  // namespace nora::identify
