#include "isp/radius_detail.h"

#include "isp/test_world.h"

namespace nora::isp {
namespace {

using testing::Detail;

struct Parsed { std::vector<LeaseRecord> records; ImportCounts counts; std::size_t used = 0; };
Parsed parse(std::string_view text, bool at_end = true) {
  Parsed p;
  p.used = parse_radius_detail(text, at_end, "detail", 0, [&](LeaseRecord&& r) { p.records.push_back(std::move(r)); }, p.counts);
  return p;
}

TEST(RadiusDetail, ReadsARecord) {
  auto p = parse(Detail{.port = "ge-0/0/1:100-200", .station = "00:00:5e:00:53:10",
                        .extra = "\tFramed-IPv6-Prefix = 2001:db8:1:a::/64\n\tDelegated-IPv6-Prefix = 2001:db8:100:a00::/56\n\tSession-Timeout = 86400\n"}.text());
  ASSERT_EQ(p.records.size(), 1u);
  const auto& r = p.records[0];
  EXPECT_EQ(r.kind, RecordKind::start);
  EXPECT_EQ(r.user, "alice@hikari.example");
  EXPECT_EQ(r.nas, "203.0.113.131");
  EXPECT_EQ(r.access, "ge-0/0/1:100-200");
  EXPECT_EQ(r.at, testing::noon);
  ASSERT_EQ(r.prefixes.size(), 3u);
  EXPECT_EQ(r.prefixes[0].text(), "203.0.113.10/32");
  EXPECT_EQ(r.prefixes[2].text(), "2001:db8:100:a00::/56");
  EXPECT_EQ(r.timeout, Span::days(1));
  EXPECT_EQ(r.offset, 0u);
}

TEST(RadiusDetail, EvidenceIsReproducible) {
  auto text = Detail{}.text() + Detail{.type = "Stop", .event = testing::at(60)}.text();
  auto p = parse(text);
  ASSERT_EQ(p.records.size(), 2u);
  auto second = text.substr(p.records[1].offset, text.find("\n\n", p.records[1].offset) + 1 - p.records[1].offset);
  EXPECT_EQ(sha256(as_bytes(second)), p.records[1].hash);
}

TEST(RadiusDetail, ChunksGiveTheSame) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += Detail{.session = fmt::format("S{}", i), .event = testing::at(i)}.text();
  auto whole = parse(text);
  for (std::size_t chunk : {1u, 7u, 100u, 977u}) {
    Parsed p;
    std::string buffer;
    std::uint64_t offset = 0;
    for (std::size_t pos = 0; pos <= text.size(); pos += chunk) {
      buffer += text.substr(pos, chunk);
      auto used = parse_radius_detail(buffer, pos + chunk > text.size(), "detail", offset, [&](LeaseRecord&& r) { p.records.push_back(std::move(r)); }, p.counts);
      buffer.erase(0, used);
      offset += used;
    }
    EXPECT_EQ(p.records, whole.records) << chunk;
  }
}

TEST(RadiusDetail, HeaderTimeIsNeverUsed) {
  auto text = Detail{}.text();
  for (std::string_view name : {"\tEvent-Timestamp", "\tTimestamp"}) {
    auto from = text.find(name);
    text.erase(from, text.find('\n', from) + 1 - from);
  }
  auto p = parse(text);
  EXPECT_TRUE(p.records.empty());
  EXPECT_EQ(p.counts.refused, 1);
}

TEST(RadiusDetail, ServerMadeEventTimeMinusDelay) {
  auto p = parse(Detail{.event = testing::at(30), .received_after = 0, .delay = 30}.text());  // Event-Timestamp == Timestamp: the server's own
  ASSERT_EQ(p.records.size(), 1u);
  EXPECT_EQ(p.records[0].at, testing::noon);
}

TEST(RadiusDetail, LocalTimeAndAmbiguousZonesAreRefused) {
  EXPECT_EQ(parse_radius_time("Nov 23 2026 12:00:00 UTC")->text(), "2026-11-23T12:00:00Z");
  EXPECT_EQ(parse_radius_time("Nov 23 2026 21:00:00 JST")->text(), "2026-11-23T12:00:00Z");
  EXPECT_EQ(parse_radius_time("Nov  3 2026 12:00:00 +0900")->text(), "2026-11-03T03:00:00Z");
  EXPECT_EQ(parse_radius_time("1795403863")->text(), "2026-11-23T03:17:43Z");
  for (auto bad : {"Nov 23 2026 12:00:00", "Nov 23 2026 12:00:00 CST", "Nov 23 2026 12:00:00 EDT", "Nov 32 2026 12:00:00 UTC", "Feb 30 2026 12:00:00 UTC", "", "x",
                   "Nov 23 2026 25:00:00 UTC", "99999999999999"})
    EXPECT_FALSE(parse_radius_time(bad)) << bad;
}

TEST(RadiusDetail, CutRecordWaitsForTheRest) {
  auto text = Detail{}.text();
  auto cut = text.substr(0, text.size() - 20);
  auto p = parse(cut);
  EXPECT_TRUE(p.records.empty());
  EXPECT_EQ(p.counts.incomplete, 1);
  p = parse(text.substr(0, text.size() - 1));  // only the empty line is missing
  EXPECT_EQ(p.records.size(), 1u);
}

TEST(RadiusDetail, HostileInputIsCountedNotTaken) {
  EXPECT_EQ(parse(Detail{.ip = "203.0.113.300"}.text()).counts.refused, 1);
  EXPECT_EQ(parse(Detail{.extra = "\tDelegated-IPv6-Prefix = ::/0\n"}.text()).counts.refused, 1);
  EXPECT_EQ(parse(Detail{.extra = "\tAcct-Session-Time = -5\n"}.text()).counts.refused, 1);
  EXPECT_EQ(parse(Detail{.user = std::string(5000, 'x')}.text()).counts.refused, 1);
  EXPECT_EQ(parse("x\n" + std::string(300'000, 'y')).counts.incomplete, 1);
  EXPECT_EQ(parse(std::string(300'000, 'y'), false).counts.refused, 1);
  EXPECT_TRUE(parse(Detail{.ip = "255.255.255.254"}.text()).records.at(0).prefixes.empty());  // RFC 2865 section 5.8
}

}  // namespace
}  // namespace nora::isp
