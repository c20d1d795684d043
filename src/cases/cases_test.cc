// States, routes, codes, the case book and its invariants (workflow.md section 5.3), on both stores where rows are involved.
#include <gtest/gtest.h>

#include <set>

#include "cases/case_book.h"
#include "cases/metrics.h"
#include "cases/onsite.h"
#include "exchange/notice_code.h"
#include "registry/views.h"
#include "store/testing/both_stores.h"

namespace nora::cases {
namespace {

using enum State;
const Instant t0 = Instant::seconds(1'795'600'000);

constexpr Actor actors[] = {Actor::sensor, Actor::isp, Actor::owner, Actor::person, Actor::rule_change};

TEST(States, NamesRoundTripAndAllAreThere) {
  std::set<std::string_view> names;
  for (State s : all_states()) {
    EXPECT_EQ(*parse_state(name(s)), s);
    names.insert(name(s));
  }
  EXPECT_EQ(names.size(), 35u);
  EXPECT_FALSE(parse_state("S99"));
}

TEST(States, MainLineAndRefusals) {
  const std::pair<State, Actor> line[] = {{S1_VALIDATED, Actor::sensor}, {S2_ROUTED, Actor::sensor}, {S3_ATTRIBUTED, Actor::isp}, {S4_NOTIFIED, Actor::isp},
                                          {S5_ENGAGED, Actor::owner}, {S6_VERIFYING, Actor::owner}, {S7_FIXED, Actor::sensor}, {CLOSED, Actor::sensor}};
  State at = S0_OBSERVED;
  for (auto [to, actor] : line) {
    EXPECT_TRUE(allowed(at, to, actor)) << name(at) << " -> " << name(to);
    at = to;
  }
  EXPECT_FALSE(allowed(S6_VERIFYING, S7_FIXED, Actor::owner)) << "a click is no evidence";
  EXPECT_FALSE(allowed(S6_VERIFYING, S7_FIXED, Actor::isp));
  EXPECT_FALSE(allowed(S2_ROUTED, S4_NOTIFIED, Actor::isp));
  EXPECT_FALSE(allowed(S2_ROUTED, S3_ATTRIBUTED, Actor::sensor)) << "only an ISP knows a line";
  EXPECT_FALSE(allowed(S0_OBSERVED, S7G_GONE, Actor::sensor)) << "not seen is not gone";
}

TEST(States, WhatAPersonClosedOnlyAPersonOpens) {
  for (State from : {X_FP, X_OPTOUT, X_SCOPE, RISK_ACCEPTED, X_DISPUTED})
    for (State to : all_states())
      for (Actor actor : {Actor::sensor, Actor::isp, Actor::owner}) EXPECT_FALSE(allowed(from, to, actor)) << name(from) << " -> " << name(to);
}

TEST(States, EveryStateIsReachedAndEveryLivingStateHasAWayOut) {
  std::set<State> reached = {S0_OBSERVED};
  for (bool grew = true; grew;) {
    grew = false;
    for (State from : all_states())
      if (reached.contains(from))
        for (State to : all_states())
          for (Actor a : actors)
            if (allowed(from, to, a)) grew |= reached.insert(to).second;
  }
  EXPECT_EQ(reached.size(), all_states().size());
  for (State s : all_states()) {
    if (!is_active(s) || s == S12_UNRESOLVED) continue;
    bool out = false;
    for (State to : all_states()) for (Actor a : actors) out |= allowed(s, to, a);
    EXPECT_TRUE(out) << name(s);
  }
}

constexpr std::string_view routes_text = R"(
[[isp]]
id = "hikari"
name = "Hikari"
track = "list"
  [[isp.prefix]]
  prefix = "203.0.113.0/25"
  from = 2026-11-01T00:00:00Z
  lease_hours = 24
[[isp]]
id = "sakura"
name = "Sakura"
track = "list"
  [[isp.prefix]]
  prefix = "198.51.100.0/26"
  from = 2026-11-01T00:00:00+09:00
  to = 2027-11-01T00:00:00Z
  [[isp.prefix]]
  prefix = "198.51.100.20/32"
  from = 2026-11-01T00:00:00Z
  shared = true
[[isp]]
id = "kinmirai"
name = "Kinmirai"
track = "on-site"
  [[isp.prefix]]
  prefix = "198.51.100.128/28"
  from = 2026-11-01T00:00:00Z
)";

TEST(Routes, ByPrefixAtAnInstant) {
  auto r = Routes::parse(routes_text, "routes.toml");
  ASSERT_TRUE(r) << r.error().text();
  const auto ip = [](const char* text) { return *Ip::parse(text); };
  EXPECT_EQ(r->route(ip("203.0.113.10"), t0)->isp->id, "hikari");
  EXPECT_EQ(*r->route(ip("203.0.113.10"), t0)->lease, Span::hours(24));
  EXPECT_FALSE(r->route(ip("203.0.113.200"), t0));
  EXPECT_FALSE(r->route(ip("203.0.113.10"), *Instant::parse("2026-10-31T23:59:59Z")));
  EXPECT_TRUE(r->route(ip("198.51.100.1"), *Instant::parse("2026-10-31T15:00:00Z"))) << "the zone of the text counts";
  EXPECT_FALSE(r->route(ip("198.51.100.1"), *Instant::parse("2027-11-01T00:00:00Z"))) << "half-open";
  EXPECT_TRUE(r->route(ip("198.51.100.20"), t0)->shared);
  EXPECT_FALSE(r->route(ip("198.51.100.21"), t0)->shared);
  EXPECT_TRUE(r->route(ip("198.51.100.130"), t0)->isp->on_site);
}

TEST(Routes, BadFilesNameTheLine) {
  const std::string head = "[[isp]]\nid = \"a\"\nname = \"A\"\ntrack = \"list\"\n[[isp.prefix]]\n";
  for (const char* bad : {"prefix = \"203.0.113.1/24\"\nfrom = 2026-11-01T00:00:00Z\n", "prefix = \"203.0.113.0/24\"\nfrom = 2026-11-01T00:00:00\n",
                          "prefix = \"203.0.113.0/24\"\nfrom = 2026-11-01T00:00:00Z\nfoo = 1\n", "prefix = \"203.0.113.0/24\"\n",
                          "prefix = \"203.0.113.0/24\"\nfrom = 2026-11-01T00:00:00Z\nlease_hours = 0\n"}) {
    auto r = Routes::parse(head + bad, "routes.toml");
    ASSERT_FALSE(r) << bad;
    EXPECT_NE(r.error().what.find("routes.toml:"), std::string::npos) << r.error().what;
  }
  const std::string one = "prefix = \"203.0.113.0/24\"\nfrom = 2026-11-01T00:00:00Z\n";
  EXPECT_FALSE(Routes::parse(head + one + "[[isp]]\nid = \"b\"\nname = \"B\"\ntrack = \"list\"\n[[isp.prefix]]\n" + one, "routes.toml"));
}

TEST(Codes, StableDistinctAndOnlyHashed) {
  const Codes codes(Secret(Bytes(32, 7))), other(Secret(Bytes(32, 8)));
  std::set<std::string> seen;
  for (Id id = 1; id <= 500; ++id) {
    const auto c = codes.of_case(id);
    EXPECT_EQ(*exchange::parse_notice_code(c.code), c.code);
    EXPECT_EQ(codes.of_case(id).code, c.code);
    EXPECT_NE(other.of_case(id).code, c.code);
    EXPECT_NE(c.word1, c.word2);
    EXPECT_TRUE(seen.insert(c.code).second);
  }
  EXPECT_NE(codes.lookup_hash(codes.of_case(1).code), other.lookup_hash(codes.of_case(1).code));
}

class Book : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    book.emplace(*registry, codes);
    routes = *Routes::parse(routes_text, "routes.toml");
  }
  void TearDown() override {
    book.reset();
    registry.reset();
    BothStores::TearDown();
  }
  registry::StoredFinding finding(std::string_view address, std::string_view rule, Instant at = t0, Id device = 0) {
    if (device == 0) {
      registry::Device d;
      d.first_seen = d.last_seen = at;
      device = *registry->put_device(d, "", "v1");
    }
    registry::StoredFinding s;
    s.finding.device = device;
    s.finding.rule = s.finding_class = rule;
    s.finding.where = {*Ip::parse(address), {23}, Proto::tcp, at};
    s.finding.first_seen = s.finding.last_seen = at;
    s.finding.state = "open";
    s.finding.id = *registry->put_finding(s);
    return s;
  }
  Id attach(registry::StoredFinding& s) {
    auto id = book->attach(s, routes.route(s.finding.where.ip, s.finding.where.at), why, t0);
    EXPECT_TRUE(id) << (id ? "" : id.error().text());
    s.case_id = *id;
    return *id;
  }
  Codes codes{Secret(Bytes(32, 7))};
  Why why{Actor::sensor, "flow", "v1", "finding", "mandate demo"};
  std::optional<registry::Registry> registry;
  std::optional<CaseBook> book;
  Routes routes;
};
NORA_ON_BOTH_STORES(Book);

