// The judgement of a device, the bridge to CPE names, the priority.
#include "expose/vuln.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "expose/cpe_names.h"
#include "expose/priority.h"

namespace nora::expose {
namespace {

CpeMatch match(std::string_view cpe, bool vulnerable = true) {
  CpeMatch m;
  m.cpe = Cpe::parse(cpe).value();
  m.vulnerable = vulnerable;
  return m;
}
CpeMatch before(std::string_view cpe, std::string_view version) {
  auto m = match(cpe);
  m.end_excluding = version;
  return m;
}
Configuration any(std::vector<CpeMatch> matches) { return {Configuration::Op::any, false, std::move(matches), {}}; }
Configuration all(std::vector<Configuration> children) { return {Configuration::Op::all, false, {}, std::move(children)}; }
Vulnerability vuln(std::vector<Configuration> configurations, std::string_view source = "nvd") {
  Vulnerability v;
  v.id = v.record = "CVE-2026-90001";
  v.source = source;
  v.configurations = std::move(configurations);
  return v;
}

constexpr std::string_view firmware = "cpe:2.3:o:kinmirai_denki:ctl-100_firmware:*:*:*:*:*:*:*:*", hardware = "cpe:2.3:h:kinmirai_denki:ctl-100:-:*:*:*:*:*:*:*";
// How NVD writes a router: firmware before 2.4 AND the hardware.
Vulnerability router() { return vuln({all({any({before(firmware, "2.4")}), any({match(hardware, false)})})}); }

Judgement of(const Vulnerability& v, std::string_view product, std::string_view version, const std::vector<std::string>& cpes = {}) {
  static const CpeNames none;
  return judge(v, none.facts("Kinmirai Denki", product, version, cpes));
}

TEST(Vuln, TheVersionDecides) {
  EXPECT_EQ(of(router(), "CTL-100", "Ver.2.3").verdict, Verdict::affected_by_version);
  EXPECT_EQ(of(router(), "CTL-100", "2.3").reason, "affected according to NVD: firmware 2.3 is before 2.4, on kinmirai_denki ctl-100");
  EXPECT_EQ(of(router(), "CTL-100", "2.4").verdict, Verdict::not_affected);
  EXPECT_EQ(of(router(), "CTL-100", "2.10").verdict, Verdict::not_affected);
  EXPECT_EQ(of(router(), "CTL-200", "2.3").verdict, Verdict::not_affected);
}

TEST(Vuln, UnknownFirmwareIsNeverMoreThanPossible) {
  const auto j = of(router(), "CTL-100", "");
  EXPECT_EQ(j.verdict, Verdict::possibly_affected);
  EXPECT_NE(j.reason.find("the firmware is not known"), std::string::npos) << j.reason;
  EXPECT_EQ(of(vuln({any({match(firmware)})}), "CTL-100", "").verdict, Verdict::possibly_affected) << "even when all versions are concerned";
  EXPECT_EQ(of(vuln({any({match(firmware)})}), "CTL-100", "1").verdict, Verdict::affected_by_version);
  EXPECT_EQ(of(router(), "CTL-100", "special edition").verdict, Verdict::possibly_affected) << "no rule orders it";
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:h:kinmirai_denki:ctl-100:-:*:*:*:*:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::possibly_affected) << "the hardware alone says no version";
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:-:*:*:*:*:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::possibly_affected) << "NA: the source names no version";
}

TEST(Vuln, FirmwareWithoutItsHardwareIsNoMatch) {
  const auto other_hardware = vuln({all({any({before(firmware, "2.4")}), any({match("cpe:2.3:h:kinmirai_denki:ctl-900:-:*:*:*:*:*:*:*", false)})})});
  EXPECT_EQ(of(other_hardware, "CTL-100", "2.3").verdict, Verdict::not_affected);
  EXPECT_EQ(of(other_hardware, "CTL-100", "").verdict, Verdict::not_affected);
  EXPECT_EQ(of(vuln({any({match(hardware, false)})}), "CTL-100", "2.3").verdict, Verdict::not_affected) << "context alone affects nothing";
  const auto two = vuln({all({any({before(firmware, "2.4")}), any({match("cpe:2.3:h:kinmirai_denki:ctl-900:-:*:*:*:*:*:*:*", false), match(hardware, false)})})});
  EXPECT_EQ(of(two, "CTL-100", "2.3").verdict, Verdict::affected_by_version) << "one of the hardware nodes is enough";
}

