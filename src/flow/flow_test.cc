// The whole way of a reply on the faces of the demo's devices: identify, device, exposure, finding, case, and back to "fixed". On both stores.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/escape.h"
#include "base/files.h"
#include "flow/calibrate.h"
#include "flow/naming.h"
#include "flow/pipeline.h"
#include "flow/testing/faces_world.h"
#include "registry/reply_scan.h"
#include "registry/views.h"
#include "store/testing/both_stores.h"

namespace nora::flow {
namespace {

using cases::State;
using identify::testing::Face;
using testing::face;
using testing::faces;
using testing::shipped;
const Instant t0 = Instant::seconds(1'795'600'000);
Ip ip(std::string_view text) { return *Ip::parse(text); }

constexpr std::string_view routes_text = R"(
[[isp]]
id = "hikari"
name = "Hikari"
track = "list"
  [[isp.prefix]]
  prefix = "203.0.113.0/25"
  from = 2026-11-01T00:00:00Z
  lease_hours = 24
  [[isp.prefix]]
  prefix = "2001:db8:1000::/36"
  from = 2026-11-01T00:00:00Z
  lease_hours = 24
[[isp]]
id = "sakura"
name = "Sakura"
track = "list"
  [[isp.prefix]]
  prefix = "198.51.100.0/26"
  from = 2026-11-01T00:00:00Z
  lease_hours = 24
  [[isp.prefix]]
  prefix = "198.51.100.20/32"
  from = 2026-11-01T00:00:00Z
  shared = true
  lease_hours = 24
[[isp]]
id = "kinmirai"
name = "Kinmirai"
track = "on-site"
  [[isp.prefix]]
  prefix = "198.51.100.128/28"
  from = 2026-11-01T00:00:00Z
)";

class FlowOnBoth : public nora::store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    env.clock.set(t0);
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    book.emplace(*registry, codes);
    routes = *cases::Routes::parse(routes_text, "routes.toml");
    PipelineOptions options;
    options.is_social = [](Ip a) { return Prefix::parse("198.51.100.128/28")->contains(a); };
    pipeline.emplace(env.env(), *registry, *book, routes, shipped(), options);
  }
  void TearDown() override {
    pipeline.reset();
    book.reset();
    registry.reset();
    BothStores::TearDown();
  }
  // What a survey would have stored of a face; probe = protocol.
  std::vector<registry::ReplyRecord> records(const Face& f, Ip at_ip, Instant at, std::string_view segment) {
    std::vector<registry::ReplyRecord> out;
    for (std::size_t i = 0; i < f.replies.size(); ++i) {
      out.push_back(testing::record_of(f.replies[i], at_ip, at + Span::ms(static_cast<std::int64_t>(i) * 10), segment));
    }
    return out;
  }
  void see(const Face& f, std::string_view address, Instant at, std::string_view segment = "s1/0") {
    auto put = registry->put_replies(records(f, ip(address), at, segment));
    ASSERT_TRUE(put) << put.error().text();
  }
  void see(std::string_view device, Instant at = t0, std::string_view segment = "s1/0") { see(face(device), face(device).ip, at, segment); }
  void outcome(std::string_view address, std::uint16_t port, std::string_view what, Instant at, std::string_view segment, Proto proto = Proto::tcp) {
    ASSERT_TRUE(registry->put_outcomes({{ip(address), {port}, proto, "any", at, std::string(what), std::string(segment)}}));
  }
  PipelineCounts run() {
    auto counts = pipeline->process_new();
    EXPECT_TRUE(counts) << (counts ? "" : counts.error().text());
    return counts ? *counts : PipelineCounts{};
  }
  // By value: a range over the inside of a temporary Result would dangle.
  std::vector<registry::StoredFinding> all_at(Ip a) { return registry->findings_at(a).value(); }
  std::vector<registry::FindingRow> all_rows() { return registry::find_findings(*registry, {.limit = 1000}).value(); }
  std::vector<registry::SightingJoin> all_joins() { return registry->sighting_joins().value(); }
  std::vector<cases::Case> all_cases() { return book->find({.limit = 1000}).value(); }
  std::set<std::string> finding_keys() {
    std::set<std::string> out;
    for (const auto& row : all_rows())
      if (row.stored.finding.state != "gone")
        out.insert(row.stored.finding.where.ip.text() + "|" + row.stored.finding.rule + "|" + std::to_string(row.stored.finding.where.port.value) + "|" + row.stored.finding.state);
    return out;
  }
  cases::Case case_at(std::string_view address) {
    for (const auto& f : all_at(ip(address)))
      if (f.case_id) return **book->get(f.case_id);
    return {};
  }
  std::size_t device_count() { return registry->all_devices(0, 1000)->size(); }