TEST_P(Book, AFindingSeenAgainOpensNoSecondCase) {
  auto f = finding("203.0.113.10", "telnet-login");
  const auto id = attach(f);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(attach(f), id);
  auto second = finding("203.0.113.10", "admin-page", t0, f.finding.device);
  EXPECT_EQ(attach(second), id) << "the same device: one case";
  auto neighbour = finding("203.0.113.10", "open-resolver", t0 + Span::hours(3));
  EXPECT_EQ(attach(neighbour), id) << "another device on the same line within the lease time: one case";
  auto later = finding("203.0.113.10", "open-resolver", t0 + Span::hours(60));
  EXPECT_NE(attach(later), id) << "beyond the life of an address it may be somebody else";
  EXPECT_EQ(book->find({})->size(), 2u);
  EXPECT_EQ((*book->get(id))->isp, "hikari");
}

TEST_P(Book, SharedAddressesAndUnmeasuredPrefixesAreNotJoined) {
  auto a = finding("198.51.100.20", "camera-web");
  auto b = finding("198.51.100.20", "camera-web");
  EXPECT_NE(attach(a), attach(b)) << "shared address without a measured lease: fails closed";
  auto c = finding("198.51.100.130", "modbus-controller");
  EXPECT_EQ((*book->get(attach(c)))->track, "on-site");
  auto d = finding("203.0.113.200", "telnet-login");
  EXPECT_EQ((*book->get(attach(d)))->isp, "");
}

