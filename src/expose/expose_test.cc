// The shipped rules on the golden faces, and the machinery behind them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "expose/evaluate.h"
#include "expose/knowledge.h"
#include "identify/testdata/faces.h"

namespace nora::expose {
namespace {

using identify::testing::Face;

const std::string source = NORA_SOURCE_DIR;
const Rules& shipped() {
  static const Rules rules = Rules::load(source + "/data/exposures").value();
  return rules;
}
const Knowledge& knowledge() {
  static const Knowledge k = Knowledge::load(source + "/data/products", source + "/data/advice").value();
  return k;
}

Subject subject_of(identify::Matcher& matcher, const Face& face) {
  Subject subject;
  subject.identity = identify::fuse(identify::testing::evidence_of(matcher, face)).at(0).identity;
  for (const auto& reply : face.replies)
    subject.seen.push_back({{Ip::parse(face.ip).value(), reply.where.port, reply.where.proto, Instant::seconds(1'795'600'000)}, reply.protocol, reply.keys,
                            reply.request_bytes, reply.reply_bytes, "test", false});
  return subject;
}

Subject one(std::string protocol, std::vector<registry::KeyValue> keys, std::uint16_t port = 80) {
  return {{}, {{{Ip::parse("203.0.113.9").value(), {port}, Proto::tcp, Instant::seconds(1)}, std::move(protocol), std::move(keys), 0, 0, "test", false}}};
}
std::vector<std::string> ids(const std::vector<Hit>& hits) {
  std::vector<std::string> out;
  for (const auto& hit : hits) out.push_back(hit.rule->id);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Exposures, EveryFaceGivesExactlyItsFindings) {
  const auto rules = identify::RuleSet::load({source + "/data/fingerprints"}).value();
  identify::Matcher matcher(rules);
  for (const auto& face : identify::testing::load_faces()) {
    auto expected = face.exposures;
    std::sort(expected.begin(), expected.end());
    const auto hits = evaluate(shipped(), subject_of(matcher, face));
    EXPECT_EQ(ids(hits), expected) << face.device;
    for (const auto& hit : hits) EXPECT_GE(hit.evidence.size(), 1u);
  }
}

TEST(Exposures, AmplificationComesFromTheSizes) {
  const auto rules = identify::RuleSet::load({source + "/data/fingerprints"}).value();
  identify::Matcher matcher(rules);
  for (const auto& face : identify::testing::load_faces()) {
    if (face.device != "hk-ntp") continue;
    for (const auto& hit : evaluate(shipped(), subject_of(matcher, face))) {
      if (hit.rule->id == "ntp-readvar") { ASSERT_TRUE(hit.amplification); EXPECT_DOUBLE_EQ(*hit.amplification, 30.0); }
      else EXPECT_FALSE(hit.amplification);
    }
  }
}

TEST(Exposures, SocialImpactByRuleAndByRange) {
  auto plc = one("modbus", {{"modbus.exception", "01"}}, 502);
  EXPECT_TRUE(evaluate(shipped(), plc).at(0).social);
  auto vnc = one("rfb", {{"rfb.security_types", "1"}}, 5900);
  EXPECT_FALSE(evaluate(shipped(), vnc).at(0).social);
  vnc.seen[0].social_impact = true;
  EXPECT_TRUE(evaluate(shipped(), vnc).at(0).social);
}

TEST(Exposures, WhatIsClosedOrProtectedIsNoFinding) {
  const std::vector<Subject> harmless = {
      one("dns", {{"dns.recursion", "refused"}}, 53), one("dns", {{"dns.recursion", "referral"}}, 53), one("mqtt", {{"mqtt.connack", "5"}}, 1883),
      one("rtsp", {{"rtsp.describe_status", "401"}, {"rtsp.status", "200"}}, 554), one("rtsp", {{"rtsp.status", "200"}}, 554),
      one("rfb", {{"rfb.security_types", "2,11,16"}}, 5900), one("socks5", {{"socks5.method", "ff"}}, 1080), one("socks5", {{"socks5.method", "02"}}, 1080),
      one("http", {{"http_header.server", "squid/5.7"}, {"http.status", "400"}}, 3128), one("http_proxy", {{"http.proxy", "refused"}}, 8080),
      one("ssh", {{"ssh.banner", "OpenSSH_9.2p1 Debian-2"}}, 22), one("ssh", {{"ssh.banner", "dropbear_2022.83"}}, 22), one("ssh", {{"ssh.banner", "OpenSSH_7.9"}}, 22),
      one("http", {{"http.status", "200"}, {"html_title", "My cooking blog"}}), one("http", {{"http.status", "404"}, {"html_title", "Device Console"}}),
      one("http", {{"http.status", "200"}}), one("tcp", {}), one("upnp", {{"upnp.device_type", "urn:schemas-upnp-org:device:MediaServer:1"}}, 8200), one("telnet", {}, 23)};
  for (const auto& subject : harmless) EXPECT_TRUE(evaluate(shipped(), subject).empty()) << subject.seen[0].protocol << " gives " << ids(evaluate(shipped(), subject))[0];
}

TEST(Exposures, OldSshOnly) {
  for (const char* old : {"dropbear_2012.55", "dropbear_0.52", "dropbear_2017.75", "OpenSSH_5.3", "OpenSSH_7.4p1", "OpenSSH_7.6"})
    EXPECT_EQ(ids(evaluate(shipped(), one("ssh", {{"ssh.banner", old}}, 22))), std::vector<std::string>{"old-ssh"}) << old;
  for (const char* newer : {"dropbear_2018.76", "OpenSSH_7.7", "OpenSSH_10.0", "OpenSSH_8.1", "dropbear"})
    EXPECT_TRUE(evaluate(shipped(), one("ssh", {{"ssh.banner", newer}}, 22)).empty()) << newer;
}

TEST(Exposures, ShellSilencesLoginOnTheSamePortOnly) {
  auto s = one("telnet", {{"telnet.prompt", "shell"}}, 2323);
  auto login = one("telnet", {{"telnet.prompt", "login"}}, 2323).seen[0];
  s.seen.push_back(login);
  EXPECT_EQ(ids(evaluate(shipped(), s)), std::vector<std::string>{"telnet-shell"});
  login.where.port.value = 23;
  s.seen.push_back(login);
  const auto both = evaluate(shipped(), s);
  EXPECT_EQ(ids(both), (std::vector<std::string>{"telnet-login", "telnet-shell"}));
  EXPECT_EQ(both[0].rule->severity, registry::Severity::critical) << "the worst first";
}

TEST(Exposures, NewestProofWinsAndEvidenceIsClean) {
  auto s = one("ssh", {{"ssh.banner", "dropbear_2012.55\x1b[31m\xff\n" + std::string(500, 'x')}}, 22);
  s.seen.push_back(s.seen[0]);
  s.seen[1].where.at = Instant::seconds(9);
  const auto hits = evaluate(shipped(), s);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].where.at, Instant::seconds(9));
  for (const auto& e : hits[0].evidence) {
    EXPECT_EQ(e.find('\x1b'), std::string::npos);
    EXPECT_EQ(e.find('\n'), std::string::npos);
    EXPECT_LE(e.size(), max_evidence_bytes * 3 + 10);
  }
}

RC_GTEST_PROP(Exposures, OrderDoesNotMatter, ()) {
  static const auto faces = identify::testing::load_faces();
  static const auto rules = identify::RuleSet::load({source + "/data/fingerprints"}).value();
  identify::Matcher matcher(rules);
  Subject subject;
  for (const auto i : *rc::gen::container<std::vector<std::size_t>>(3, rc::gen::inRange<std::size_t>(0, faces.size()))) {
    auto part = subject_of(matcher, faces[i]);
    subject.identity = part.identity;
    subject.seen.insert(subject.seen.end(), part.seen.begin(), part.seen.end());
  }
  const auto shown = [](const std::vector<Hit>& hits) {
    std::string out;
    for (const auto& h : hits) { out += h.rule->id + " " + text(h.where); for (const auto& e : h.evidence) out += "|" + e; out += "\n"; }
    return out;
  };
  const auto expected = shown(evaluate(shipped(), subject));
  for (std::size_t i = subject.seen.size(); i > 1; --i) std::swap(subject.seen[i - 1], subject.seen[*rc::gen::inRange<std::size_t>(0, i)]);
  for (auto& seen : subject.seen) std::reverse(seen.keys.begin(), seen.keys.end());
  RC_ASSERT(shown(evaluate(shipped(), subject)) == expected);
}

TEST(ExposureRules, MistakesAreNamedWithFileAndLine) {
  const std::string good = "id = \"x\"\npattern = \"A\"\nseverity = \"low\"\nwhy = \"w\"\nrsit = \"a/b\"\nsource = \"s\"\nadvice = \"general\"\n";
  const auto with = [&](const std::string& extra) { return Rules::parse("[[rule]]\n" + good + extra, "own.toml"); };
  EXPECT_TRUE(with("[[rule.when]]\nprotocol = \"ssh\"\n")) << with("[[rule.when]]\nprotocol = \"ssh\"\n").error().text();
  for (const char* bad : {"", "[[rule.when]]\n", "[[rule.when]]\nprotocol = \"ssh\"\ntests = [{ key = \"a\" }]\n", "[[rule.when]]\nprotocol = \"ssh\"\nmisspelt = 1\n",
                          "[[rule.when]]\nprotocol = \"ssh\"\ntests = [{ key = \"a\", matches = \"(\" }]\n", "[[rule.when]]\nprotocol = \"ssh\"\ntests = [{ key = \"a\", equals = [] }]\n",
                          "replaces = [\"nothing\"]\n[[rule.when]]\nprotocol = \"ssh\"\n", "from_sighting = true\n[[rule.when]]\nprotocol = \"ssh\"\n",
                          "[[rule.when]]\nprotocol = \"ssh\"\ntests = [{ key = \"a\", equals = \"b\", present = true }]\n", "social_impact = \"yes\"\n[[rule.when]]\nprotocol = \"ssh\"\n"}) {
    const auto rules = with(bad);
    ASSERT_FALSE(rules) << bad;
    EXPECT_NE((rules.error().what.find("own.toml:") != std::string::npos) + (rules.error().what.find("does not exist") != std::string::npos), 0) << rules.error().what;
  }
  EXPECT_FALSE(Rules::parse("[[rule]\n", "own.toml"));
  EXPECT_FALSE(Rules::parse("[[rule]]\n" + good + "[[rule.when]]\nprotocol=\"a\"\n[[rule]]\n" + good + "[[rule.when]]\nprotocol=\"a\"\n", "own.toml"));
}

TEST(ExposureRules, TestsOnNumbersAndAbsence) {
  const auto rules = Rules::parse("[[rule]]\nid = \"x\"\npattern = \"D\"\nseverity = \"low\"\nwhy = \"w\"\nrsit = \"a/b\"\nsource = \"s\"\nadvice = \"general\"\n[[rule.when]]\nprotocol = \"p\"\n"
                                  "tests = [{ key = \"n\", number_below = 5 }, { key = \"gone\", present = false }]\n", "own.toml").value();
  EXPECT_EQ(evaluate(rules, one("p", {{"n", "4.5"}})).size(), 1u);
  EXPECT_EQ(evaluate(rules, one("p", {{"n", "5"}})).size(), 0u);
  EXPECT_EQ(evaluate(rules, one("p", {{"n", "4x"}})).size(), 0u);
  EXPECT_EQ(evaluate(rules, one("p", {{"n", "4"}, {"gone", ""}})).size(), 0u);
}

registry::Identity identity(std::string vendor, std::string product, std::string type, double confidence = 0.9) {
  registry::Identity i;
  i.vendor = {std::move(vendor), confidence, {}};
  i.product = {std::move(product), confidence, {}};
  i.type = {std::move(type), confidence, {}};
  return i;
}

TEST(Advice, TheMostSpecificFits) {
  const auto& k = knowledge();
  EXPECT_EQ(k.resolve_advice(identity("NEC Platforms", "Aterm WG1200HP4", "Broadband Router"), "upnp-igd-wan", "upnp-wan"), "aterm-upnp");
  EXPECT_EQ(k.resolve_advice(identity("Other", "X-1", "Broadband Router"), "upnp-igd-wan", "upnp-wan"), "upnp-wan");
  EXPECT_EQ(k.resolve_advice(identity("UNIMO Technology", "UDR-JA1604", "DVR"), "infected", "infected"), "unimo-recorder");
  EXPECT_EQ(k.resolve_advice(identity("", "", "DVR"), "infected", "infected"), "infected-recorder");
  EXPECT_EQ(k.resolve_advice({}, "infected", "infected"), "infected");
  EXPECT_EQ(k.resolve_advice({}, "telnet-login", "telnet-open"), "telnet-open");
  EXPECT_EQ(k.resolve_advice({}, "never-heard-of", ""), "general");
  EXPECT_EQ(k.resolve_advice({}, "never-heard-of", "missing"), "general");
}

TEST(Advice, WeakEvidenceGivesGeneralSteps) {
  EXPECT_EQ(knowledge().resolve_advice(identity("NEC Platforms", "Aterm WG1200HP4", "", 0.5), "upnp-igd-wan", "upnp-wan"), "upnp-wan") << "wrong steps are worse than general ones";
}

TEST(Products, FoundByIdentity) {
  const auto* p = knowledge().product_of(identity("NEC Platforms, Ltd.", "Aterm WG1200HP4", "Broadband Router"));
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(p->id, "nec-aterm-wg1200hp4");
  EXPECT_EQ(knowledge().product_of(identity("NEC Platforms", "Aterm WX9999", "Broadband Router")), nullptr) << "missing means unknown";
  EXPECT_EQ(knowledge().product_of(identity("Buffalo", "LS220D", "NAS", 0.4)), nullptr);
  EXPECT_EQ(knowledge().product_by_id("no-such"), nullptr);
}

TEST(Products, TypeSlugs) {
  EXPECT_EQ(type_slug("Broadband Router"), "broadband-router");
  EXPECT_EQ(type_slug("IP Camera"), "ip-camera");
  EXPECT_EQ(type_slug(""), "device");
  EXPECT_EQ(type_slug("<b>"), "b");
}

}  // namespace
}  // namespace nora::expose
