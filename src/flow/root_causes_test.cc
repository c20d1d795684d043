// A neighbourhood with one cause of each kind: who can fix all of it, and what the days show. On both stores.
#include "flow/root_causes.h"

#include <gtest/gtest.h>

#include "flow/testing/faces_world.h"
#include "store/testing/both_stores.h"

namespace nora::flow {
namespace {

const Instant t0 = Instant::parse("2026-11-10T03:00:00Z").value();
constexpr std::string_view routes_text = R"(
[[isp]]
id = "hikari"
name = "Hikari"
track = "list"
  [[isp.prefix]]
  prefix = "203.0.113.0/24"
  from = 2026-11-01T00:00:00Z
[[isp]]
id = "sakura"
name = "Sakura"
track = "list"
  [[isp.prefix]]
  prefix = "198.51.100.0/24"
  from = 2026-11-01T00:00:00Z
)";

class CausesOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    routes = *cases::Routes::parse(routes_text, "routes.toml");
  }
  void TearDown() override {
    registry.reset();
    BothStores::TearDown();
  }
  // A device with one finding, seen on the day; `mark` is the hash of a host key that it shows.
  registry::Id put(std::string_view address, std::string vendor, std::string product, std::string rule, std::string mark = "", std::string subject = "", std::string firmware = "1.0") {
    const auto where = Endpoint{*Ip::parse(address), {443}, Proto::tcp, t0};
    registry::Device d;
    d.identity.vendor = {std::move(vendor), 0.9, {}};
    d.identity.product = {std::move(product), 0.9, {}};
    d.identity.firmware = {std::move(firmware), 0.9, {}};
    d.first_seen = d.last_seen = t0;
    const auto device = registry->put_device(d, "", "r1").value();
    registry::ReplyRecord r;
    r.reply.protocol = "https";
    r.reply.keys = {{"x509.key_sha256", mark.empty() ? "own key of " + std::string(address) : mark}, {"x509.subject", subject}};
    r.reply.bytes = to_bytes(std::string(address) + mark);
    r.reply.hash = registry::reply_hash(r.reply.protocol, r.reply.bytes);
    r.seen.where = where;
    r.seen.reply_hash = r.reply.hash;
    r.seen.probe = "https";
    r.seen.segment = "s1/0";
    EXPECT_TRUE(registry->put_replies({r}));
    const auto all = registry->observations_of(where.ip, 1).value();
    EXPECT_TRUE(registry->put_endpoint({device, where.ip, where.port, where.proto, t0, t0, r.reply.hash, all.at(0).id}));
    registry::StoredFinding s;
    s.finding.device = device;
    s.finding.rule = std::move(rule);
    s.finding.where = where;
    s.finding.severity = registry::Severity::high;
    s.finding.first_seen = s.finding.last_seen = t0;
    s.finding.state = "open";
    const auto id = registry->put_finding(s).value();
    EXPECT_TRUE(registry->add_finding_event({0, id, t0, "found", "flow", "r1", "", "s1/0"}));
    return id;
  }
  void fix(registry::Id id, Instant at) {
    auto f = registry->finding(id).value().value();
    f.finding.state = "fixed";
    ASSERT_TRUE(registry->put_finding(f));
    ASSERT_TRUE(registry->add_finding_event({0, id, at, "fixed", "flow", "r1", "", "s2/0"}));
  }
  RootCauses causes() {
    auto found = root_causes(*registry, routes, *testing::shipped());
    EXPECT_TRUE(found) << (found ? "" : found.error().text());
    return found ? *found : RootCauses{};
  }
  std::optional<registry::Registry> registry;
  cases::Routes routes;
};
NORA_ON_BOTH_STORES(CausesOnBoth);