TEST_P(Book, HistoryIsChainedAndEveryChangeIsFound) {
  auto f = finding("203.0.113.10", "telnet-login");
  const auto id = attach(f);
  ASSERT_TRUE(book->move_along(id, {S0_OBSERVED, S1_VALIDATED, S2_ROUTED}, why, t0));
  ASSERT_TRUE(book->note(id, why, t0));
  EXPECT_TRUE(book->verify_chain(id));
  EXPECT_EQ(book->events(id)->size(), 4u);
  ASSERT_TRUE(registry->db().exec("UPDATE case_event SET who = 'mallory' WHERE case_id = ? AND to_state = 'S1_VALIDATED'", {id}));
  EXPECT_FALSE(book->verify_chain(id));
}

TEST_P(Book, NoNoticeWithoutValidationAndAttribution) {
  auto f = finding("203.0.113.10", "telnet-login");
  const auto id = attach(f);
  const Why isp{Actor::isp, "isp:hikari", "", "", ""};
  EXPECT_FALSE(book->move(id, S4_NOTIFIED, isp, t0));
  ASSERT_TRUE(book->move(id, S1_VALIDATED, why, t0));
  ASSERT_TRUE(book->move(id, S6_VERIFYING, why, t0));
  auto around = book->move(id, S4_NOTIFIED, isp, t0);
  ASSERT_FALSE(around);
  EXPECT_EQ(around.error().code, Code::refused);
}