  FakeEnv env;
  cases::Codes codes{Secret(Bytes(32, 7))};
  std::optional<registry::Registry> registry;
  std::optional<cases::CaseBook> book;
  std::optional<Pipeline> pipeline;
  cases::Routes routes;
};
NORA_ON_BOTH_STORES(FlowOnBoth);

TEST_P(FlowOnBoth, EveryFaceBecomesOneDeviceWithItsFindingsAndOneCase) {
  for (const auto& f : faces()) see(f.device);
  const auto first = run();
  EXPECT_EQ(device_count(), faces().size());
  EXPECT_EQ(first.devices_new, static_cast<std::int64_t>(faces().size()));
  for (const auto& f : faces()) {
    const auto devices = *registry->devices_at(ip(f.ip));
    ASSERT_EQ(devices.size(), 1u) << f.device;
    EXPECT_EQ(devices[0].identity.product.value, f.product) << f.device;
    std::multiset<std::string> rules;
    std::set<registry::Id> cases_here;
    for (const auto& s : all_at(ip(f.ip))) {
      if (s.finding.state == "open") rules.insert(s.finding.rule);
      if (s.case_id) cases_here.insert(s.case_id);
    }
    EXPECT_EQ(rules, std::multiset<std::string>(f.exposures.begin(), f.exposures.end())) << f.device;
    EXPECT_LE(cases_here.size(), 1u) << f.device;
  }
  EXPECT_EQ(registry::count_clusters(*registry)->at(0).count, 4);
  // Again: nothing to do. And the whole history again: nothing changes.
  const auto again = run();
  EXPECT_EQ(again.addresses, 0);
  const auto before = finding_keys();
  auto all = pipeline->reassess_all();
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(all->devices_new + all->findings_new + all->findings_seen + all->findings_fixed + all->findings_withdrawn + all->cases_new, 0);
  EXPECT_EQ(finding_keys(), before);
  EXPECT_EQ(device_count(), faces().size());
}

// One by one, shuffled, with the pipeline running in between: a survey under way. The result is that of the whole at once.
TEST_P(FlowOnBoth, OrderAndBatchesDoNotMatter) {
  std::vector<registry::ReplyRecord> all;
  for (const auto& f : faces())
    for (auto& r : records(f, ip(f.ip), t0, "s1/0")) all.push_back(std::move(r));
  std::mt19937 shuffle(3);
  std::shuffle(all.begin(), all.end(), shuffle);
  for (std::size_t i = 0; i < all.size(); i += 7) {
    ASSERT_TRUE(registry->put_replies({all.begin() + static_cast<std::ptrdiff_t>(i), all.begin() + static_cast<std::ptrdiff_t>(std::min(i + 7, all.size()))}));
    run();
  }
  EXPECT_EQ(device_count(), faces().size());
  EXPECT_EQ(registry::count_clusters(*registry)->at(0).count, 4);
  for (const auto& f : faces()) {
    std::multiset<std::string> rules;
    std::set<registry::Id> its;
    for (const auto& s : all_at(ip(f.ip))) {
      if (s.finding.state == "open") rules.insert(s.finding.rule);
      if (s.case_id) its.insert(s.case_id);
    }
    EXPECT_EQ(rules, std::multiset<std::string>(f.exposures.begin(), f.exposures.end())) << f.device;
    EXPECT_LE(its.size(), 1u) << f.device;
  }
}

TEST_P(FlowOnBoth, SeenAgainInASecondSurveyOpensNothingNew) {
  see("hk-camera");
  run();
  const auto c = case_at(face("hk-camera").ip);
  EXPECT_EQ(c.state, State::S1_VALIDATED);
  see("hk-camera", t0 + Span::hours(2), "s2/0");
  const auto second = run();
  EXPECT_EQ(second.cases_new + second.findings_new + second.devices_new, 0);
  EXPECT_GE(second.findings_seen, 1);
  EXPECT_EQ(book->find({})->size(), 1u);
  EXPECT_EQ(registry->findings_at(ip(face("hk-camera").ip))->at(0).seen_segments, 2);
}

