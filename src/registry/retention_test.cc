// Retention on both stores: what is old goes, what is young or belongs to an open case stays, a try changes nothing.
#include "registry/retention.h"

#include <gtest/gtest.h>

#include "registry/registry.h"
#include "store/testing/both_stores.h"

namespace nora::registry {
namespace {

const Instant now = Instant::seconds(1'795'600'000);
const Instant old = now - Span::days(200), recent = now - Span::days(40), young = now - Span::days(1);
Ip ip(std::string_view text) { return *Ip::parse(text); }

class RetentionOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
  }
  void TearDown() override {
    registry.reset();
    BothStores::TearDown();
  }
  ReplyRecord reply(std::string_view address, std::string_view bytes, Instant at) {
    ReplyRecord r;
    r.reply.protocol = "http";
    r.reply.bytes = to_bytes(bytes);
    r.reply.keys = {{"html_title", std::string(bytes)}};
    r.reply.hash = reply_hash("http", r.reply.bytes);
    r.seen.where = {ip(address), {80}, Proto::tcp, at};
    r.seen.reply_hash = r.reply.hash;
    r.seen.probe = "http";
    r.seen.segment = "s1/0";
    return r;
  }
  Id observation(std::string_view address) { return registry->observations_of(ip(address))->at(0).id; }
  Id finding(std::string_view address, Instant at, Id case_id) {
    StoredFinding s;
    s.finding.rule = "http-open";
    s.finding.where = {ip(address), {80}, Proto::tcp, at};
    s.finding.first_seen = s.finding.last_seen = at;
    s.finding.state = "open";
    s.observation = observation(address);
    s.case_id = case_id;
    auto id = registry->put_finding(s);
    EXPECT_TRUE(id) << id.error().text();
    EXPECT_TRUE(db->exec("UPDATE finding SET case_id = ? WHERE id = ?", {case_id, *id}));
    EXPECT_TRUE(registry->add_finding_event({0, *id, at, "found", "flow", "v1", "", "s1/0"}));
    return *id;
  }
  void make_case(Id id, std::string_view state, Instant at) {
    ASSERT_TRUE(db->exec("INSERT INTO cases (id, line_key, device, isp, track, state, state_at, first_seen, word1, word2) VALUES (?, '', 0, '', 'list', ?, ?, ?, '', '')",
                         {id, std::string(state), at, at}));
  }
  std::int64_t count(const std::string& table) { return db->one("SELECT count(*) FROM " + table)->integer(); }
  RetentionLimits limits() const { return {now - Span::days(30), now - Span::days(180), now - Span::days(90), {"CLOSED", "X_FP"}}; }
  std::optional<Registry> registry;
};
NORA_ON_BOTH_STORES(RetentionOnBoth);

TEST_P(RetentionOnBoth, OldThingsGoAndOpenCasesStay) {
  // .1: old, without a case. .2: old, its case is open. .3: old, its case was closed long ago. .4: its case was closed yesterday.
  // .5: seen 40 days ago. .6: yesterday; it says the same as .1.
  ASSERT_TRUE(registry->put_replies({reply("203.0.113.1", "A", old), reply("203.0.113.2", "B", old), reply("203.0.113.3", "C", old), reply("203.0.113.4", "D", old),
                                     reply("203.0.113.5", "E", recent), reply("203.0.113.6", "A", young)}));
  make_case(2, "S4_NOTIFIED", old);
  make_case(3, "CLOSED", old);
  make_case(4, "CLOSED", young);
  finding("203.0.113.1", old, 0);
  const Id open = finding("203.0.113.2", old, 2);
  finding("203.0.113.3", old, 3);
  const Id closed = finding("203.0.113.4", old, 4);
  ASSERT_TRUE(registry->put_outcomes({{ip("203.0.113.9"), {80}, Proto::tcp, "syn", recent, "closed", "s1/0"}, {ip("203.0.113.9"), {80}, Proto::tcp, "syn", young, "closed", "s1/0"}}));
  Sighting s{.id = 0, .ip = ip("203.0.113.52"), .first = old, .last = old, .sensor = "darknet", .kind = "mirai", .verdict = "confirmed", .packets = 1, .destinations = 1, .ports = {}, .samples = {}};
  auto fresh = s;
  fresh.first = fresh.last = young;
  ASSERT_TRUE(registry->put_sightings({s, fresh}));

  const Forgotten expected{.reply_bytes = 4, .outcomes = 1, .findings = 2, .observations = 2, .endpoints = 0, .replies = 1, .sightings = 1};
  const auto tried = forget(*db, limits(), true);
  ASSERT_TRUE(tried) << tried.error().text();
  EXPECT_EQ(*tried, expected);
  EXPECT_EQ(count("finding"), 4);
  EXPECT_EQ(count("observation"), 6);
  EXPECT_EQ((*registry->reply(reply_hash("http", to_bytes("E"))))->bytes, to_bytes("E"));

  const auto done = forget(*db, limits(), false);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(*done, expected);
  EXPECT_TRUE(registry->finding(open)->has_value());
  EXPECT_TRUE(registry->finding(closed)->has_value());
  EXPECT_EQ(count("finding"), 2);
  EXPECT_EQ(count("finding_event"), 2);
  EXPECT_EQ(count("cases"), 3);
  EXPECT_EQ(count("sighting"), 1);
  EXPECT_EQ((*registry->reply(reply_hash("http", to_bytes("A"))))->bytes, to_bytes("A")) << "it was seen again yesterday";
  const auto e = *registry->reply(reply_hash("http", to_bytes("E")));
  ASSERT_TRUE(e);
  EXPECT_TRUE(e->bytes.empty());
  EXPECT_EQ(e->keys.size(), 1u) << "a device keeps its name";
  EXPECT_FALSE(registry->reply(reply_hash("http", to_bytes("C")))->has_value());

  EXPECT_EQ(forget(*db, limits(), false)->total(), 0) << "once is enough";
  // What was deleted and is seen again is whole again.
  ASSERT_TRUE(registry->put_replies({reply("203.0.113.5", "E", now)}));
  EXPECT_EQ((*registry->reply(reply_hash("http", to_bytes("E"))))->bytes, to_bytes("E"));
}

}  // namespace
}  // namespace nora::registry
