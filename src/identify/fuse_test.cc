#include "identify/fuse.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "identify/words.h"

namespace nora::identify {
namespace {

Statement says(std::string key, std::string vendor, std::string product, std::string type = {}, double certainty = 0.85) {
  Statement s;
  s.rule = key + ":" + vendor + product + type;
  s.key = std::move(key);
  s.vendor = std::move(vendor);
  s.product = std::move(product);
  s.type = std::move(type);
  s.certainty = certainty;
  return s;
}
Service tcp(std::uint16_t port) { return {Port{port}, Proto::tcp}; }

TEST(Words, Names) {
  EXPECT_TRUE(compatible("NEC Platforms, Ltd.", "NEC"));
  EXPECT_TRUE(compatible("Aterm WG1200HP4", "aterm"));
  EXPECT_FALSE(compatible("Aterm WG1200HP4", "Aterm WX3000HP"));
  EXPECT_TRUE(compatible("", "anything"));
  EXPECT_FALSE(compatible("Buffalo", "I-O DATA"));
  EXPECT_EQ(normal("BUFFALO INC."), normal("Buffalo"));
  EXPECT_TRUE(covers("LAN-W300N/R", "LAN-W300N/R"));
}

TEST(Fuse, IndependentEvidenceAddsUp) {
  const auto one = fuse({{tcp(80), {says("html_title", "Maker", "M-1")}}});
  const auto two = fuse({{tcp(80), {says("html_title", "Maker", "M-1")}}, {tcp(21), {says("ftp.banner", "Maker", "M-1")}}});
  ASSERT_EQ(two.size(), 1u);
  EXPECT_NEAR(one[0].identity.product.confidence, 0.85, 1e-9);
  EXPECT_NEAR(two[0].identity.product.confidence, 1 - 0.15 * 0.15, 1e-9);
  EXPECT_EQ(two[0].identity.product.evidence.size(), 2u);
  EXPECT_NE(two[0].identity.product.evidence[0].find("rule"), std::string::npos);
}

TEST(Fuse, TheSameRuleOnTwoPortsCountsOnce) {
  const auto s = says("html_title", "Maker", "M-1");
  const auto both = fuse({{tcp(80), {s}}, {tcp(443), {s}}});
  ASSERT_EQ(both.size(), 1u);
  EXPECT_NEAR(both[0].identity.product.confidence, 0.85, 1e-9);
  EXPECT_EQ(both[0].identity.product.evidence.size(), 2u);
}

TEST(Fuse, GeneralSupportsSpecific) {
  const auto d = fuse({{tcp(443), {says("x509.subject", "NEC", "Aterm")}}, {tcp(80), {says("html_title", "NEC Platforms", "Aterm WG1200HP4")}}});
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].identity.product.value, "Aterm WG1200HP4");
  EXPECT_EQ(d[0].identity.vendor.value, "NEC Platforms");
  EXPECT_GT(d[0].identity.product.confidence, 0.97);
  EXPECT_TRUE(d[0].conflicts.empty());
}

TEST(Fuse, TwoProductsOnTwoPortsAreTwoDevices) {
  const auto d = fuse({{tcp(80), {says("html_title", "NEC", "Aterm WG1200", "Broadband Router")}},
                       {tcp(8080), {says("html_title", "Panasonic", "BB-HCM715", "IP Camera")}},
                       {tcp(554), {says("rtsp_header.server", "Panasonic", "", "IP Camera", 0.5)}}, {tcp(9999), {}}});
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].identity.product.value, "Aterm WG1200");
  EXPECT_EQ(d[1].identity.product.value, "BB-HCM715");
  EXPECT_EQ(d[1].services, (std::vector<Service>{tcp(554), tcp(8080)})) << "weak evidence goes where it does not contradict";
  std::size_t services = 0;
  for (const auto& device : d) services += device.services.size();
  EXPECT_EQ(services, 4u) << "every service belongs to exactly one device";
}

TEST(Fuse, ContradictionOnOnePortLowersAndIsReported) {
  const auto d = fuse({{tcp(80), {says("html_title", "Maker", "M-1"), says("http_header.server", "Other", "O-2", "", 0.7)}}});
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].identity.product.value, "M-1");
  EXPECT_LT(d[0].identity.vendor.confidence, 0.85 * 0.7);
  ASSERT_FALSE(d[0].conflicts.empty());
  EXPECT_NE(d[0].conflicts[0].find("Other"), std::string::npos);
}