TEST_P(FlowOnBoth, FixedNeedsPositiveEvidenceFromASecondSegment) {
  const auto address = face("hk-camera").ip;
  see("hk-camera");
  run();
  const auto fixed = [&] {
    std::size_t n = 0;
    for (const auto& f : all_at(ip(address))) n += f.finding.state == "fixed";
    return n;
  };
  for (std::uint16_t port : {80, 554}) outcome(address, port, "closed", t0 + Span::seconds(5), "s1/0");
  run();
  EXPECT_EQ(fixed(), 0u) << "the same segment proves nothing";
  for (std::uint16_t port : {80, 554}) outcome(address, port, "silent", t0 + Span::seconds(10), "s2/0");
  run();
  EXPECT_EQ(fixed(), 0u) << "silence is not fixed";
}

TEST_P(FlowOnBoth, ClosedInASecondSegmentFixesTheCaseAndComingBackReopensIt) {
  const auto address = face("hk-camera").ip;
  see("hk-camera");
  run();
  outcome(address, 554, "closed", t0 + Span::minutes(10), "check-1/0");
  run();
  EXPECT_EQ(case_at(address).state, State::S1_VALIDATED) << "one of two ports";
  outcome(address, 80, "closed", t0 + Span::minutes(10), "check-1/0");
  const auto done = run();
  EXPECT_EQ(done.cases_fixed, 1);
  auto c = case_at(address);
  EXPECT_EQ(c.state, State::S7_FIXED);
  EXPECT_TRUE(c.fixed_at);
  EXPECT_TRUE(book->verify_chain(c.id));
  see("hk-camera", t0 + Span::hours(1), "s3/0");
  run();
  c = case_at(address);
  EXPECT_EQ(c.state, State::S1_VALIDATED);
  EXPECT_TRUE(c.reopened_at);
  EXPECT_EQ(book->find({})->size(), 1u) << "reopened, not doubled";
}

TEST_P(FlowOnBoth, ClosedAfterTheLifeOfTheAddressProvesNothing) {
  const auto address = face("hk-camera").ip;
  see("hk-camera");
  run();
  for (std::uint16_t port : {80, 554}) outcome(address, port, "closed", t0 + Span::hours(30), "s2/0");
  EXPECT_EQ(run().findings_fixed, 0) << "another customer may have the address by now";
}

TEST_P(FlowOnBoth, PatchedIsSeenByTheSameProbe) {
  auto f = face("sk-vnc");
  see("sk-vnc");
  run();
  for (auto& reply : f.replies)
    for (auto& kv : reply.keys)
      if (kv.key == "rfb.security_types") kv.value = "2";
  see(f, f.ip, t0 + Span::hours(1), "s2/0");
  const auto counts = run();
  EXPECT_EQ(counts.findings_fixed, 1);
  for (const auto& s : all_at(ip(f.ip)))
    if (s.finding.rule == "open-vnc") { EXPECT_EQ(s.finding.state, "fixed"); }
}

TEST_P(FlowOnBoth, WhileTheIspBlocksTheLineClosedIsNoRepair) {
  const auto address = face("hk-camera").ip;
  see("hk-camera");
  run();
  auto c = case_at(address);
  const cases::Why isp{cases::Actor::isp, "isp:hikari", "", "", ""};
  ASSERT_TRUE(book->move(c.id, State::S2_ROUTED, {}, t0));
  for (State s : {State::S3_ATTRIBUTED, State::S4_NOTIFIED, State::S9I_ISOLATED}) ASSERT_TRUE(book->move(c.id, s, isp, t0));
  for (std::uint16_t port : {80, 554}) outcome(address, port, "closed", t0 + Span::minutes(10), "s2/0");
  EXPECT_EQ(run().findings_fixed, 0);
  EXPECT_EQ(case_at(address).state, State::S9I_ISOLATED);
}