TEST_P(Book, MergeIsReversible) {
  auto a = finding("203.0.113.10", "telnet-login"), b = finding("203.0.113.11", "telnet-login");
  const auto ca = attach(a), cb = attach(b);
  const Why person{Actor::person, "ops1", "", "same box", ""};
  ASSERT_TRUE(book->move(cb, S1_VALIDATED, why, t0));
  ASSERT_TRUE(book->merge(cb, ca, person, t0));
  EXPECT_EQ((*book->get(cb))->state, X_DUP);
  EXPECT_EQ(attach(b), ca) << "a duplicate is never active";
  ASSERT_TRUE(book->unmerge(cb, person, t0));
  EXPECT_EQ((*book->get(cb))->state, S1_VALIDATED);
  EXPECT_TRUE(book->verify_chain(cb));
}

TEST_P(Book, TheCodeFindsItsCaseAndNoOther) {
  auto a = finding("203.0.113.10", "telnet-login"), b = finding("203.0.113.11", "telnet-login");
  const auto ca = attach(a), cb = attach(b);
  EXPECT_EQ((*book->by_code(codes.of_case(ca).code))->id, ca);
  EXPECT_EQ((*book->by_code(codes.of_case(cb).code))->id, cb);
  EXPECT_FALSE(book->by_code("0000-0000-0000")->has_value());
}

TEST_P(Book, MetricsCountAndOpenTheirRows) {
  auto a = finding("203.0.113.10", "telnet-login"), b = finding("203.0.113.11", "telnet-login"), c = finding("198.51.100.130", "modbus-controller");
  const auto ca = attach(a);
  attach(b);
  attach(c);
  ASSERT_TRUE(book->mark_opened(ca, t0));
  auto steps = funnel(*registry);
  ASSERT_TRUE(steps) << steps.error().text();
  EXPECT_EQ(steps->at(0).count, 2) << "on-site cases are not in the funnel of notices";
  for (const auto& s : *steps) {
    auto rows = funnel_cases(*registry, s.name);
    ASSERT_TRUE(rows) << s.name << rows.error().text();
    EXPECT_EQ(static_cast<std::int64_t>(rows->size()), s.count) << s.name;
  }
  EXPECT_EQ(funnel_cases(*registry, "opened")->at(0), ca);
  EXPECT_FALSE(funnel_cases(*registry, "nonsense"));
  EXPECT_EQ(unknown_share(*registry)->unknown, 3);
  ASSERT_TRUE(registry->add_finding_event({0, a.finding.id, t0, "found", "flow", "v1", "", "s1/0"}));
  ASSERT_TRUE(snapshot(*registry, "s1", t0));
  ASSERT_TRUE(snapshot(*registry, "s1", t0)) << "again overwrites the same";
  auto points = trend(*registry, "findings_seen");
  ASSERT_TRUE(points) << points.error().text();
  ASSERT_EQ(points->size(), 1u);
  EXPECT_EQ(points->at(0).value, 1);
  auto groups = root_causes(*registry);
  ASSERT_TRUE(groups) << groups.error().text();
  EXPECT_EQ(groups->at(0).cases, 2);
}

// Random walks of random actors: whatever is accepted keeps the invariants, whatever is refused changes nothing.
TEST_P(Book, RandomWalksKeepTheInvariants) {
  SeededRandom random(11);
  const auto states = all_states();
  for (int walk = 0; walk < 12; ++walk) {
    auto f = finding("203.0.113." + std::to_string(walk + 1), "telnet-login", t0 + Span::hours(100 * walk));
    const auto id = attach(f);
    Instant now = t0;
    std::size_t changes = 0;
    for (int step = 0; step < 60; ++step) {
      now = now + Span::seconds(1);
      const auto before = **book->get(id);
      const State to = states[random.below(states.size())];
      const Why w{actors[random.below(5)], "walker", "v1", "step", ""};
      const bool moved = book->move(id, to, w, now).has_value();
      const auto after = **book->get(id);
      if (!moved) {
        ASSERT_EQ(after.state, before.state);
      } else if (before.state != to) {
        ++changes;
        ASSERT_EQ(after.state, to);
        ASSERT_TRUE(allowed(before.state, to, w.actor));
      }
      ASSERT_EQ(after.first_seen, before.first_seen) << "the clock keeps the original first_seen";
    }
    auto events = *book->events(id);
    ASSERT_EQ(events.size(), changes + 1);
    ASSERT_TRUE(book->verify_chain(id));
    bool validated = false, attributed = false;
    for (const auto& e : events) {
      validated |= e.to == name(S1_VALIDATED);
      attributed |= e.to == name(S3_ATTRIBUTED) || e.to == name(S3D_DELEGATED);
      if (e.to == name(S4_NOTIFIED)) { ASSERT_TRUE(validated && attributed); }
    }
  }
}