TEST(Fuse, NothingKnown) {
  EXPECT_TRUE(fuse({}).empty());
  const auto d = fuse({{tcp(80), {}}, {tcp(23), {}}});
  ASSERT_EQ(d.size(), 1u);
  EXPECT_TRUE(d[0].identity.product.value.empty());
  EXPECT_FALSE(d[0].identity.product_known());
  Statement s;
  s.key = "http_header.server";
  s.rule = "r";
  s.software = "nginx";
  s.certainty = 0.85;
  const auto web = fuse({{tcp(80), {s}}});
  EXPECT_TRUE(web.at(0).identity.vendor.value.empty()) << "software is not a device";
  EXPECT_EQ(web[0].software, std::vector<std::string>{"nginx"});
}

TEST(Fuse, StatementsSurviveJson) {
  std::vector<Statement> all = {says("k", "V", "P", "T", 0.5)};
  all[0].firmware = "1.2";
  all[0].serial = "S1";
  all[0].mac = "00:00:5e:00:53:01";
  all[0].software = "x 1";
  all[0].verified = true;
  EXPECT_EQ(statements_from_json(to_json(all)).value(), all);
  EXPECT_FALSE(statements_from_json(json::Array{1}));
}

rc::Gen<Statement> any_statement() {
  using namespace rc;
  return gen::apply([](int key, int vendor, int product, int type, int firmware, int certainty) {
    static const char* keys[] = {"html_title", "http_header.server", "ftp.banner", "x509.subject"};
    static const char* vendors[] = {"", "NEC", "NEC Platforms", "Buffalo", "BUFFALO INC."};
    static const char* products[] = {"", "Aterm", "Aterm WG1", "Aterm WG2", "LS220D", "Other X"};
    static const char* types[] = {"", "Router", "NAS", "Broadband Router"};
    static const char* versions[] = {"", "1.0", "2.0"};
    auto s = says(keys[key], vendors[vendor], products[product], types[type], certainty / 10.0);
    s.firmware = versions[firmware];
    return s;
  }, gen::inRange(0, 4), gen::inRange(0, 5), gen::inRange(0, 6), gen::inRange(0, 4), gen::inRange(0, 3), gen::inRange(1, 10));
}

std::string shown(const std::vector<FusedDevice>& devices) {
  std::string out;
  for (const auto& d : devices) {
    for (const auto* c : {&d.identity.vendor, &d.identity.product, &d.identity.firmware, &d.identity.type}) {
      out += c->value + "@" + std::to_string(c->confidence);
      for (const auto& e : c->evidence) out += "," + e;
      out += ";";
    }
    for (const auto& s : d.services) out += std::to_string(s.port.value) + " ";
    for (const auto& c : d.conflicts) out += c;
    out += "\n";
  }
  return out;
}

RC_GTEST_PROP(Fuse, OrderDoesNotMatter, ()) {
  const auto statements = *rc::gen::container<std::vector<Statement>>(any_statement());
  const auto ports = *rc::gen::container<std::vector<std::uint16_t>>(statements.size(), rc::gen::element<std::uint16_t>(23, 80, 443, 8080));
  std::vector<Evidence> in;
  for (std::size_t i = 0; i < statements.size(); ++i) in.push_back({tcp(ports[i]), {statements[i]}});
  const auto expected = shown(fuse(in));
  auto shuffled = in;
  for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
  RC_ASSERT(shown(fuse(shuffled)) == expected);
}

RC_GTEST_PROP(Fuse, EveryServiceOnceAndConfidenceInRange, ()) {
  const auto statements = *rc::gen::container<std::vector<Statement>>(any_statement());
  std::vector<Evidence> in;
  std::set<Service> all;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    in.push_back({tcp(static_cast<std::uint16_t>(80 + i % 5)), {statements[i]}});
    all.insert(in.back().where);
  }
  std::set<Service> seen;
  for (const auto& d : fuse(in)) {
    for (const auto& s : d.services) RC_ASSERT(seen.insert(s).second);
    for (const auto* c : {&d.identity.vendor, &d.identity.product, &d.identity.firmware, &d.identity.type}) {
      RC_ASSERT(c->confidence >= 0 && c->confidence < 1);
      RC_ASSERT(c->value.empty() == c->evidence.empty());
    }
  }
  RC_ASSERT(seen == all);
}