TEST_P(FlowOnBoth, WhatAPersonCalledAFalseAlarmStaysOneButKeepsItsHistory) {
  const auto address = face("hk-camera").ip;
  see("hk-camera");
  run();
  const auto c = case_at(address);
  ASSERT_TRUE(book->move(c.id, State::X_FP, {cases::Actor::person, "analyst1", "", "a demonstrator", ""}, t0));
  see("hk-camera", t0 + Span::hours(1), "s2/0");
  EXPECT_GE(run().findings_seen, 1);
  EXPECT_EQ(case_at(address).state, State::X_FP);
  EXPECT_EQ(book->find({})->size(), 1u);
  EXPECT_EQ(registry->finding_events(all_at(ip(address))[0].finding.id)->size(), 2u) << "seen again is written down";
}

TEST_P(FlowOnBoth, OnSiteTrackForTheController) {
  auto store = cases::OnSite::open(url());
  ASSERT_TRUE(store) << store.error().text();
  PipelineOptions options;
  options.is_social = [](Ip a) { return Prefix::parse("198.51.100.128/28")->contains(a); };
  options.onsite = &*store;
  options.reverse_name = [](Ip) { return std::string("ac-ctl.kinmirai.example"); };
  pipeline.emplace(env.env(), *registry, *book, routes, shipped(), options);
  see("biz-plc");
  run();
  const auto c = case_at(face("biz-plc").ip);
  EXPECT_EQ(c.track, "on-site");
  EXPECT_EQ(c.state, State::S10_ON_SITE);
  ASSERT_EQ(store->all()->size(), 1u);
  EXPECT_EQ(store->clues(c.id)->at(0).text, "ac-ctl.kinmirai.example");
  run();
  EXPECT_EQ(store->all()->size(), 1u);
}

registry::Sighting sighting(std::string_view address, Instant first) {
  registry::Sighting s;
  s.ip = ip(address);
  s.first = first;
  s.last = first + Span::seconds(20);
  s.sensor = "darknet:demo";
  s.kind = "mirai";
  s.verdict = "confirmed";
  s.packets = 40;
  s.destinations = 40;
  s.samples = {{s.last, 40001, 23}};
  return s;
}

TEST_P(FlowOnBoth, ASightingJoinsTheDeviceOfThatTimeAndNoOther) {
  const auto address = face("hk-recorder").ip;
  see("hk-recorder");
  ASSERT_TRUE(registry->put_sightings({sighting(address, t0 + Span::minutes(12))}));
  const auto counts = run();
  EXPECT_EQ(counts.sightings_joined, 1);
  const auto joins = *registry->sighting_joins();
  ASSERT_EQ(joins.size(), 1u);
  EXPECT_EQ(joins[0].result, "joined");
  EXPECT_NE(joins[0].because.find("a device on this line"), std::string::npos) << joins[0].because;
  EXPECT_NE(joins[0].because.find("UDR-JA1604"), std::string::npos) << joins[0].because;
  EXPECT_NE(joins[0].because.find("12 min"), std::string::npos) << joins[0].because;
  const auto c = case_at(address);
  EXPECT_TRUE(c.attacked);
  EXPECT_EQ(book->find({})->size(), 1u) << "page and attack: one case";
  // Closing the page does not end an infection.
  for (std::uint16_t port : {80}) outcome(address, port, "closed", t0 + Span::minutes(20), "check/0");
  run();
  EXPECT_NE(case_at(address).state, State::S7_FIXED);
  // 14 silent days and the device online again: over.
  for (int day = 1; day <= 15; ++day) {
    see(face("hk-recorder"), address, t0 + Span::hours(23 * day), "s" + std::to_string(day + 10) + "/0");
    run();
    if (day < 14) { EXPECT_NE(case_at(address).state, State::S7_FIXED); }
  }
  for (const auto& f : all_at(ip(address)))
    if (f.finding.rule == "infected") { EXPECT_EQ(f.finding.state, "fixed"); }
}

