// Conformance suite of the registry: every test runs on SQLite and on a real PostgreSQL 15.
#include "registry/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/crypto.h"
#include "registry/views.h"
#include "store/testing/both_stores.h"

namespace nora::registry {
namespace {

const Instant t0 = Instant::seconds(1'795'600'000);
Ip ip(std::string_view text) { return *Ip::parse(text); }

ReplyRecord record(std::string_view address, std::uint16_t port, std::string_view bytes, Instant at, std::string_view segment = "s1/0") {
  ReplyRecord r;
  r.reply.protocol = "http";
  r.reply.bytes = to_bytes(bytes);
  r.reply.keys = {{"http_header.server", std::string(bytes)}, {"html_title", std::string("nul\0\xff bytes", 11)}};
  r.reply.hash = reply_hash("http", r.reply.bytes);
  r.seen.where = {ip(address), {port}, Proto::tcp, at};
  r.seen.reply_hash = r.reply.hash;
  r.seen.probe = "http";
  r.seen.segment = segment;
  r.seen.request_bytes = 90;
  r.seen.reply_bytes = static_cast<std::int64_t>(bytes.size());
  return r;
}

class RegistryOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    auto migrated = registry->migrate();
    ASSERT_TRUE(migrated) << migrated.error().text();
  }
  void TearDown() override {
    registry.reset();
    BothStores::TearDown();
  }
  Finding finding_of(Id device) {
    Finding f;
    f.device = device;
    f.rule = "telnet-login";
    f.pattern = Pattern::D;
    f.severity = Severity::high;
    f.rsit = "vulnerable/potentially-unwanted-accessible";
    f.where = {ip("203.0.113.10"), {23}, Proto::tcp, t0};
    f.first_seen = f.last_seen = t0;
    f.state = "open";
    f.evidence = {"telnet_banners on 23/tcp"};
    f.amplification = 3.5;
    return f;
  }
  std::optional<Registry> registry;
};
NORA_ON_BOTH_STORES(RegistryOnBoth);

TEST_P(RegistryOnBoth, MigratesOnceAndAgain) {
  EXPECT_TRUE(registry->migrate());
  auto second = open_again();
  EXPECT_TRUE(Registry(*second).migrate());
}

TEST_P(RegistryOnBoth, RepliesAreStoredOnceAndBytesStayBytes) {
  const std::vector<ReplyRecord> batch = {record("203.0.113.1", 80, "A", t0), record("203.0.113.2", 80, "A", t0), record("203.0.113.2", 81, "B", t0)};
  auto first = registry->put_replies(batch);
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(first->replies_new, 2);
  EXPECT_EQ(first->rows_new, 3);
  auto back = registry->reply(batch[0].reply.hash);
  ASSERT_TRUE(back && *back);
  EXPECT_EQ(**back, batch[0].reply);
  auto seen = registry->observations_of(ip("203.0.113.2"));
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->size(), 2u);
  EXPECT_EQ((*seen)[0].request_bytes, 90);
  EXPECT_FALSE(registry->reply(Hash{})->has_value());
}

TEST_P(RegistryOnBoth, SameBatchAgainInAnyOrderChangesNothing) {
  std::vector<ReplyRecord> batch;
  for (int i = 0; i < 200; ++i)
    batch.push_back(record("198.51.100." + std::to_string(1 + i % 40), static_cast<std::uint16_t>(80 + i % 5), "reply " + std::to_string(i % 17), t0 + Span::ms(i)));
  ASSERT_TRUE(registry->put_replies(batch));
  auto before = registry->observations_after(0, 1000);
  std::mt19937 shuffle(7);
  for (int round = 0; round < 3; ++round) {
    std::shuffle(batch.begin(), batch.end(), shuffle);
    auto again = registry->put_replies(batch);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->replies_new, 0);
    EXPECT_EQ(again->rows_new, 0);
  }
  auto after = registry->observations_after(0, 1000);
  ASSERT_TRUE(before && after);
  ASSERT_EQ(before->size(), 200u);
  ASSERT_EQ(after->size(), before->size());
  for (std::size_t i = 0; i < after->size(); ++i) EXPECT_EQ((*after)[i].id, (*before)[i].id);
}

TEST_P(RegistryOnBoth, ReplyWithAWrongHashIsRefused) {
  auto r = record("203.0.113.1", 80, "A", t0);
  r.reply.hash[0] ^= 1;
  EXPECT_FALSE(registry->put_replies({r}));
  EXPECT_EQ(registry->observations_after(0, 10)->size(), 0u);
}

