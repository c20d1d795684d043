#include "isp/mape.h"

#include <set>

#include "isp/test_world.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::brief;
using testing::Detail;
using testing::World;

MapeRule rule(std::string_view v4, std::string_view v6, int a, int k) {
  MapeRule r;
  r.ipv4 = *Prefix::parse(v4);
  r.ipv6 = *Prefix::parse(v6);
  r.psid_offset = a;
  r.psid_length = k;
  r.ea_bits = 32 - r.ipv4.length() + k;
  return r;
}

// RFC 7597 Appendix A, example 1: 192.0.2.18 port 1232 is PSID 0x34, end-user prefix 2001:db8:12:3400::/56.
TEST(Mape, Rfc7597ExampleOne) {
  auto r = rule("192.0.2.0/24", "2001:db8::/40", 6, 8);
  EXPECT_EQ(mape_psid(r, {1232}), 0x34u);
  EXPECT_EQ(mape_user(r, *Ip::parse("192.0.2.18"), {1232})->text(), "2001:db8:12:3400::/56");
  EXPECT_FALSE(mape_user(r, *Ip::parse("192.0.3.18"), {1232}));
  EXPECT_FALSE(mape_psid(r, {1023}));
}

// Every port is either nobody's or in exactly the port set that RFC 7597 section 5.1 builds from the other side.
TEST(Mape, InverseOfThePortSetFormula) {
  for (auto [a, k] : {std::pair{4, 8}, {6, 6}, {6, 8}, {0, 4}}) {
    auto r = rule("198.51.100.20/32", "2001:db8:2000::/48", a, k);
    const int m = 16 - a - k;
    std::vector<int> owner(65536, -1);
    for (int psid = 0; psid < 1 << k; ++psid)
      for (int i = a > 0 ? 1 : 0; i < 1 << a; ++i)
        for (int j = 0; j < 1 << m; ++j) owner[static_cast<std::size_t>(i << (16 - a) | psid << m | j)] = psid;
    for (int port = 0; port < 65536; ++port) {
      auto psid = mape_psid(r, {static_cast<std::uint16_t>(port)});
      ASSERT_EQ(psid ? static_cast<int>(*psid) : -1, owner[static_cast<std::size_t>(port)]) << a << " " << k << " " << port;
    }
  }
}

std::string rules(std::string_view row) { return fmt::format("{}\n{}\n", mape_header, row); }

TEST(Mape, BadRuleFilesAreRefusedWhole) {
  auto good = "198.51.100.20/32,2001:db8:2000::/48,8,4,8,2026-01-01T00:00:00Z,";
  EXPECT_TRUE(parse_mape_rules(rules(good), "f"));
  for (auto bad : {"198.51.100.20/32,2001:db8:2000::/48,9,4,8,2026-01-01T00:00:00Z,", "198.51.100.20/32,2001:db8:2000::/60,8,4,8,2026-01-01T00:00:00Z,",
                   "198.51.100.20/32,2001:db8:2000::/48,8,4,13,2026-01-01T00:00:00Z,", "198.51.100.20/32,2001:db8:2000::/48,8,4,8,2026-01-01 00:00:00,",
                   "198.51.100.20/32,2001:db8:2000::/48,8,4,8,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z", "198.51.100.21/31,2001:db8:2000::/48,9,4,8,2026-01-01T00:00:00Z,",
                   "2001:db8::/32,2001:db8:2000::/48,8,4,8,2026-01-01T00:00:00Z,"})
    EXPECT_FALSE(parse_mape_rules(rules(fmt::format("{}\n{}", good, bad)), "f")) << bad;
}

// Port 9030 with a = 4, k = 8: (9030 >> 4) & 255 = 0x34.
constexpr auto shared = "198.51.100.20/32,2001:db8:2000::/48,8,4,8,2026-01-01T00:00:00Z,";

TEST(Mape, SharedAddressNeedsThePort) {
  World w({rules(shared), "line,keys\nL-1,prefix:2001:db8:2000:3400::/56\n"});
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(0), 9030)), "unique L-1");
  auto without = w.ask("198.51.100.20", at(0), 0);
  EXPECT_EQ(brief(without), "shared_no_port shared_address");
  EXPECT_EQ(without.candidates, 256);
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(0), 80)), "none port_of_nobody");
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(0), 9046)), "unique prefix:2001:db8:2000:3500::/56");
}

TEST(Mape, RuleBordersAndContradictions) {
  auto text = fmt::format("{}\n198.51.100.20/32,2001:db8:2000::/48,8,4,8,2026-01-01T00:00:00Z,2026-11-23T12:00:00Z\n"
                          "198.51.100.20/32,2001:db8:2f00::/48,8,4,8,2026-11-23T12:00:00Z,\n", mape_header);
  World w({text});
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(-100), 9030)), "unique prefix:2001:db8:2000:3400::/56");
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(100), 9030)), "unique prefix:2001:db8:2f00:3400::/56");
  EXPECT_EQ(w.ask("198.51.100.20", at(2), 9030).status, MatchStatus::ambiguous);
  World contradicted({rules(shared), Detail{.ip = "198.51.100.20"}.text()});
  EXPECT_EQ(brief(contradicted.ask("198.51.100.20", at(100), 9030)), "ambiguous shared_address_has_lease");
}

TEST(Mape, DelegatedPrefixLeaseNamesTheLine) {
  Detail pd{.ip = "", .extra = "\tDelegated-IPv6-Prefix = 2001:db8:2000:3400::/56\n"};
  World w({rules(shared), pd.text()});
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(100), 9030)), "unique alice@hikari.example");
  EXPECT_EQ(brief(w.ask("198.51.100.20", at(3), 9030)), "near_boundary border");
}

}  // namespace
}  // namespace nora::isp