TEST(Vuln, NegateTurnsOnlyWhatIsKnown) {
  Configuration not_new = any({match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.3:*:*:*:*:*:*:*")});
  not_new.negate = true;
  const auto v = vuln({all({any({before(firmware, "2.4")}), not_new})});
  EXPECT_EQ(of(v, "CTL-100", "2.2").verdict, Verdict::affected_by_version);
  EXPECT_EQ(of(v, "CTL-100", "2.3").verdict, Verdict::not_affected);
  EXPECT_EQ(of(v, "CTL-100", "").verdict, Verdict::possibly_affected);
}

TEST(Vuln, BoundsAreAsTheyAreNamed) {
  auto m = match(firmware);
  m.start_including = "1.0";
  m.end_including = "1.5";
  const auto closed = vuln({any({m})});
  for (const auto& [version, verdict] : {std::pair{"0.9", Verdict::not_affected}, {"1.0", Verdict::affected_by_version}, {"1.5", Verdict::affected_by_version}, {"1.5.1", Verdict::not_affected}})
    EXPECT_EQ(of(closed, "CTL-100", version).verdict, verdict) << version;
  m.start_excluding = std::exchange(m.start_including, "");
  m.end_excluding = std::exchange(m.end_including, "");
  const auto open = vuln({any({m})});
  for (const auto& [version, verdict] : {std::pair{"1.0", Verdict::not_affected}, {"1.0.1", Verdict::affected_by_version}, {"1.5", Verdict::not_affected}})
    EXPECT_EQ(of(open, "CTL-100", version).verdict, verdict) << version;
}

TEST(Vuln, WhatADeviceDoesNotTellMakesItPossible) {
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.3:rc1:*:*:*:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::possibly_affected);
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.3:*:*:*:lts:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::possibly_affected);
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.*:*:*:*:*:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::affected_by_version);
  EXPECT_EQ(of(vuln({any({match("cpe:2.3:*:*:*:*:*:*:*:*:*:*:*")})}), "CTL-100", "2.3").verdict, Verdict::not_affected) << "every product says nothing of this one";
}

TEST(Vuln, CpesOfFingerprintsCount) {
  EXPECT_EQ(of(router(), "", "", {"cpe:/o:kinmirai_denki:ctl-100_firmware:2.3"}).verdict, Verdict::affected_by_version);
  EXPECT_EQ(of(router(), "", "", {"cpe:/o:kinmirai_denki:ctl-100_firmware:-"}).verdict, Verdict::possibly_affected) << "recog's dash is unknown";
  EXPECT_EQ(of(router(), "", "2.4", {"cpe:/h:kinmirai_denki:ctl-100"}).verdict, Verdict::not_affected);
}

TEST(Vuln, ALaterWordOfTheMakerMakesItPossibleOnly) {
  auto maker = vuln({}, "csaf");
  maker.record = "KD-1";
  maker.not_affected.push_back(match("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.3:*:*:*:*:*:*:*"));
  const std::vector<Vulnerability> both{router(), maker};
  const CpeNames none;
  const auto at = [&](std::string_view version) { return judge(both, none.facts("Kinmirai Denki", "CTL-100", version)); };
  EXPECT_EQ(at("2.3").verdict, Verdict::possibly_affected);
  EXPECT_NE(at("2.3").reason.find("the sources disagree"), std::string::npos);
  EXPECT_EQ(at("2.2").verdict, Verdict::affected_by_version);
  EXPECT_EQ(at("2.4").verdict, Verdict::not_affected);
  EXPECT_EQ(judge(std::span<const Vulnerability>{}, none.facts("Kinmirai Denki", "CTL-100", "1")).verdict, Verdict::not_affected);
}

TEST(Vuln, TheIndexNamesWhatCanAffect) {
  const auto keys = index_keys(router());
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0], (std::pair<std::string, std::string>("kinmirai_denki", "ctl-100_firmware")));
  EXPECT_EQ(index_keys(vuln({any({match("cpe:2.3:o:v:*:*:*:*:*:*:*:*:*")})}))[0].second, "*");
}