TEST_P(RegistryOnBoth, OutcomesAreIdempotent) {
  const std::vector<Outcome> batch = {{ip("203.0.113.1"), {23}, Proto::tcp, "telnet", t0, "closed", "s1/0"},
                                      {ip("203.0.113.1"), {80}, Proto::tcp, "http", t0, "silent", "s1/0"}};
  EXPECT_EQ(registry->put_outcomes(batch)->rows_new, 2);
  EXPECT_EQ(registry->put_outcomes({batch[1], batch[0]})->rows_new, 0);
  Id last = 0;
  auto rows = registry->outcomes_after(0, 10, &last);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->at(0).outcome, "closed");
  EXPECT_EQ(registry->outcomes_after(last, 10, &last)->size(), 0u);
}

TEST_P(RegistryOnBoth, SegmentLeasesAreFenced) {
  Segment s;
  s.survey = "s1";
  for (int i = 0; i < 2; ++i) {
    s.number = i;
    s.id = "s1/" + std::to_string(i);
    s.from = static_cast<std::uint64_t>(i) * 100;
    s.to = s.from + 100;
    ASSERT_TRUE(registry->add_segments({s}));
  }
  ASSERT_TRUE(registry->add_segments({s}));  // again: nothing
  s.number = 2;  // beyond the plan (a second look of one node): never leased to another
  s.id = "s1/2";
  ASSERT_TRUE(registry->add_segments({s}));
  auto lease = [&](std::string_view node, Instant now, std::size_t n = 1) { return *registry->lease_segments("s1", node, now, Span::seconds(30), 2, n); };
  auto a = lease("node-a", t0), b = lease("node-b", t0, 5);
  ASSERT_TRUE(a.size() == 1 && b.size() == 1);
  EXPECT_EQ(a[0].number, 0);
  EXPECT_EQ(b[0].number, 1);
  EXPECT_TRUE(lease("node-c", t0).empty());
  EXPECT_EQ(*registry->segments_left("s1", t0, 2), (std::pair<std::int64_t, std::int64_t>{2, 0}));
  EXPECT_TRUE(registry->renew_segments({{b[0].id, b[0].fence}}, t0 + Span::seconds(60))->empty());
  // node-a pauses past its lease: node-c takes over, and the late commit of node-a is refused.
  auto c = lease("node-c", t0 + Span::seconds(31), 5);
  ASSERT_EQ(c.size(), 1u);
  EXPECT_EQ(c[0].id, a[0].id);
  EXPECT_GT(c[0].fence, a[0].fence);
  EXPECT_EQ(*registry->renew_segments({{a[0].id, a[0].fence}, {c[0].id, c[0].fence}}, t0 + Span::seconds(70)), std::vector<std::string>{a[0].id});
  EXPECT_FALSE(registry->note_reserved(a[0].id, a[0].fence, "leaf"));
  EXPECT_TRUE(registry->note_reserved(c[0].id, c[0].fence, "leaf 6"));
  auto late = registry->commit_segment(a[0].id, a[0].fence, 100, Hash{}, "leaf");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::refused);
  EXPECT_TRUE(registry->mark_sent(c[0].id, c[0].fence, 100));
  EXPECT_TRUE(registry->commit_segment(c[0].id, c[0].fence, 100, sha256(as_bytes("file")), "leaf 7"));
  EXPECT_FALSE(registry->commit_segment(c[0].id, c[0].fence, 100, Hash{}, "again"));
  auto stored = registry->segment(c[0].id);
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->state, SegmentState::committed);
  EXPECT_EQ((*stored)->file_hash, sha256(as_bytes("file")));
  EXPECT_EQ(*registry->segment_leaves(c[0].id), (std::pair<std::string, std::string>{"leaf 6", "leaf 7"}));
}

