#include "isp/kea.h"

#include "isp/test_world.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::brief;
using testing::World;

std::string committed(std::string_view ip, std::string_view mac, Instant t, int lifetime) {
  return fmt::format(
      "== leases4_committed\nQUERY4_TYPE=DHCPREQUEST\nLEASES4_SIZE=1\nDELETED_LEASES4_SIZE=0\nLEASES4_AT0_ADDRESS={}\nLEASES4_AT0_HWADDR={}\n"
      "LEASES4_AT0_STATE=default\nLEASES4_AT0_CLTT={}\nLEASES4_AT0_VALID_LIFETIME={}\n",
      ip, mac, t.us / 1'000'000, lifetime);
}

std::string released(std::string_view ip, std::string_view mac, Instant cltt, std::optional<Instant> time) {
  auto s = fmt::format("== lease4_release\nLEASE4_ADDRESS={}\nLEASE4_HWADDR={}\nLEASE4_CLTT={}\nLEASE4_VALID_LIFETIME=3600\nLEASE4_STATE=default\n", ip, mac,
                       cltt.us / 1'000'000);
  if (time) s += fmt::format("TIME={}\n", time->us / 1'000'000);
  return s;
}

constexpr auto mac1 = "00:00:5e:00:53:20", mac2 = "00:00:5e:00:53:21";

TEST(Kea, HookLeaseIsUnique) {
  World w({committed("198.51.100.7", mac1, at(0), 3600)});
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(100))), "unique mac:00:00:5e:00:53:20");
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(3))), "near_boundary border");
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(3597))), "near_boundary border");
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(4000))), "none no_interval");
  EXPECT_EQ(brief(w.ask("198.51.100.8", at(100))), "none no_interval");
}

TEST(Kea, RenewalsAreOneBinding) {
  World w({committed("198.51.100.7", mac1, at(0), 3600) + committed("198.51.100.7", mac1, at(1800), 3600) + committed("198.51.100.7", mac1, at(3600), 3600)});
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(3600))), "unique mac:00:00:5e:00:53:20");
  EXPECT_EQ(w.ask("198.51.100.7", at(3600)).margin, Span::seconds(3600));
  EXPECT_EQ(w.state.intervals, 1);
}

TEST(Kea, ReleaseWithAndWithoutTime) {
  World with({committed("198.51.100.7", mac1, at(0), 3600) + released("198.51.100.7", mac1, at(0), at(600)) + committed("198.51.100.7", mac2, at(1200), 3600)});
  EXPECT_EQ(brief(with.ask("198.51.100.7", at(300))), "unique mac:00:00:5e:00:53:20");
  EXPECT_EQ(brief(with.ask("198.51.100.7", at(900))), "none no_interval");
  EXPECT_EQ(brief(with.ask("198.51.100.7", at(1300))), "unique mac:00:00:5e:00:53:21");
  World without({committed("198.51.100.7", mac1, at(0), 3600) + released("198.51.100.7", mac1, at(0), std::nullopt) + committed("198.51.100.7", mac2, at(1200), 3600)});
  EXPECT_EQ(brief(without.ask("198.51.100.7", at(300))), "near_boundary lost_stop");
  EXPECT_EQ(brief(without.ask("198.51.100.7", at(1300))), "unique mac:00:00:5e:00:53:21");
}

TEST(Kea, LostReleaseDoesNotBlameTheNextClient) {
  World w({committed("198.51.100.7", mac1, at(0), 3600) + committed("198.51.100.7", mac2, at(1200), 3600)});
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(600))), "near_boundary lost_stop");
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(1300))), "unique mac:00:00:5e:00:53:21");
}

TEST(Kea, MemfileRows) {
  auto t = at(0).us / 1'000'000;
  auto header = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
  World w({fmt::format("{}198.51.100.7,{},01:00,3600,{},7,0,0,cam-01,0,\n198.51.100.9,{},01:00,0,{},7,0,0,x&#x2cy,0,\nbroken\n", header, mac1, t + 3600, mac2, t)});
  EXPECT_EQ(brief(w.ask("198.51.100.7", at(100))), "unique mac:00:00:5e:00:53:20");
  EXPECT_EQ(brief(w.ask("198.51.100.9", at(100))), "none no_interval");
  auto header6 = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state\n";
  World w6({fmt::format("{}2001:db8:2000:700::,00:01,7200,{},9,3600,2,1,56,0,0,,{},0\n", header6, t + 7200, mac1)});
  EXPECT_EQ(brief(w6.ask("2001:db8:2000:7ab::9", at(100))), "unique mac:00:00:5e:00:53:20");
  EXPECT_EQ(brief(w6.ask("2001:db8:2000:800::9", at(100))), "none no_interval");
}

TEST(Kea, HalfWrittenHookRecordWaits) {
  auto text = committed("198.51.100.7", mac1, at(0), 3600);
  World w({});
  auto report = w.add(text.substr(0, text.size() - 25));
  EXPECT_EQ(report.counts.records, 0);
  EXPECT_EQ(report.counts.incomplete, 1);
  EXPECT_EQ(w.add(text).counts.fresh, 1);
}

}  // namespace
}  // namespace nora::isp