// recog's CPE fields: of the device when they speak of its hardware or its maker's own system, else of a component.
TEST(Fuse, CpeNamesStayWithTheDeviceThatTheyName) {
  RuleSet rules;
  rules.add_file("t", R"x(<fingerprints matches="telnet_banners">
    <fingerprint pattern="^RouterOS v(\S+)$"><param pos="0" name="os.vendor" value="MikroTik"/><param pos="0" name="os.product" value="RouterOS"/><param pos="0" name="os.device" value="Router"/>
      <param pos="1" name="os.version"/><param pos="0" name="os.cpe23" value="cpe:/o:mikrotik:routeros:{os.version}"/></fingerprint>
    <fingerprint pattern="^WRT3200 with DD-WRT$"><param pos="0" name="hw.vendor" value="Linksys"/><param pos="0" name="hw.product" value="WRT3200"/><param pos="0" name="hw.cpe23" value="cpe:/h:linksys:wrt3200:-"/>
      <param pos="0" name="os.vendor" value="DD-WRT"/><param pos="0" name="os.product" value="DD-WRT"/><param pos="0" name="os.cpe23" value="cpe:/o:dd-wrt:dd-wrt:-"/></fingerprint>
    <fingerprint pattern="^lighttpd/(\S+)$"><param pos="0" name="service.vendor" value="lighttpd"/><param pos="0" name="service.product" value="lighttpd"/><param pos="1" name="service.version"/>
      <param pos="0" name="service.cpe23" value="cpe:/a:lighttpd:lighttpd:{service.version}"/><param pos="0" name="service.component.cpe23" value="cpe:/a:openssl:openssl:-"/></fingerprint></fingerprints>)x");
  ASSERT_TRUE(rules.problems().empty()) << rules.problems()[0].text();
  Matcher matcher(rules);
  const auto said = [&](const char* text) {
    const std::vector<registry::KeyValue> keys{{"telnet_banners", text}};
    return statements_of(matcher, keys);
  };
  const auto router = said("RouterOS v6.40.8"), box = said("WRT3200 with DD-WRT"), server = said("lighttpd/1.4.35");
  ASSERT_EQ(router.size() + box.size() + server.size(), 3u);
  EXPECT_EQ(router[0].cpes, std::vector<std::string>{"cpe:/o:mikrotik:routeros:6.40.8"});
  EXPECT_EQ(box[0].cpes, std::vector<std::string>{"cpe:/h:linksys:wrt3200:-"});
  EXPECT_EQ(box[0].components, std::vector<std::string>{"cpe:/o:dd-wrt:dd-wrt:-"}) << "another maker's system is no name of the box";
  EXPECT_EQ(server[0].components, (std::vector<std::string>{"cpe:/a:lighttpd:lighttpd:1.4.35", "cpe:/a:openssl:openssl:-"}));
  EXPECT_EQ(statements_from_json(to_json(server)).value(), server);

  const auto one = fuse({{tcp(23), router}, {tcp(80), server}});
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].identity.cpes, router[0].cpes);
  EXPECT_EQ(one[0].identity.components, server[0].components);
  const auto two = fuse({{tcp(23), router}, {tcp(2323), box}});
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].identity.cpes, router[0].cpes);
  EXPECT_EQ(two[1].identity.cpes, box[0].cpes) << "each its own";
  // What contradicts the winner, in the product or in the firmware, does not name it.
  auto other = says("html_title", "MikroTik", "RouterOS");
  other.firmware = "7.1";
  other.cpes = {"cpe:/o:mikrotik:routeros:7.1"};
  auto twice = router;
  twice.push_back(says("ftp.banner", "MikroTik", "RouterOS"));
  twice.back().firmware = "6.40.8";
  const auto mixed = fuse({{tcp(23), twice}, {tcp(80), {other}}});
  ASSERT_EQ(mixed.size(), 1u);
  EXPECT_EQ(mixed[0].identity.firmware.value, "6.40.8");
  EXPECT_EQ(mixed[0].identity.cpes, router[0].cpes);
  auto nameless = says("html_title", "", "", "Router");
  nameless.cpes = {"cpe:/h:somebody:else:-"};
  EXPECT_EQ(fuse({{tcp(23), router}, {tcp(80), {nameless}}})[0].identity.cpes, router[0].cpes) << "a rule that names nobody";
}

}  // namespace
}  // namespace nora::identify