TEST_P(FlowOnBoth, ASightingSaysNoWhenItMust) {
  see("hk-recorder");
  see(face("hk-recorder"), "198.51.100.20", t0);
  ASSERT_TRUE(registry->put_sightings({sighting(face("hk-recorder").ip, t0 + Span::hours(30)), sighting("203.0.113.99", t0), sighting("198.51.100.20", t0),
                                       sighting("192.0.2.1", t0)}));
  EXPECT_EQ(run().sightings_joined, 0);
  for (const auto& j : all_joins()) {
    EXPECT_NE(j.result, "joined") << j.because;
    EXPECT_FALSE(j.because.empty());
  }
  auto suspected = sighting(face("hk-recorder").ip, t0 + Span::minutes(1));
  suspected.verdict = "suspected";
  const auto cases_before = book->find({})->size();
  ASSERT_TRUE(registry->put_sightings({suspected}));
  run();
  EXPECT_EQ(book->find({})->size(), cases_before) << "suspected: kept and shown, not told";
}

TEST_P(FlowOnBoth, DualStackByCertificateIsOneDevice) {
  auto f = face("hk-tls");
  f.replies[0].keys.push_back({"x509.sha256", std::string(64, 'a')});
  see(f, "203.0.113.83", t0);
  see(f, "2001:db8:1000:83::83", t0 + Span::seconds(5));
  run();
  EXPECT_EQ(device_count(), 1u);
  EXPECT_EQ(book->find({})->size(), 1u);
  EXPECT_EQ(registry->endpoints(1)->size(), 2u);
}

// Seen in a real survey: the address families come in pieces, and each piece shows another key first.
TEST_P(FlowOnBoth, DualStackInPiecesAndInAnyOrderIsOneDevice) {
  std::mt19937 shuffle(5);
  for (int round = 0; round < 8; ++round) {
    auto f = face("hk-ssh");
    auto web = face("hk-tls").replies[0];
    web.keys = {{"http.status", "401"}, {"http_header.wwwauth", "Basic realm=\"BUFFALO WHR-HP-G300N\""}, {"x509.sha256", std::string(60, 'b') + std::to_string(1000 + round)}};
    for (auto& reply : f.replies)
      if (reply.protocol == "ssh") reply.keys.push_back({"ssh.hostkey_sha256", std::string(60, 'c') + std::to_string(1000 + round)});
    f.replies.push_back(web);
    const std::string four = "203.0.113." + std::to_string(20 + round), six = "2001:db8:1000:" + std::to_string(20 + round) + "::1";
    std::vector<registry::ReplyRecord> pieces;
    for (const auto& address : {four, six})
      for (auto& r : records(f, ip(address), t0, "s1/0")) pieces.push_back(std::move(r));
    std::shuffle(pieces.begin(), pieces.end(), shuffle);
    for (auto& r : pieces) {
      ASSERT_TRUE(registry->put_replies({r}));
      run();
    }
    EXPECT_EQ(device_count(), static_cast<std::size_t>(round + 1));
    std::set<registry::Id> its;
    for (const auto& address : {four, six})
      for (const auto& s : all_at(ip(address)))
        if (s.finding.state == "open") its.insert(s.case_id);
    EXPECT_EQ(its.size(), 1u) << round;
  }
  std::size_t living = 0;
  for (const auto& c : all_cases()) {
    living += c.merged_into == 0 && cases::is_active(c.state);
    EXPECT_TRUE(book->verify_chain(c.id));
  }
  EXPECT_EQ(living, 8u);
}

TEST_P(FlowOnBoth, AMakersCertificateOnTwoAddressesIsTwoDevices) {
  auto f = face("hk-tls");
  f.replies[0].keys.push_back({"x509.sha256", std::string(64, 'a')});
  see(f, "203.0.113.83", t0);
  see(f, "203.0.113.84", t0 + Span::seconds(5));
  run();
  EXPECT_EQ(device_count(), 2u);
  ASSERT_TRUE(pipeline->reassess_all());
  EXPECT_EQ(device_count(), 2u);
}

TEST_P(FlowOnBoth, DualStackByEqualAnswersOnlyWhenUnambiguous) {
  auto f = face("hk-ssh");
  for (auto& reply : f.replies) std::erase_if(reply.keys, [](const auto& kv) { return kv.key == "ssh.hostkey_sha256"; });
  see(f, "203.0.113.17", t0);
  see(f, "2001:db8:1000:17::17", t0 + Span::seconds(5));
  run();
  EXPECT_EQ(device_count(), 1u);
  see(f, "203.0.113.18", t0 + Span::seconds(6));          // a second unit of the same model
  see(f, "2001:db8:1000:18::18", t0 + Span::seconds(7));  // whose is this?
  run();
  EXPECT_EQ(device_count(), 3u) << "ambiguity fails closed";
}