TEST_P(CausesOnBoth, EachCauseHasTheOneWhoCanFixAllOfIt) {
  // A product in two providers' lines: the maker.
  for (const char* a : {"203.0.113.1", "203.0.113.2", "198.51.100.1", "198.51.100.2"}) put(a, "Buffalo", "LS220D", "nas-ftp");
  // A product in one provider's lines only: a rental model.
  for (const char* a : {"203.0.113.11", "203.0.113.12", "203.0.113.13"}) put(a, "Kinmirai Denki", "ONU-1", "admin-page");
  // The provider's maintenance port, whatever the device.
  for (const char* a : {"198.51.100.31", "198.51.100.32", "198.51.100.33"}) put(a, "Maker " + std::string(a), "R" + std::string(a), "cwmp-open");
  // The same certificate key at many sites, in two products: an installer.
  for (const char* a : {"203.0.113.51", "198.51.100.52"}) put(a, "Pro-face", "GP4501TW", "controller-web", "installerkey0123456789", "CN=panel,O=Example Setsubi");
  put("203.0.113.53", "Contec", "SolarView Compact", "controller-web", "installerkey0123456789", "CN=panel,O=Example Setsubi");
  // The same key in units of one product whose certificate names the maker: the maker again.
  for (const char* a : {"203.0.113.61", "198.51.100.62", "198.51.100.63"}) put(a, "I-O DATA", "HDL2-AA", "admin-page", "makerkey0123456789abcd", "CN=HDL2-AA,O=I-O DATA");
  // Two are no group.
  for (const char* a : {"203.0.113.71", "198.51.100.72"}) put(a, "Canon", "VB-S30D", "camera-web");
  const auto found = causes();
  EXPECT_TRUE(found.complete);
  std::map<std::string, RootCause> by;
  for (const auto& c : found.causes) by[std::string(name(c.fixer)) + " " + c.rule] = c;
  ASSERT_EQ(found.causes.size(), 5u);
  EXPECT_EQ(by["maker nas-ftp"].who, "Buffalo");
  EXPECT_EQ(by["maker nas-ftp"].sites, 4);
  EXPECT_EQ(by["maker nas-ftp"].isps, (std::vector<std::string>{"hikari", "sakura"}));
  EXPECT_EQ(by["maker nas-ftp"].firmware, "1.0");
  EXPECT_EQ(by["isp admin-page"].who, "hikari");
  EXPECT_EQ(by["provider cwmp-open"].who, "sakura");
  EXPECT_EQ(by["provider cwmp-open"].sites, 3);
  EXPECT_EQ(by["installer controller-web"].sites, 3);
  EXPECT_TRUE(by["installer controller-web"].product.empty()) << "two products";
  EXPECT_NE(by["installer controller-web"].who.find("Example Setsubi"), std::string::npos);
  EXPECT_EQ(by["maker admin-page"].who, "I-O DATA");
}

TEST_P(CausesOnBoth, OneProviderAloneShowsNoRentalModel) {
  for (const char* a : {"203.0.113.1", "203.0.113.2", "203.0.113.3"}) put(a, "Buffalo", "LS220D", "nas-ftp");
  const auto found = causes();
  ASSERT_EQ(found.causes.size(), 1u);
  EXPECT_EQ(found.causes[0].fixer, Fixer::maker) << "a survey of one provider would call every product its rental model";
}

TEST_P(CausesOnBoth, TheEffectIsMeasuredByDays) {
  std::vector<registry::Id> ids;
  for (const char* a : {"203.0.113.1", "203.0.113.2", "198.51.100.1", "198.51.100.2"}) ids.push_back(put(a, "Buffalo", "LS220D", "nas-ftp"));
  fix(ids[0], t0 + Span::days(3));
  fix(ids[1], t0 + Span::days(3));
  fix(ids[2], t0 + Span::days(5));
  ASSERT_TRUE(registry->add_finding_event({0, ids[2], t0 + Span::days(6), "reopened", "flow", "r1", "", "s3/0"}));
  auto back = registry->finding(ids[2]).value().value();
  back.finding.state = "open";
  ASSERT_TRUE(registry->put_finding(back));
  const auto found = causes();
  ASSERT_EQ(found.causes.size(), 1u);
  const auto& c = found.causes[0];
  EXPECT_EQ(c.open, 2);
  EXPECT_EQ(c.fixed, 2);
  ASSERT_EQ(c.days.size(), 4u);
  EXPECT_EQ(c.days[0].date, "2026-11-10");
  EXPECT_EQ(c.days[0].open, 4);
  EXPECT_EQ(c.days[1].open, 2);
  EXPECT_EQ(c.days[2].open, 1);
  EXPECT_EQ(c.days[3].open, 2);
  EXPECT_EQ(c.before().open, 4);
  EXPECT_EQ(c.before().date, "2026-11-10");
  const auto messages = Messages::load(std::string(NORA_SOURCE_DIR) + "/data/messages").value();
  for (const Lang lang : all_langs) {
    const auto text = request_text(c, messages, lang);
    EXPECT_NE(text.find("LS220D"), std::string::npos) << text;
    EXPECT_EQ(text.find('{'), std::string::npos) << text;
    for (const char* address : {"203.0.113.", "198.51.100."}) EXPECT_EQ(text.find(address), std::string::npos) << "a request names no address of anybody";
  }
}

}  // namespace
}  // namespace nora::flow
