#include "isp/test_party.h"

#include <algorithm>

namespace nora::isp {
namespace {

using testing::at;
using testing::Detail;
using testing::TestParty;

TEST(Worklist, NoGroundNoLookup) {
  TestParty p(false);
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10")}));
  auto counts = match_rows(*p.party);
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_EQ(counts->looked_up, 0);
  EXPECT_EQ(p.state("r1"), "no_ground");
  EXPECT_EQ(std::ranges::count(p.leaves(), "lookup"), 0);
  p.approve("admin-page");
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(p.state("r1"), "matched");
  EXPECT_EQ(row(*p.party, "r1")->line.reveal(), "L-1");
  EXPECT_EQ(std::ranges::count(p.leaves(), "lookup"), 1);
}

TEST(Worklist, GroundByRsitClassAndItsEnd) {
  TestParty p(false);
  p.approve("vulnerable/*");
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")}));
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(p.state("r1"), "matched");
  TestParty late(false);
  late.approve("admin-page");
  ASSERT_TRUE(late.list({TestParty::item("r1", "203.0.113.10")}));
  late.env.clock.set(late.env.clock.now() + Span::days(31));
  ASSERT_TRUE(match_rows(*late.party));
  EXPECT_EQ(late.state("r1"), "expired");  // the list is older than its ground even
}

TEST(Worklist, ReplayedForeignAlteredAndExpiredListsAreRefused) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10")}, 5));
  auto again = open_list(*p.party, p.last_list);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::refused);
  EXPECT_FALSE(p.list({TestParty::item("r2", "203.0.113.10")}, 4));
  EXPECT_FALSE(p.list({TestParty::item("r2", "203.0.113.10")}, 6, "sakura"));
  auto altered = p.last_list;
  altered[altered.size() / 2] ^= 1;
  EXPECT_FALSE(open_list(*p.party, altered));
  p.env.clock.set(p.env.clock.now() + Span::days(15));
  EXPECT_FALSE(open_list(*p.party, p.last_list));
  EXPECT_EQ(rows(*p.party, {})->size(), 1u);
}

TEST(Worklist, SurprisesOfTheLogBecomeStates) {
  TestParty p;
  p.logs({Detail{.type = "Stop", .session = "A", .event = at(1999)}.text(),                                                             // border at the instant
          Detail{.session = "D", .user = "bob@hikari.example", .ip = "203.0.113.21", .nas = "203.0.113.132", .port = "eth9", .event = at(1000)}.text()});  // shared account
  auto no_port = TestParty::item("r3", "203.0.113.12");
  no_port.has_port = false;
  no_port.where.port = {0};
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.21"), no_port, TestParty::item("r4", "203.0.113.99")}));
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(p.state("r1"), "near_boundary");
  EXPECT_EQ(p.state("r3"), "matched");  // an address that is not shared needs no port
  EXPECT_EQ(p.state("r4"), "none");
}

TEST(Worklist, SeenAgainGetsAnotherChanceOnlyWhereNothingWasTold) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r4", "203.0.113.99")}, 1));
  ASSERT_TRUE(match_rows(*p.party));
  auto opened = p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r4", "203.0.113.11")}, 2);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->fresh, 0);
  EXPECT_EQ(p.state("r1"), "matched");
  EXPECT_EQ(p.state("r4"), "new");
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(p.state("r4"), "matched");
}

TEST(Worklist, WithoutAuditLogNothingIsLookedUp) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10")}));
  // Another program changed the log: the next act must not happen.
  std::ofstream(p.party->dir / "audit" / "checkpoint") << "x";
  auto counts = match_rows(*p.party);
  EXPECT_FALSE(counts);
  EXPECT_EQ(p.state("r1"), "new");
  EXPECT_TRUE(match_history(*p.party, "r1")->empty());
}

TEST(Worklist, FindByLineAddressProduct) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")}));
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(rows(*p.party, {.state = "ready", .text = "L-1", .after = {}})->size(), 1u);
  EXPECT_EQ(rows(*p.party, {.state = {}, .text = "203.0.113.11", .after = {}})->size(), 1u);
  EXPECT_EQ(rows(*p.party, {.state = {}, .text = "W300", .after = {}})->size(), 2u);
  EXPECT_EQ(rows(*p.party, {.state = {}, .text = "%", .after = {}})->size(), 0u);
  EXPECT_EQ(rows(*p.party, {.state = {}, .text = {}, .after = "r1"})->size(), 1u);
}

TEST(Worklist, ReturnCarriesStatesAndNoName) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r4", "203.0.113.99")}));
  ASSERT_TRUE(match_rows(*p.party));
  testing::KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  auto written = write_return(*p.party);
  ASSERT_TRUE(written) << written.error().text();
  auto ret = exchange::read_return(written->sealed, p.center, p.party->key->public_key(), "hikari", 0);
  ASSERT_TRUE(ret) << ret.error().text();
  std::vector<std::string> got;
  for (const auto& r : ret->rows) got.push_back(fmt::format("{} {} {}", r.row_id, r.state, r.handle));
  EXPECT_EQ(got, (std::vector<std::string>{"r1 matched ", "r4 none ", "r1 notified "}));
  auto opened = *p.center.open_sealed(written->sealed);
  for (std::string_view secret : {"alice", "Alice", "L-1", "mail.example", "203.0.113"}) EXPECT_EQ(as_text(opened).find(secret), std::string_view::npos) << secret;
  ASSERT_TRUE(commit_return(*p.party, *written));
  auto next = write_return(*p.party);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->rows, 0);
  EXPECT_EQ(next->sequence, 2);
}

TEST(Worklist, SettingsRoundTripAndStrictness) {
  Settings s;
  s.isp = "hikari";
  s.name_ja = "ひかり\"ネット\n";
  s.nas["bras1"] = {"192.0.2.1:3799", "/secret"};
  auto back = parse_settings(settings_text(s), "/dir");
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->name_ja, s.name_ja);
  EXPECT_EQ(back->nas.at("bras1").coa, "192.0.2.1:3799");
  EXPECT_EQ(back->store, "sqlite:/dir/isp.db");
  for (auto bad : {"isp = 1", "isp = \"x\"\ncolour = 1", "isp = \"X Y\"", "isp = \"x\"\nguard_ms = 0", "name_ja = \"x\"", "isp = \"x\"\n[nas.a]\ncoa = \"b\""})
    EXPECT_FALSE(parse_settings(bad, "/dir")) << bad;
}

}  // namespace
}  // namespace nora::isp