TEST_P(FlowOnBoth, TwoPortsOfASharedAddressAreTwoDevices) {
  auto a = face("sk-mape"), b = face("hk-camera");
  see(a, "198.51.100.20", t0);
  std::erase_if(b.replies, [](const auto& r) { return r.where.port.value != 80; });
  see(b, "198.51.100.20", t0 + Span::seconds(1));
  run();
  EXPECT_EQ(device_count(), 2u);
  EXPECT_EQ(book->find({})->size(), 2u);
}

TEST_P(FlowOnBoth, NamingAClusterIdentifiesTheWholeHistoryAtOnce) {
  const auto dir = std::filesystem::path(::testing::TempDir()) / ("nora_named_" + std::to_string(::getpid()) + "_" + GetParam());
  std::filesystem::remove_all(dir);
  const KnowledgeDirs dirs{std::string(NORA_SOURCE_DIR) + "/data", {}, dir};
  pipeline->use(*Knowledge::load(dirs));
  for (const auto& f : faces()) see(f.device);
  run();
  Naming naming(env.env(), *registry, *pipeline, dirs, nullptr);
  auto found = naming.queue();
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->at(0).cluster.members.size(), 4u);
  const identify::Naming name{found->at(0).cluster.key, "Kinmirai Denki", "CTL-100", "Controller", "analyst1", "", t0};
  auto proposal = naming.propose(name);
  ASSERT_TRUE(proposal) << proposal.error().text();
  EXPECT_EQ(naming.accept(*proposal, "analyst1").error().code, Code::refused);
  const auto cases_before = book->find({.limit = 1000})->size();
  auto named = naming.accept(*proposal, "analyst2");
  ASSERT_TRUE(named) << named.error().text();
  EXPECT_EQ(*named, 4);
  for (const char* device : {"hk-unknown-1", "hk-unknown-2", "sk-unknown-3", "sk-unknown-4"})
    EXPECT_EQ(registry->devices_at(ip(face(device).ip))->at(0).identity.display(), "Kinmirai Denki CTL-100") << device;
  EXPECT_EQ(book->find({.limit = 1000})->size(), cases_before) << "a new name opens no new case";
  EXPECT_TRUE(registry::count_clusters(*registry)->empty());
  ASSERT_TRUE(naming.undo(found->at(0).cluster.key, "analyst1"));
  EXPECT_EQ(registry::count_clusters(*registry)->at(0).count, 4);
  std::filesystem::remove_all(dir);
}

TEST_P(FlowOnBoth, QueueAndRatesSayWhatIsKnown) {
  for (const auto& f : faces()) see(f.device);
  run();
  Naming naming(env.env(), *registry, *pipeline, KnowledgeDirs{std::string(NORA_SOURCE_DIR) + "/data", {}, {}}, nullptr);
  const auto queue = naming.queue();
  ASSERT_TRUE(queue) << queue.error().text();
  ASSERT_EQ(queue->size(), 1u);
  const auto& first = queue->front();
  EXPECT_EQ(first.devices, 4);
  EXPECT_EQ(first.grown, 4) << "all were seen first just now";
  ASSERT_TRUE(first.worst);
  EXPECT_DOUBLE_EQ(first.score, 4 * (1 + static_cast<double>(*first.worst)) * 2);
  EXPECT_EQ(first.cluster.members.size(), 4u);
  EXPECT_FALSE(first.cluster.shared.empty());
  EXPECT_EQ(naming.queue(5)->size(), 0u);
  EXPECT_EQ(naming.queue(1, first.cluster.key)->size(), 1u);
  EXPECT_EQ(naming.queue(1, "c-0000000000")->size(), 0u);

  auto rates = pipeline->rates();
  ASSERT_TRUE(rates) << rates.error().text();
  EXPECT_EQ(rates->total.devices, static_cast<std::int64_t>(device_count()));
  EXPECT_EQ(rates->total.product, rates->total.devices - 4);
  EXPECT_EQ(rates->clustered, 4);
  EXPECT_GE(rates->by_key.at("html_title").devices, rates->by_key.at("html_title").product);
  EXPECT_EQ(rates->product.stated, 0);
  // Labels: one that agrees, one that does not, one of a device that has no name.
  const auto all = registry->all_devices(0, 1000).value();
  std::vector<registry::Device> named, nameless;
  for (const auto& d : all) (d.identity.product_known() ? named : nameless).push_back(d);
  ASSERT_TRUE(put_label(*registry, {named[0].id, named[0].identity.vendor.value, named[0].identity.product.value, "", "analyst1", t0}));
  ASSERT_TRUE(put_label(*registry, {named[1].id, "Somebody", "Else", "", "analyst1", t0}));
  ASSERT_TRUE(put_label(*registry, {nameless[0].id, "Kinmirai", "X", "", "analyst1", t0}));
  EXPECT_FALSE(put_label(*registry, {99999, "a", "b", "", "analyst1", t0}));
  EXPECT_FALSE(put_label(*registry, {named[0].id, "", "", "", "analyst1", t0}));
  rates = pipeline->rates();
  EXPECT_EQ(rates->labelled, 3);
  EXPECT_EQ(rates->product.stated, 2) << "a device without a name is no statement";
  EXPECT_EQ(rates->product.right, 1);
  const auto [low, high] = rates->product.interval();
  EXPECT_NEAR(low, 0.0945, 0.001);  // Wilson, 1 of 2
  EXPECT_NEAR(high, 0.9055, 0.001);
}