// Results of a segment that went to another node are refused; what two nodes heard of the same probe is stored once.
TEST_P(RegistryOnBoth, ResultsAreFencedAndHeardOnce) {
  Segment s;
  s.id = "s3/0";
  s.survey = "s3";
  s.to = 10;
  ASSERT_TRUE(registry->add_segments({s}));
  auto a = registry->lease_segments("s3", "node-a", t0, Span::seconds(30), 1, 1)->at(0);
  auto first = record("203.0.113.1", 80, "page", t0, "s3/0"), other = record("203.0.113.2", 80, "page", t0, "s3/0");
  EXPECT_EQ(registry->put_replies({first}, {{"s3/0", a.fence}})->rows_new, 1);
  Outcome closed{*Ip::parse("203.0.113.1"), {23}, Proto::tcp, "syn", t0, "closed", "s3/0"};
  EXPECT_EQ(registry->put_outcomes({closed}, {{"s3/0", a.fence}})->rows_new, 1);
  auto b = registry->lease_segments("s3", "node-b", t0 + Span::seconds(30), Span::seconds(30), 1, 1)->at(0);
  auto late = registry->put_replies({first, other}, {{"s3/0", a.fence}});
  ASSERT_TRUE(late);
  EXPECT_EQ(late->rows_new, 0);
  EXPECT_EQ(late->late, 2);
  EXPECT_EQ(registry->put_outcomes({closed}, {{"s3/0", a.fence}})->late, 1);
  auto again = record("203.0.113.1", 80, "page", t0 + Span::seconds(40), "s3/0"), third = record("203.0.113.3", 80, "page", t0 + Span::seconds(41), "s3/0"),
       changed = record("203.0.113.1", 80, "another page", t0 + Span::seconds(42), "s3/0");
  auto put = registry->put_replies({again, third, changed, third}, {{"s3/0", b.fence}});
  ASSERT_TRUE(put);
  EXPECT_EQ(put->rows_new, 2);
  EXPECT_EQ(put->late, 0);
  closed.at = t0 + Span::seconds(40);
  EXPECT_EQ(registry->put_outcomes({closed}, {{"s3/0", b.fence}})->rows_new, 0);
  EXPECT_EQ(registry->put_replies({again}, {{"s3/0", 0}})->rows_new, 0) << "one node, no token: once all the same";
  EXPECT_EQ(registry->put_replies({again})->rows_new, 1) << "who names no segment is not judged";
}

TEST_P(RegistryOnBoth, ReserveByPlanKeepsRangesAndOwners) {
  Segment s;
  s.id = "s2/0";
  s.survey = "s2";
  s.to = 10;
  auto held = registry->reserve_segment(s, "node-a", t0, Span::seconds(30), "leaf 1");
  ASSERT_TRUE(held) << held.error().text();
  EXPECT_EQ(held->fence, 1);
  EXPECT_FALSE(registry->reserve_segment(s, "node-b", t0, Span::seconds(30), "leaf 2"));
  EXPECT_EQ(registry->reserve_segment(s, "node-a", t0, Span::seconds(30), "leaf 3")->fence, 2);  // the same node after a crash
  s.to = 11;
  EXPECT_FALSE(registry->reserve_segment(s, "node-a", t0, Span::seconds(30), "leaf 4"));
}

TEST_P(RegistryOnBoth, SurveysUpdateTheirClosing) {
  Survey s;
  s.id = "s1";
  s.kind = "full";
  s.started = t0;
  ASSERT_TRUE(registry->put_survey(s));
  s.finished = t0 + Span::seconds(9);
  s.sent = 12;
  ASSERT_TRUE(registry->put_survey(s));
  auto back = registry->survey("s1");
  ASSERT_TRUE(back && *back);
  EXPECT_EQ((*back)->sent, 12);
  EXPECT_EQ(*(*back)->finished, *s.finished);
  EXPECT_EQ(registry->surveys()->size(), 1u);
}

TEST_P(RegistryOnBoth, SightingsGrowAndNeverShrink) {
  Sighting s{.id = 0, .ip = ip("203.0.113.52"), .first = t0, .last = t0 + Span::seconds(5), .sensor = "darknet:demo", .kind = "mirai",
             .verdict = "confirmed", .packets = 10, .destinations = 8, .ports = {23, 2323}, .samples = {{t0, 40001, 23}}};
  EXPECT_EQ(registry->put_sightings({s})->rows_new, 1);
  s.packets = 20;
  s.last = t0 + Span::seconds(9);
  EXPECT_EQ(registry->put_sightings({s})->rows_new, 0);
  auto longer = s;
  s.packets = 3;
  s.last = t0 + Span::seconds(1);
  EXPECT_EQ(registry->put_sightings({s})->rows_new, 0);
  auto back = registry->sightings_of(s.ip);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 1u);
  EXPECT_EQ((*back)[0].packets, 20);
  EXPECT_EQ((*back)[0].last, longer.last);
  EXPECT_EQ((*back)[0].ports, longer.ports);
  EXPECT_EQ((*back)[0].samples[0].source_port, 40001);
}