TEST(CpeNames, AliasesAreExplicit) {
  const auto names = CpeNames::parse("[[alias]]\nvendor = \"NEC Platforms, Ltd.\"\ncpe_vendor = [\"nec\"]\n[[alias]]\nvendor = \"NEC Platforms\"\nproduct = \"Aterm X\"\n"
                                     "cpe_vendor = \"nec\"\ncpe_product = \"aterm_x_series\"\nsource = \"s\"\nverified = true\n", "t.toml");
  ASSERT_TRUE(names) << names.error().text();
  const auto has = [](const std::vector<DeviceFact>& facts, char part, std::string_view vendor, std::string_view product, bool verified) {
    for (const auto& f : facts) if (f.part == part && f.vendor == vendor && f.product == product) return f.alias_verified == verified;
    return false;
  };
  const auto facts = names->facts("NEC Platforms", "Aterm X", "1.0");
  EXPECT_TRUE(has(facts, 'o', "nec", "aterm_x_firmware", false));
  EXPECT_TRUE(has(facts, 'h', "nec", "aterm_x_series", true));
  EXPECT_TRUE(has(facts, 'o', "nec_platforms", "aterm_x_firmware", true));
  EXPECT_FALSE(has(facts, 'o', "nec", "x_firmware", false)) << "no guess";
  EXPECT_TRUE(names->facts("", "Aterm X", "1").empty());
  EXPECT_EQ(cpe_normal("NEC Platforms, Ltd."), "nec_platforms");
  EXPECT_EQ(cpe_normal("Canon Inc."), "canon");
  EXPECT_EQ(cpe_normal(" LAN-W300N/R "), "lan-w300n/r");
  for (const auto* bad : {"[[alias]]\nvendor = \"A\"\ncpe_vendor = []\n", "[[alias]]\nvendor = \"A\"\ncpe_vendor = [\"A B\"]\n", "[[alias]]\nvendor = \"A\"\ncpe_vendor = [\"a\"]\nverified = true\n",
                          "[[alias]]\nvendor = \"A\"\ncpe_vendor = [\"a\"]\ncpe_product = [\"b\"]\n", "[[other]]\nx = 1\n"})
    EXPECT_FALSE(CpeNames::parse(bad, "t.toml")) << bad;
}

TEST(CpeNames, TheShippedTableLoads) {
  const auto names = CpeNames::load(std::string(NORA_SOURCE_DIR) + "/data/products/cpe_aliases.toml");
  ASSERT_TRUE(names) << names.error().text();
  EXPECT_FALSE(names->all().empty());
  EXPECT_NE(names->support_alias("MikroTik", "RouterOS"), nullptr);
  // An unverified spelling is said to be one.
  const auto of_vendor = [&](const std::string& vendor) {
    const auto v = vuln({any({before("cpe:2.3:o:" + vendor + ":aterm_wg1200hp4_firmware:*:*:*:*:*:*:*:*", "2.0")})});
    return judge(v, names->facts("NEC Platforms", "Aterm WG1200HP4", "Ver.1.3"));
  };
  EXPECT_EQ(of_vendor("necplatforms").verdict, Verdict::affected_by_version);
  EXPECT_NE(of_vendor("necplatforms").reason.find("has not been checked"), std::string::npos) << of_vendor("necplatforms").reason;
  EXPECT_EQ(of_vendor("nec").verdict, Verdict::affected_by_version);
  EXPECT_EQ(of_vendor("nec").reason.find("has not been checked"), std::string::npos) << of_vendor("nec").reason;
}