TEST(OnSiteClues, PageNamesThreeParties) {
  registry::Observation o;
  o.id = 12;
  o.where = {*Ip::parse("198.51.100.130"), {80}, Proto::tcp, t0};
  registry::Reply r;
  r.protocol = "http";
  r.bytes = to_bytes("HTTP/1.1 200 OK\r\n\r\n<title>FX5U-32M</title><p>設置: 近未来ビル 3F 機械室</p><p>管理: 近未来ビル管理株式会社 (kanri@kinmirai.example)</p>"
                     "<p>保守: 保守の山田 (hoshu@yamada-hoshu.example)</p><p>03-1234-5678 は管理ではない</p><script>alert(1)</script>");
  auto clues = find_clues({{o, r}}, "ac-ctl.kinmirai.example");
  const auto of = [&](std::string_view role, std::string_view kind) {
    for (const auto& c : clues) if (c.role == role && c.kind == kind) return c;
    return Clue{};
  };
  EXPECT_EQ(of("site", "rdns").text, "ac-ctl.kinmirai.example");
  EXPECT_EQ(of("site", "page").text, "設置: 近未来ビル 3F 機械室");
  EXPECT_EQ(of("operator", "page").contact, "kanri@kinmirai.example");
  EXPECT_EQ(of("maintainer", "page").contact, "hoshu@yamada-hoshu.example");
  r.bytes = to_bytes(std::string("\xff\x00<<<@@@>>>", 11));
  EXPECT_TRUE(find_clues({{o, r}}, "").empty());
}

class OnSiteStore : public store::testing::BothStores {};
NORA_ON_BOTH_STORES(OnSiteStore);

TEST_P(OnSiteStore, TwoPersonsAndAForm) {
  auto s = OnSite::open(url());
  ASSERT_TRUE(s) << s.error().text();
  const Clue clue{0, "page", "operator", "管理: 近未来ビル管理", "kanri@kinmirai.example", "page"};
  ASSERT_TRUE(s->open_case(7, "FX5U-32M: modbus-controller", {clue}, t0));
  ASSERT_TRUE(s->open_case(7, "FX5U-32M: modbus-controller", {clue}, t0));
  EXPECT_EQ(s->clues(7)->size(), 1u);
  EXPECT_EQ(s->all()->size(), 1u);
  Party p;
  p.role = "operator";
  p.name = "近未来ビル管理株式会社";
  auto id = s->propose(7, p, "analyst1", t0);
  ASSERT_TRUE(id) << id.error().text();
  auto alone = s->confirm(*id, "analyst1", t0);
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, Code::refused);
  EXPECT_TRUE(s->confirm(*id, "analyst2", t0));
  EXPECT_FALSE(s->confirm(*id, "analyst3", t0));
  EXPECT_EQ(s->parties(7)->at(0).confirmed_by, "analyst2");
  p.role = "owner";
  EXPECT_FALSE(s->propose(7, p, "analyst1", t0));
  EXPECT_FALSE(s->propose(8, {}, "analyst1", t0));
  Visit v;
  v.planned_for = "2026-12-01";
  v.exposure_confirmed = true;
  ASSERT_TRUE(s->record_visit(7, v, "ops1", t0));
  v.done = true;
  ASSERT_TRUE(s->record_visit(7, v, "ops1", t0));
  EXPECT_TRUE((*s->visit(7))->done);
  EXPECT_FALSE(s->visit(8)->has_value());
}

}  // namespace
}  // namespace nora::cases