TEST_P(RegistryOnBoth, DevicesEndpointsFindingsComeBackWhole) {
  Device d;
  d.identity.vendor = {"Logitec", 0.9, {"telnet_banners on 23/tcp: rule nora:logitec"}};
  d.identity.product = {"LAN-W300N/R", 0.9, {}};
  d.identity.type = {"broadband router", 0.9, {}};
  d.first_seen = d.last_seen = t0;
  auto id = registry->put_device(d, "ep:203.0.113.10", "v1");
  ASSERT_TRUE(id) << id.error().text();
  d.id = *id;
  DeviceEndpoint e{d.id, ip("203.0.113.10"), {23}, Proto::tcp, t0, t0, sha256(as_bytes("x")), 1};
  ASSERT_TRUE(registry->put_endpoint(e));
  e.to = t0 + Span::hours(2);
  ASSERT_TRUE(registry->put_endpoint(e));
  e.to = t0 + Span::hours(1);  // an older observation, imported late
  ASSERT_TRUE(registry->put_endpoint(e));
  auto ends = registry->endpoints(d.id);
  ASSERT_TRUE(ends);
  ASSERT_EQ(ends->size(), 1u);
  EXPECT_EQ((*ends)[0].to, t0 + Span::hours(2));

  StoredFinding s;
  s.finding = finding_of(d.id);
  s.advice = "router-telnet";
  s.finding_class = "telnet-login";
  s.segment = "s1/0";
  auto fid = registry->put_finding(s);
  ASSERT_TRUE(fid) << fid.error().text();
  EXPECT_FALSE(registry->put_finding(s)) << "the same finding must not be stored twice";
  auto back = registry->finding_by_key(finding_key(s));
  ASSERT_TRUE(back && *back);
  EXPECT_EQ((*back)->finding.id, *fid);
  EXPECT_EQ((*back)->finding.evidence, s.finding.evidence);
  EXPECT_EQ(*(*back)->finding.amplification, 3.5);
  ASSERT_TRUE(registry->add_finding_event({0, *fid, t0, "found", "flow", "v1", "", "s1/0"}));
  EXPECT_EQ(registry->finding_events(*fid)->size(), 1u);

  auto rows = find_findings(*registry, {.prefix = *Prefix::parse("203.0.113.0/24"), .text = "W300"});
  ASSERT_TRUE(rows) << rows.error().text();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].identity.display(), "Logitec LAN-W300N/R");
  EXPECT_EQ(find_findings(*registry, {.pattern = Pattern::A})->size(), 0u);
  EXPECT_EQ(find_findings(*registry, {.min_severity = Severity::high})->size(), 1u);
  auto devices = find_devices(*registry, {.vendor = "Logitec"});
  ASSERT_TRUE(devices) << devices.error().text();
  ASSERT_EQ(devices->size(), 1u);
  EXPECT_EQ((*devices)[0].open_findings, 1);
  EXPECT_EQ((*devices)[0].endpoints.size(), 1u);
  EXPECT_EQ(count_by_pattern(*registry)->at(3).count, 1);
  EXPECT_EQ(count_by_product(*registry)->at(0).label, "Logitec LAN-W300N/R");
  auto t = totals(*registry);
  ASSERT_TRUE(t) << t.error().text();
  EXPECT_EQ(t->devices_known, 1);
  EXPECT_EQ(t->findings_open, 1);
}

TEST_P(RegistryOnBoth, HostileIdentityTextIsStoredClean) {
  Device d;
  d.identity.vendor = {std::string("ev\0il\xff<script>", 14), 0.9, {std::string("\xc3")}};
  d.first_seen = d.last_seen = t0;
  auto id = registry->put_device(d, "k", "v1");
  ASSERT_TRUE(id) << id.error().text();
  EXPECT_TRUE(registry->device(*id)->has_value());
}

TEST_P(RegistryOnBoth, LikeTextIsNotAPattern) {
  Device d;
  d.identity.product = {"100% box", 0.9, {}};
  d.first_seen = d.last_seen = t0;
  ASSERT_TRUE(registry->put_device(d, "k", "v1"));
  EXPECT_EQ(find_devices(*registry, {.text = "0%"})->size(), 1u);
  EXPECT_EQ(find_devices(*registry, {.text = "1%b"})->size(), 0u);
}

TEST_P(RegistryOnBoth, IdentificationIsMemoisedPerRulesVersion) {
  const auto hash = sha256(as_bytes("r"));
  EXPECT_FALSE(registry->identification(hash, "v1")->has_value());
  ASSERT_TRUE(registry->put_identification(hash, "v1", "[]"));
  EXPECT_EQ(**registry->identification(hash, "v1"), "[]");
  EXPECT_FALSE(registry->identification(hash, "v2")->has_value());
  EXPECT_EQ(*registry->progress("flow"), 0);
  ASSERT_TRUE(registry->set_progress("flow", 7));
  ASSERT_TRUE(registry->set_progress("flow", 9));
  EXPECT_EQ(*registry->progress("flow"), 9);
}

}  // namespace
}  // namespace nora::registry