TEST(CpeNames, NamesOfFingerprintsAndTheirVersions) {
  const CpeNames none;
  const auto ros = vuln({any({before("cpe:2.3:o:mikrotik:routeros:*:*:*:*:*:*:*:*", "6.42")})});
  const auto at = [&](std::string_view firmware, const std::vector<std::string>& cpes, const std::vector<std::string>& components = {}) {
    return judge(ros, none.facts("MikroTik", "RB750", firmware, cpes, components));
  };
  EXPECT_EQ(at("6.40", {}).verdict, Verdict::not_affected) << "the model is not called so";
  EXPECT_EQ(at("", {"cpe:/o:mikrotik:routeros:6.40"}).verdict, Verdict::affected_by_version);
  EXPECT_EQ(at("6.40", {"cpe:/o:mikrotik:routeros:-"}).verdict, Verdict::affected_by_version) << "\"-\" is unknown: the firmware that was read counts";
  EXPECT_EQ(at("", {"cpe:/o:mikrotik:routeros:-"}).verdict, Verdict::possibly_affected);
  EXPECT_EQ(at("", {"cpe:/o:mikrotik:routeros:-"}).doubt, Doubt::version);
  EXPECT_EQ(at("", {"cpe:/o:mikrotik:routeros:-", "cpe:/o:mikrotik:routeros:7.1"}).verdict, Verdict::not_affected) << "one rule told the version";
  EXPECT_EQ(at("", {"cpe:/o:broken", "not a name"}).verdict, Verdict::not_affected);
}

TEST(Vuln, AComponentIsNeverMoreThanPossible) {
  const CpeNames none;
  const auto web = vuln({any({before("cpe:2.3:a:lighttpd:lighttpd:*:*:*:*:*:*:*:*", "1.4.50")})});
  const auto with = [&](const std::string& component, const std::vector<std::string>& cpes = {}) { return judge(web, none.facts("Kinmirai Denki", "CTL-100", "2.3", cpes, {component})); };
  const auto j = with("cpe:/a:lighttpd:lighttpd:1.4.35");
  EXPECT_EQ(j.verdict, Verdict::possibly_affected);
  EXPECT_EQ(j.doubt, Doubt::component);
  EXPECT_NE(j.reason.find("its component lighttpd: version 1.4.35 is before 1.4.50; a maker may have mended it without a new version"), std::string::npos) << j.reason;
  EXPECT_EQ(with("cpe:/a:lighttpd:lighttpd:1.4.69").verdict, Verdict::not_affected);
  EXPECT_EQ(with("cpe:/a:lighttpd:lighttpd:-").verdict, Verdict::not_affected) << "without a version it says nothing";
  EXPECT_EQ(with("cpe:/a:lighttpd:lighttpd:1.4.35", {"cpe:/a:lighttpd:lighttpd:1.4.35"}).verdict, Verdict::affected_by_version) << "the device itself is the product";
  // The maker's word on the component does not spare the device either.
  auto spared = router();
  spared.not_affected.push_back(match("cpe:2.3:a:lighttpd:lighttpd:1.4.35:*:*:*:*:*:*:*"));
  EXPECT_EQ(judge(spared, none.facts("Kinmirai Denki", "CTL-100", "2.3", {}, {"cpe:/a:lighttpd:lighttpd:1.4.35"})).verdict, Verdict::affected_by_version);
}

TEST(Priority, InWords) {
  PriorityInput in;
  EXPECT_EQ(priority_of(in).score, 0);
  in.verdict = Verdict::affected_by_version;
  in.exposures = {{registry::Pattern::A, "open-resolver"}, {registry::Pattern::D, "telnet-login"}};
  in.kev = true;
  in.kev_since = "2026-01-02";
  in.epss = Epss{0.9, 0.995, ""};
  in.support_ended = true;
  in.support_end = "2024-03-31";
  const auto p = priority_of(in);
  EXPECT_EQ(p.level, "now");
  EXPECT_EQ(p.words, "exposed: D (telnet-login) x4; known to be exploited (KEV since 2026-01-02) x3; EPSS 0.900 (higher than 99.5 % of all) x3.70; support has ended (2024-03-31) x2; affected by version x2");
  in.ransomware = true;
  in.epss->score = 1;
  EXPECT_EQ(priority_of(in).score, 100);
  PriorityInput least;
  least.verdict = Verdict::possibly_affected;
  EXPECT_EQ(priority_of(least).score, 1);
  EXPECT_EQ(priority_of(least).level, "watch");
}

