// Notice codes, portal messages, lists and returns: round trips, and everything that must be refused.
#include <gtest/gtest.h>

#include <cctype>
#include <set>

#include "base/files.h"
#include "exchange/isp_list.h"
#include "exchange/isp_list_text.h"
#include "exchange/notice_code.h"
#include "exchange/portal_wire.h"

namespace nora::exchange {
namespace {

const Instant t0 = Instant::seconds(1'795'600'000);

TEST(NoticeCode, RoundTripAndForgivingReading) {
  SeededRandom random(3);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto code = make_notice_code(random);
    ASSERT_EQ(code.size(), 14u);
    EXPECT_EQ(*parse_notice_code(code), code);
    EXPECT_TRUE(seen.insert(code).second);
    std::string sloppy = " ";
    for (char c : code) {
      if (c == '-') continue;
      if (c == '0') c = 'o';
      if (c == '1') c = 'L';
      sloppy += static_cast<char>(std::tolower(c));
    }
    EXPECT_EQ(*parse_notice_code(sloppy), code);
  }
}

TEST(NoticeCode, EveryWrongSymbolAndEveryExchangeIsFound) {
  const std::string alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  SeededRandom random(4);
  for (int round = 0; round < 20; ++round) {
    const auto code = make_notice_code(random);
    for (std::size_t i = 0; i < code.size(); ++i) {
      if (code[i] == '-') continue;
      for (char c : alphabet) {
        auto wrong = code;
        wrong[i] = c;
        EXPECT_EQ(parse_notice_code(wrong).has_value(), wrong == code);
      }
      for (std::size_t k = 0; k < i; ++k) {
        if (code[k] == '-') continue;
        auto wrong = code;
        std::swap(wrong[i], wrong[k]);
        EXPECT_EQ(parse_notice_code(wrong).has_value(), wrong == code);
      }
    }
  }
  for (const char* bad : {"", "7KQ4", "7KQ4-M2XD-9RTCC", "UUUU-UUUU-UUUU", "ＡＡＡＡ"}) EXPECT_FALSE(parse_notice_code(bad)) << bad;
}

FindingView finding() {
  return {"telnet-login", 'D', "high", "Logitec", "LAN-W300N/R", "broadband router", 0.93, 23, "tcp", t0, "open", "router-telnet", "version_unknown", {"CVE-2026-90001", "CVE-2026-90002"}, true, "2024-03-31"};
}

TEST(PortalWire, RoundTrips) {
  NoticeView n{"S4_NOTIFIED", "Hikari", "さくら (sakura)", "うみ (umi)", t0, {finding()}, true};
  auto back = notice_view(to_json(n));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(json::text(to_json(*back)), json::text(to_json(n)));
  CheckLine c;
  c.step = "verdict";
  c.verdict = "red";
  c.findings = {finding()};
  c.done = true;
  auto line = check_line(to_json(c));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->findings[0].port, 23);
  EXPECT_TRUE(line->done);
  EXPECT_LT(json::text(to_json(c)).size(), max_line_bytes);
}

TEST(PortalWire, HostileTextIsCleanedAndBadFieldsAreRefused) {
  auto f = finding();
  f.product = std::string("\xff\x1b[2J\0x", 7);
  EXPECT_TRUE(json::parse_object(json::text(to_json(f))));
  EXPECT_FALSE(finding_view({{"rule", "x"}, {"pattern", "E"}, {"seen", t0.text()}}));
  EXPECT_FALSE(check_line({{"step", "probe"}, {"port", 70000}}));
  const json::Object plain{{"rule", "x"}, {"pattern", "D"}, {"seen", t0.text()}};
  EXPECT_TRUE(finding_view(plain)) << "nothing is known of flaws";
  for (const auto& [name, value] : {std::pair<const char*, json::Value>("flaw", "surely"), {"flaw_ids", 5}, {"flaw_ids", json::Array{5}}, {"flaw_ids", json::Array{"1", "2", "3", "4", "5", "6"}}}) {
    auto bad = plain;
    bad[name] = value;
    EXPECT_FALSE(finding_view(bad)) << name;
  }
  f = finding();
  f.flaw_ids.assign(100, "CVE-2026-90001");
  EXPECT_EQ(finding_view(to_json(f))->flaw_ids.size(), max_flaw_ids);
}

struct Lists : ::testing::Test {
  SeededRandom random{5};
  SigningKey center = SigningKey::make("center.example", random), hikari = SigningKey::make("hikari.example", random),
             sakura = SigningKey::make("sakura.example", random);
  List list() {
    ListRow r;
    r.row_id = "c1";
    r.finding_class = "telnet-login";
    r.severity = "high";
    r.where = {*Ip::parse("203.0.113.10"), {23}, Proto::tcp, t0 + Span{123456}};
    r.at_error = Span::ms(10);
    r.product = "LAN-W300N/R";
    r.notice_code = "7KQ4-M2XD-9RTC";
    ListRow shared = r;
    shared.row_id = "c2";
    shared.has_port = false;
    return {{"list-hikari-7", "hikari", "demo-center", 7, t0, t0 + Span::days(14)}, {r, shared}};
  }
  Bytes file = *write_list(list(), center, hikari.public_key());
  Result<List> read(ByteView bytes, std::int64_t last = 6, Instant now = t0 + Span::days(1)) {
    return read_list(bytes, hikari, "hikari", center.public_key(), last, now);
  }
};

TEST_F(Lists, RoundTrip) {
  auto back = read(file);
  ASSERT_TRUE(back) << back.error().text();
  ASSERT_EQ(back->rows.size(), 2u);
  EXPECT_EQ(back->rows[0].where, list().rows[0].where);
  EXPECT_TRUE(back->rows[0].has_port);
  EXPECT_FALSE(back->rows[1].has_port);
  EXPECT_EQ(back->header.sequence, 7);
}

// The format is a contract with other people's programs: a change of one byte must be seen in a review.
TEST_F(Lists, GoldenText) {
  const std::filesystem::path dir = NORA_SOURCE_DIR "/src/exchange/golden";
  EXPECT_EQ(*read_file(dir / "list.ndjson"), *list_text(list()));
  Return ret{"list-hikari-7", "hikari", 3, t0, {{"c1", "notified", t0 + Span::seconds(5), "00ff", "mail"}, {"c2", "shared_no_port", t0, "", ""}}};
  EXPECT_EQ(*read_file(dir / "return.ndjson"), *return_text(ret));
  EXPECT_TRUE(parse_list_text(*read_file(dir / "list.ndjson")));
  EXPECT_TRUE(parse_return_text(*read_file(dir / "return.ndjson")));
}

TEST_F(Lists, ReplayedForeignExpiredAreRefused) {
  const auto refused = [](const Result<List>& r) { return !r && r.error().code == Code::refused; };
  EXPECT_TRUE(refused(read(file, 7)));
  EXPECT_TRUE(refused(read(file, 8)));
  EXPECT_TRUE(refused(read(file, 6, t0 + Span::days(14))));
  EXPECT_TRUE(refused(read_list(file, sakura, "sakura", center.public_key(), 0, t0)));          // another ISP's key
  EXPECT_TRUE(refused(read_list(file, hikari, "sakura", center.public_key(), 0, t0)));          // another ISP's id
  EXPECT_TRUE(refused(read_list(file, hikari, "hikari", sakura.public_key(), 0, t0)));          // not signed by this center
  auto forged = *write_list(list(), sakura, hikari.public_key());                               // anybody can seal; only the center signs
  EXPECT_TRUE(refused(read(forged)));
}

TEST_F(Lists, EveryChangedByteIsRefused) {
  for (std::size_t i = 0; i < file.size(); i += 3) {
    auto altered = file;
    altered[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    EXPECT_FALSE(read(altered)) << i;
  }
  for (std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{47}, std::size_t{48}, file.size() / 2, file.size() - 1})
    EXPECT_FALSE(read(ByteView(file).first(cut)));
}

TEST_F(Lists, ReturnRoundTripAndNoNamesInIt) {
  Return ret{"list-hikari-7", "hikari", 3, t0, {{"c1", "matched", t0, "00ff", ""}, {"c1", "notified", t0 + Span::seconds(5), "00ff", "mail"},
                                                {"c2", "shared_no_port", t0, "", ""}}};
  auto sealed = write_return(ret, hikari, center.public_key());
  ASSERT_TRUE(sealed) << sealed.error().text();
  auto back = read_return(*sealed, center, hikari.public_key(), "hikari", 2);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->rows.size(), 3u);
  EXPECT_EQ(back->rows[1].detail, "mail");
  EXPECT_FALSE(read_return(*sealed, center, hikari.public_key(), "hikari", 3));
  EXPECT_FALSE(read_return(*sealed, center, sakura.public_key(), "hikari", 2));
  EXPECT_FALSE(read_return(*sealed, center, hikari.public_key(), "sakura", 2));
  EXPECT_FALSE(read_list(*sealed, center, "hikari", hikari.public_key(), 0, t0)) << "a return is no list";
  for (const char* name : {"Yamada Taro", "山田", "line@example.jp"}) {
    ret.rows[0].detail = name;
    EXPECT_FALSE(write_return(ret, hikari, center.public_key())) << name;
  }
}

}  // namespace
}  // namespace nora::exchange
