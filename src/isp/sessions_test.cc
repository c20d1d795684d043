// Every trap of isp.md sections 1.3, 2 and 5 that RADIUS accounting sets, by name.
#include "isp/test_world.h"

#include <algorithm>

namespace nora::isp {
namespace {

using testing::at;
using testing::brief;
using testing::Detail;
using testing::World;

constexpr auto ip = "203.0.113.10";
constexpr auto alice = "alice@hikari.example", bob = "bob@hikari.example";
const std::string port1 = "ge-0/0/1:1", port2 = "ge-0/0/1:2";

std::string start(std::string user, std::string session, int t, std::string access = "") { return Detail{.session = session, .user = user, .port = access, .event = at(t)}.text(); }
std::string interim(std::string user, std::string session, int t, int session_time = -1) {
  return Detail{.type = "Interim-Update", .session = session, .user = user, .event = at(t), .session_time = session_time}.text();
}
std::string stop(std::string user, std::string session, int t, int session_time = -1) {
  return Detail{.type = "Stop", .session = session, .user = user, .event = at(t), .session_time = session_time}.text();
}

TEST(Sessions, HalfOpenBordersWithUncertainty) {
  World w({start(alice, "A", 0) + stop(alice, "A", 1000)});
  EXPECT_EQ(brief(w.ask(ip, at(500))), "unique alice@hikari.example");
  EXPECT_EQ(w.ask(ip, at(500)).margin, Span::seconds(500));
  for (int t : {-6, -1, 0, 1, 6, 994, 999, 1000, 1001, 1005}) EXPECT_EQ(brief(w.ask(ip, at(t))), "near_boundary border") << t;
  EXPECT_EQ(brief(w.ask(ip, at(7))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(-7))), "none no_interval");
  EXPECT_EQ(brief(w.ask(ip, at(1006))), "none no_interval");
  EXPECT_EQ(brief(w.ask(ip, at(7), 80, Span::seconds(2))), "near_boundary border");  // the observer's own error counts
}

TEST(Sessions, HandedOverAddressIsToldApartByTime) {
  World w({start(alice, "A", 0) + stop(alice, "A", 1000) + start(bob, "B", 1004)});
  EXPECT_EQ(brief(w.ask(ip, at(900))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1100))), "unique bob@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1002))), "near_boundary hand_over");
}

TEST(Sessions, LostStopDoesNotBlameTheNextCustomer) {
  World w({start(alice, "A", 0) + interim(alice, "A", 600) + start(bob, "B", 2000)});
  EXPECT_EQ(brief(w.ask(ip, at(300))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "near_boundary lost_stop");  // Alice, nobody or a lost session: not Bob, and no notice
  EXPECT_EQ(brief(w.ask(ip, at(2100))), "unique bob@hikari.example");
}

TEST(Sessions, DuplicatedAndShuffledRecordsChangeNothing) {
  std::vector<std::string> records{start(alice, "A", 0), interim(alice, "A", 300), stop(alice, "A", 1000), start(bob, "B", 1004), interim(bob, "B", 1304), stop(bob, "B", 1500)};
  auto retransmitted = Detail{.session = "B", .user = bob, .event = at(1004), .received_after = 5, .delay = 5}.text();
  records.push_back(retransmitted);
  std::vector<std::string> expected;
  std::vector<int> times;
  for (int t = -20; t < 1600; t += 7) times.push_back(t);
  std::string all;
  for (const auto& r : records) all += r;
  World in_order({all});
  for (int t : times) expected.push_back(brief(in_order.ask(ip, at(t))));
  for (int round = 0; round < 10; ++round) {
    std::next_permutation(records.begin(), records.end());
    std::ranges::rotate(records, records.begin() + round % 5);
    World w({});
    std::string text;
    for (const auto& r : records) text += r + r;
    w.add(text.substr(0, text.size()));
    for (std::size_t i = 0; i < times.size(); ++i) ASSERT_EQ(brief(w.ask(ip, at(times[i]))), expected[i]) << times[i];
  }
}

TEST(Sessions, SameFileTwiceIsNoChange) {
  auto text = start(alice, "A", 0) + stop(alice, "A", 1000);
  World w({text});
  auto before = *read_file(w.dir.path() / "index" / "CURRENT");
  auto report = w.add(text);
  EXPECT_EQ(report.counts.records, 2);
  EXPECT_EQ(report.counts.fresh, 0);
  EXPECT_EQ(*read_file(w.dir.path() / "index" / "CURRENT"), before);
}

TEST(Sessions, SplitUniqueIdIsOneSession) {
  // The Start carries NAS-Port-Id, Interim and Stop do not: the server makes two Acct-Unique-Session-Ids of it.
  World w({start(alice, "A", 0, port1) + interim(alice, "A", 600) + stop(alice, "A", 900)});
  EXPECT_EQ(w.state.intervals, 1);
  EXPECT_EQ(brief(w.ask(ip, at(700))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1000))), "none no_interval");
}