TEST(Priority, TheExposureAloneAndTheWayBack) {
  PriorityInput in;
  in.verdict = std::nullopt;
  in.exposures = {{registry::Pattern::D, "telnet-login"}};
  EXPECT_EQ(priority_of(in).score, 26);
  EXPECT_NE(priority_of(in).words.find("no vulnerability known"), std::string::npos);
  EXPECT_EQ(level_of(26), "planned");
  EXPECT_EQ(percentile_text({0.9, 0.99992, ""}), "99.9");
  EXPECT_EQ(percentile_text({0.9, 0.995, ""}), "99.5");
  EXPECT_EQ(level_of(0), "none");
  for (const auto* bad : {"", "[]", "{\"verdict\":\"surely\"}", "{\"exposed\":{\"pattern\":\"E\"}}", "{\"epss\":{}}"}) EXPECT_FALSE(priority_input_from(bad)) << bad;
}

PriorityInput random_input() {
  PriorityInput in;
  in.verdict = static_cast<Verdict>(*rc::gen::inRange(0, 3));
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) in.exposures.push_back({*rc::gen::element(registry::Pattern::A, registry::Pattern::B, registry::Pattern::C, registry::Pattern::D), "r"});
  in.kev = *rc::gen::arbitrary<bool>();
  in.ransomware = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) in.epss = Epss{*rc::gen::inRange(0, 1001) / 1000.0, 0, ""};
  if (*rc::gen::arbitrary<bool>()) in.support_ended = *rc::gen::arbitrary<bool>();
  return in;
}

RC_GTEST_PROP(PriorityProperty, MoreOfAnythingIsNeverLess, ()) {
  const auto in = random_input();
  const int score = priority_of(in).score;
  RC_ASSERT(score >= 0 && score <= 100);
  auto more = in;
  if (more.verdict != Verdict::affected_by_version) more.verdict = static_cast<Verdict>(static_cast<int>(*more.verdict) + 1);
  RC_ASSERT(priority_of(more).score >= score);
  more = in;
  more.exposures.push_back({registry::Pattern::D, "x"});
  RC_ASSERT(priority_of(more).score >= score);
  more = in;
  more.kev = true;
  RC_ASSERT(priority_of(more).score >= score);
  more.ransomware = true;
  RC_ASSERT(priority_of(more).score >= score);
  more = in;
  more.epss = Epss{std::min(1.0, (in.epss ? in.epss->score : 0) + 0.1), 0, ""};
  RC_ASSERT(priority_of(more).score >= score);
  more = in;
  more.support_ended = true;
  RC_ASSERT(priority_of(more).score >= score);
}

RC_GTEST_PROP(PriorityProperty, WhatIsStoredIsTheSame, ()) {
  auto in = random_input();
  in.doubt = *rc::gen::element(Doubt::none, Doubt::version, Doubt::component, Doubt::other);
  if (*rc::gen::arbitrary<bool>()) in.verdict.reset();
  const auto back = priority_input_from(json::text(to_json(in)));
  RC_ASSERT(back.has_value());
  RC_ASSERT(priority_of(*back).score == priority_of(in).score);
  RC_ASSERT(priority_of(*back).words == priority_of(in).words);
  RC_ASSERT(back->doubt == in.doubt);
}

RC_GTEST_PROP(VulnProperty, NoFirmwareIsNeverAffected, ()) {
  std::vector<CpeMatch> matches;
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
    auto m = match(*rc::gen::element(std::string(firmware), std::string(hardware), std::string("cpe:2.3:o:kinmirai_denki:ctl-100_firmware:2.3:*:*:*:*:*:*:*"),
                                     std::string("cpe:2.3:*:kinmirai_denki:*:*:*:*:*:*:*:*:*"), std::string("cpe:2.3:a:kinmirai_denki:ctl-100:-:*:*:*:*:*:*:*")), *rc::gen::arbitrary<bool>());
    if (*rc::gen::arbitrary<bool>()) m.end_excluding = "3";
    if (*rc::gen::arbitrary<bool>()) m.start_including = "1";
    matches.push_back(std::move(m));
  }
  Configuration c{*rc::gen::arbitrary<bool>() ? Configuration::Op::all : Configuration::Op::any, *rc::gen::arbitrary<bool>(), matches, {}};
  const auto v = vuln({all({c, any({before(firmware, "9")})})});
  RC_ASSERT(of(v, "CTL-100", "").verdict != Verdict::affected_by_version);
}

}  // namespace
}  // namespace nora::expose