TEST_P(FlowOnBoth, LabelsCorrectHowSureRulesAre) {
  const auto dir = std::filesystem::path(::testing::TempDir()) / ("nora_calibrate_" + std::to_string(::getpid()) + "_" + GetParam());
  std::filesystem::remove_all(dir);
  const KnowledgeDirs dirs{std::string(NORA_SOURCE_DIR) + "/data", {}, dir};
  pipeline->use(*Knowledge::load(dirs));
  for (const auto& f : faces()) see(f.device);
  run();
  EXPECT_FALSE(calibrate(*pipeline, *registry, dirs, nullptr, "analyst1", Calibrate::apply)) << "without a label nothing is known";
  const auto all = registry->all_devices(0, 1000).value();
  const auto named = std::find_if(all.begin(), all.end(), [](const auto& d) { return d.identity.product_known(); });
  ASSERT_NE(named, all.end());
  ASSERT_TRUE(put_label(*registry, {named->id, "Somebody", "Else", "", "analyst1", t0}));
  EXPECT_FALSE(calibrate(*pipeline, *registry, dirs, nullptr, "", Calibrate::apply));
  const auto identities = [&] {
    std::map<registry::Id, double> out;
    const auto now = registry->all_devices(0, 1000).value();
    for (const auto& d : now) out[d.id] = d.identity.product.confidence;
    return out;
  };
  const auto before = identities();
  const auto trial = calibrate(*pipeline, *registry, dirs, nullptr, "analyst1", Calibrate::trial);
  ASSERT_TRUE(trial) << trial.error().text();
  EXPECT_FALSE(trial->learnt.empty());
  EXPECT_EQ(identities(), before) << "a trial changes nothing";
  const auto done = calibrate(*pipeline, *registry, dirs, nullptr, "analyst1", Calibrate::apply);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->learnt, trial->learnt);
  for (const auto& [rule, tally] : done->learnt.by_rule()) EXPECT_EQ(tally.right, 0) << rule;
  EXPECT_LT(identities().at(named->id), before.at(named->id)) << "the device was identified again at once";
  EXPECT_LT(done->after.error, done->before.error);
  const auto again = calibrate(*pipeline, *registry, dirs, nullptr, "analyst1", Calibrate::apply);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->learnt, done->learnt) << "the same labels teach the same";
  EXPECT_EQ(again->counts.replies_again, 0);
  ASSERT_TRUE(calibrate(*pipeline, *registry, dirs, nullptr, "analyst1", Calibrate::forget));
  EXPECT_EQ(identities(), before);
  std::filesystem::remove_all(dir);
}