TEST(Sessions, InterimWithoutStartBeginsAtItsSessionTime) {
  World w({interim(alice, "A", 600, 600) + stop(alice, "A", 900, 900)});
  EXPECT_EQ(brief(w.ask(ip, at(100))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(-100))), "none no_interval");
}

TEST(Sessions, StartAndSessionTimeDisagree) {
  World w({start(alice, "A", 0) + stop(alice, "A", 900, 600)});  // the Stop says: begun at 300
  EXPECT_EQ(brief(w.ask(ip, at(100))), "near_boundary border");
  EXPECT_EQ(brief(w.ask(ip, at(500))), "unique alice@hikari.example");
}

TEST(Sessions, NasRebootEndsEverythingOfThatNas) {
  auto reboot = Detail{.type = "Accounting-On", .session = "0", .user = "", .ip = "", .event = at(800)}.text();
  auto other = Detail{.session = "C", .user = bob, .ip = "203.0.113.11", .nas = "203.0.113.132", .event = at(0)}.text();
  World w({start(alice, "A", 0) + interim(alice, "A", 500) + reboot + other});
  EXPECT_EQ(brief(w.ask(ip, at(300))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(900))), "none no_interval");
  EXPECT_EQ(brief(w.ask("203.0.113.11", at(900))), "unique bob@hikari.example");
}

TEST(Sessions, StopByRebootDoesNotMakeAFalseOverlap) {
  // isp.md: Accounting-Off later closed the stale row; it then looked like a clean session over the next customer's.
  auto late = Detail{.type = "Stop", .session = "A", .user = alice, .event = at(3000), .extra = "\tAcct-Terminate-Cause = NAS-Reboot\n"}.text();
  World w({start(alice, "A", 0) + start(bob, "B", 1000) + late});
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "unique bob@hikari.example");
}

TEST(Sessions, StopByRebootBeforeALaterSignOfLifeIsNoEnd) {  // found by fuzzing
  auto early = Detail{.type = "Stop", .session = "A", .user = alice, .event = at(500), .extra = "\tAcct-Terminate-Cause = NAS-Reboot\n"}.text();
  World w({start(alice, "A", 0) + early + stop(alice, "A", 1000)});
  EXPECT_EQ(brief(w.ask(ip, at(700))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1100))), "none no_interval");
}

TEST(Sessions, TwoLiveClaimsAreAmbiguous) {
  World w({start(alice, "A", 0) + start(bob, "B", 1000) + interim(alice, "A", 1500) + interim(bob, "B", 2000) + interim(bob, "B", 2500)});
  EXPECT_EQ(brief(w.ask(ip, at(1300))), "ambiguous two_lines");
  EXPECT_EQ(brief(w.ask(ip, at(1700))), "ambiguous two_lines");
  EXPECT_EQ(brief(w.ask(ip, at(2600))), "unique bob@hikari.example");
}

TEST(Sessions, OneUserNameOnTwoPortsAtOnceIsAmbiguous) {
  auto second = Detail{.session = "B", .user = alice, .ip = "203.0.113.11", .port = port2, .event = at(1000)}.text();
  World w({start(alice, "A", 0, port1) + second});
  EXPECT_EQ(brief(w.ask(ip, at(500))), "unique alice@hikari.example");  // before the second one came
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "ambiguous account_shared");
  EXPECT_EQ(brief(w.ask("203.0.113.11", at(1500))), "ambiguous account_shared");
}

TEST(Sessions, ReconnectOnTheSamePortAfterALostStop) {
  auto second = Detail{.session = "B", .user = alice, .ip = "203.0.113.11", .port = port1, .event = at(1000)}.text();
  World w({start(alice, "A", 0, port1) + second});
  EXPECT_EQ(brief(w.ask("203.0.113.11", at(1500))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "none no_interval");
}

TEST(Sessions, ConcurrentSessionsWithUnknownPortsAreAmbiguous) {
  auto second = Detail{.session = "B", .user = alice, .ip = "203.0.113.11", .event = at(1000)}.text();
  World w({start(alice, "A", 0) + second + interim(alice, "A", 2000)});
  EXPECT_EQ(brief(w.ask("203.0.113.11", at(1500))), "ambiguous account_shared");
}

TEST(Sessions, SilenceOfTwoIntervalsEnds) {
  World w({start(alice, "A", 0) + interim(alice, "A", 300) + interim(alice, "A", 600)});
  EXPECT_EQ(brief(w.ask(ip, at(1100))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1300))), "none no_interval");
}

TEST(Sessions, SessionTimeoutEnds) {
  World w({Detail{.extra = "\tSession-Timeout = 3600\n"}.text()});
  EXPECT_EQ(brief(w.ask(ip, at(3000))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(4000))), "none no_interval");
}

TEST(Sessions, SessionIdUsedAgain) {
  World w({start(alice, "A", 0) + stop(alice, "A", 100) + start(alice, "A", 5000) + stop(alice, "A", 5100)});
  EXPECT_EQ(brief(w.ask(ip, at(50))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(2000))), "none no_interval");
  EXPECT_EQ(brief(w.ask(ip, at(5050))), "unique alice@hikari.example");
}

TEST(Sessions, Ipv6ByDelegatedPrefixNotByAddress) {
  World w({Detail{.extra = "\tDelegated-IPv6-Prefix = 2001:db8:1000:1700::/56\n\tFramed-IPv6-Prefix = 2001:db8:1000:ff17::/64\n"}.text()});
  EXPECT_EQ(brief(w.ask("2001:db8:1000:1717::17", at(100))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask("2001:db8:1000:ff17::1", at(100))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask("2001:db8:1000:1800::17", at(100))), "none no_interval");
}

TEST(Sessions, DelegatedPrefixOnlyInAnInterim) {
  Detail with{.type = "Interim-Update", .session = "A", .event = at(600), .extra = "\tDelegated-IPv6-Prefix = 2001:db8:1000:1700::/56\n"};
  World w({start(alice, "A", 0) + with.text()});
  EXPECT_EQ(brief(w.ask("2001:db8:1000:1717::17", at(900))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask("2001:db8:1000:1717::17", at(300))), "near_boundary border");  // assigned some time before
}