// change_rules() touches only what a changed rule matches; the result is that of identifying everything from nothing.
TEST_P(FlowOnBoth, ChangedRulesGiveWhatAllNewWorkWouldGive) {
  const auto dir = std::filesystem::path(::testing::TempDir()) / ("nora_changed_" + std::to_string(::getpid()) + "_" + GetParam());
  std::filesystem::remove_all(dir);
  const KnowledgeDirs dirs{std::string(NORA_SOURCE_DIR) + "/data", {}, dir};
  pipeline->use(*Knowledge::load(dirs));
  for (const auto& f : faces()) see(f.device);
  run();
  const auto identities = [&] {
    std::vector<std::string> out;
    const auto all = registry->all_devices(0, 1000).value();
    for (const auto& d : all) out.push_back(std::to_string(d.id) + " " + d.identity.display() + " " + d.identity.firmware.value + " " + d.cluster);
    return out;
  };
  const auto write = [&](std::string_view name, std::string_view body) {
    ASSERT_TRUE(replace_file(dir / (std::string(name) + ".xml"), "<fingerprints matches=\"html_title\" preference=\"0.99\">" + std::string(body) + "</fingerprints>"));
  };
  const auto rule = [](std::string_view pattern, std::string_view product) {
    return fmt::format(R"(<fingerprint pattern="{}"><description>{}</description><param pos="0" name="hw.vendor" value="Own"/><param pos="0" name="hw.product" value="{}"/></fingerprint>)", pattern, product, product);
  };
  const auto original = identities();
  std::vector<std::function<void()>> changes = {
      [&] { write("a", rule("^ELECOM", "A")); },                              // a rule comes
      [&] { write("a", rule("^ELECOM", "A") + rule("Network Camera$", "B")); },
      [&] { write("a", rule("Network Camera$", "B") + rule("a", "C")); },      // one goes, one comes
      [&] { write("a", rule("a", "C") + rule("Network Camera$", "B")); },      // another order
      [&] { write("b", rule("^.$", "D")); },
      [&] { std::filesystem::remove(dir / "a.xml"); std::filesystem::remove(dir / "b.xml"); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    changes[i]();
    auto counts = pipeline->change_rules(*Knowledge::load(dirs));
    ASSERT_TRUE(counts) << counts.error().text();
    EXPECT_GT(counts->replies_seen, 20);
    if (i == 0) { EXPECT_LT(counts->replies_again, 5); }
    const auto quick = identities();
    ASSERT_TRUE(db->write("DELETE FROM identification"));
    pipeline->use(*Knowledge::load(dirs));  // another object: nothing is remembered
    ASSERT_TRUE(pipeline->reassess_all());
    EXPECT_EQ(quick, identities()) << "change " << i;
  }
  // A rule that names everything may move a device to another row; the names all come back.
  const auto names = [](std::vector<std::string> list) {
    for (auto& text : list) text.erase(0, text.find(' '));
    std::sort(list.begin(), list.end());
    return list;
  };
  EXPECT_EQ(names(identities()), names(original));
  std::filesystem::remove_all(dir);
}

// Two processes make the same change: the second finds it made, and nothing is lost.
TEST_P(FlowOnBoth, TheSameRuleChangeByTwoProcesses) {
  ASSERT_TRUE(registry->put_identification(Hash{1}, "v1", "[1]"));
  const auto kept = [&](const char* version) { return registry->identification(Hash{1}, version).value().value_or("none"); };
  ASSERT_TRUE(registry::move_identifications(*db, "v1", "v2", t0));
  EXPECT_EQ(kept("v2"), "[1]");
  EXPECT_EQ(kept("v1"), "none");
  ASSERT_TRUE(registry::move_identifications(*db, "v1", "v2", t0 + Span::seconds(1)));
  EXPECT_EQ(kept("v2"), "[1]");
  ASSERT_TRUE(registry->put_identification(Hash{1}, "v2", "[2]"));
  ASSERT_TRUE(registry::move_identifications(*db, "v2", "v1", t0 + Span::seconds(2)));  // undone
  EXPECT_EQ(kept("v1"), "[2]");
  EXPECT_EQ(kept("v2"), "none");
  ASSERT_TRUE(registry::move_identifications(*db, "v2", "v1", t0 + Span::seconds(3)));
  EXPECT_EQ(kept("v1"), "[2]");
}

}  // namespace
}  // namespace nora::flow