TEST(Sessions, SkewOfALiveNasIsTakenOff) {
  // The NAS is 90 s late: its event times say 12:00:00 when the server's clock says 12:01:30.
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += Detail{.type = "Interim-Update", .session = "X", .user = "other@hikari.example", .ip = "203.0.113.99", .event = at(i * 120), .received_after = 90}.text();
  text += Detail{.session = "A", .event = at(0), .received_after = 90}.text() + Detail{.type = "Stop", .session = "A", .event = at(1000), .received_after = 90}.text() +
          Detail{.session = "B", .user = bob, .event = at(1001), .received_after = 90}.text();
  World w({text});
  EXPECT_EQ(brief(w.ask(ip, at(1050))), "unique alice@hikari.example");  // by the NAS's clock it was Bob's already
  EXPECT_EQ(brief(w.ask(ip, at(1150))), "unique bob@hikari.example");
  EXPECT_EQ(w.state.clocks.at("203.0.113.131").skew, Span::seconds(90));
}

TEST(Sessions, ReplayedRecordsSayNothingAboutTheClock) {
  std::string text;
  for (int i = 0; i < 12; ++i)  // all received at one moment
    text += Detail{.type = "Interim-Update", .session = "X", .event = at(i * 120), .received_after = 5000 - i * 120}.text();
  World w({text});
  EXPECT_TRUE(w.state.clocks.empty() || w.state.clocks.begin()->second.skew.us == 0);
}

TEST(Sessions, NasInTheWrongTimeZoneIsNotBelieved) {
  std::string text;
  for (int i = 0; i < 12; ++i) text += Detail{.type = "Interim-Update", .session = "A", .event = at(i * 120), .received_after = 9 * 3600}.text();
  World w({text});
  EXPECT_EQ(brief(w.ask(ip, at(700))), "near_boundary clock_untrusted");
}

TEST(Sessions, AfterTheLastImportNothingIsCertain) {
  World w({start(alice, "A", 0)}, at(1000));
  EXPECT_EQ(brief(w.ask(ip, at(900))), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask(ip, at(1000))), "near_boundary log_not_covered");
  EXPECT_EQ(brief(w.ask(ip, at(1100))), "none log_not_covered");
}

TEST(Sessions, CrashLeavesTheOldIndex) {
  World w({start(alice, "A", 0)});
  {
    auto writer = IndexWriter::open(w.dir.path() / "index");
    std::vector<Customer> none;
    ASSERT_TRUE(import_file(w.dir.write("more", start(bob, "B", 1000)), *writer, none));
    // no commit: the process died
  }
  std::ofstream(w.dir.path() / "index" / "lookup-0000.seg") << "half written";
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "unique alice@hikari.example");
  w.add(start(bob, "B", 1000));
  EXPECT_EQ(brief(w.ask(ip, at(1500))), "unique bob@hikari.example");
  EXPECT_FALSE(std::filesystem::exists(w.dir.path() / "index" / "lookup-0000.seg"));
}

TEST(Sessions, DamagedIndexIsRefused) {
  World w({start(alice, "A", 0)});
  for (const auto& f : std::filesystem::directory_iterator(w.dir.path() / "index"))
    if (f.path().filename().string().starts_with("records-")) std::ofstream(f.path(), std::ios::app) << "x";
  EXPECT_FALSE(IndexWriter::open(w.dir.path() / "index"));
}

TEST(Sessions, SecondWriterIsRefused) {
  World w({start(alice, "A", 0)});
  auto first = IndexWriter::open(w.dir.path() / "index");
  ASSERT_TRUE(first);
  EXPECT_FALSE(IndexWriter::open(w.dir.path() / "index"));
}

TEST(IndexCodec, RoundTrip) {
  LeaseRecord r;
  r.kind = RecordKind::lease;
  r.user = "mac:1";
  r.prefixes = {*Prefix::parse("198.51.100.7")};
  r.at = at(5);
  r.received = at(6);
  r.session_time = Span::seconds(3);
  r.offset = 1'000'000'000'000;
  r.hash[3] = 9;
  Bytes bytes;
  put_record(bytes, r);
  std::size_t pos = 0;
  auto back = get_record(bytes, pos);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, r);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    pos = 0;
    EXPECT_FALSE(get_record(ByteView(bytes).first(cut), pos)) << cut;
  }
}

}  // namespace
}  // namespace nora::isp
