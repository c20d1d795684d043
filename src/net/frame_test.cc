#include "net/frame.h"

#include <gtest/gtest.h>

#include <random>

namespace nora::net {
namespace {

const Link link{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
Ip ip(const char* t) { return *Ip::parse(t); }

TEST(Frame, TcpSynV4IsByteExact) {
  std::array<std::uint8_t, 100> out{};
  const std::size_t n = build_tcp(out, link, {.source = ip("192.0.2.10"), .dest = ip("203.0.113.7"), .source_port = 40000, .dest_port = 23,
                                              .seq = 0x01020304, .window = 64240, .mss = 1460, .ip_id = 7});
  // Checksums worked out by another program (struct and RFC 1071 in Python).
  EXPECT_EQ(to_hex(ByteView(out).first(n)),
            "020000000002020000000001" "0800" "4500002c0007000040067cb3c000020acb007107"
            "9c40001701020304000000006002faf0fec50000020405b4");
}

TEST(Frame, TheSynTemplateWritesWhatTheBuilderWrites) {
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    const Ip source = Ip::v4(random());
    const auto mss = static_cast<std::uint16_t>(random() | 1);
    const SynTemplate syn(link, source, mss);
    const Ip dest = Ip::v4(static_cast<std::uint32_t>(i % 7 == 0 ? 0xffffffffu : random()));
    TcpFields f{.source = source, .dest = dest, .source_port = static_cast<std::uint16_t>(random()), .dest_port = static_cast<std::uint16_t>(random()),
                .seq = static_cast<std::uint32_t>(i % 5 == 0 ? 0xffffffffu : random()), .mss = mss, .ip_id = static_cast<std::uint16_t>(random())};
    std::array<std::uint8_t, 100> wanted{}, got{};
    ASSERT_EQ(build_tcp(wanted, link, f), SynTemplate::bytes);
    syn.fill(got.data(), dest.v4_value(), f.source_port, f.dest_port, f.seq, f.ip_id);
    ASSERT_EQ(wanted, got);
  }
}

TEST(Frame, BuildAndParseAgreeForAllKinds) {
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    const bool v4 = random() & 1;
    const auto make = [&] {
      if (v4) return Ip::v4(random());
      std::array<std::uint8_t, 16> b{};
      for (auto& x : b) x = static_cast<std::uint8_t>(random());
      b[0] = 0x20;
      return Ip::v6(b);
    };
    const Ip source = make(), dest = make();
    Bytes payload(random() % 60);
    for (auto& x : payload) x = static_cast<std::uint8_t>(random());
    std::array<std::uint8_t, max_frame_bytes> out{};
    const auto sp = static_cast<std::uint16_t>(random()), dp = static_cast<std::uint16_t>(random());
    const bool tcp = random() & 1;
    const std::size_t n = tcp ? build_tcp(out, link, {.source = source, .dest = dest, .source_port = sp, .dest_port = dp, .seq = 5, .ack = 6,
                                                      .flags = tcp_flag::ack, .mss = static_cast<std::uint16_t>(random() & 1 ? 1400 : 0)}, payload)
                              : build_udp(out, link, {.source = source, .dest = dest, .source_port = sp, .dest_port = dp}, payload);
    const ByteView frame = ByteView(out).first(n);
    ASSERT_GT(n, 0u);
    EXPECT_TRUE(checksums_right(frame));
    const auto p = parse_frame(frame);
    ASSERT_TRUE(p && p->is_ip && p->has_ports && p->exact && !p->fragment && !p->ip_options && !p->vlan);
    EXPECT_EQ(p->source, source);
    EXPECT_EQ(p->dest, dest);
    EXPECT_EQ(p->source_port, sp);
    EXPECT_EQ(p->dest_port, dp);
    EXPECT_EQ(p->protocol, tcp ? ip_tcp : ip_udp);
    EXPECT_EQ(Bytes(p->payload.begin(), p->payload.end()), payload);
    Bytes broken(frame.begin(), frame.end());
    broken[14 + random() % (n - 14)] ^= static_cast<std::uint8_t>(1u << random() % 8);
    // One flipped bit is always seen by the sums, or it makes the frame something that is not judged (version, length, protocol); UDP sum 0 = none.
    const auto q = parse_frame(broken);
    if (q && q->is_ip && q->exact && q->protocol == p->protocol && q->source.is_v4() == v4 && v4) { EXPECT_FALSE(checksums_right(broken)) << to_hex(broken); }
  }
}

TEST(Frame, DoesNotBuildWhatDoesNotFit) {
  std::array<std::uint8_t, 2000> out{};
  const Bytes big(1500);
  EXPECT_EQ(build_udp(out, link, {.source = ip("192.0.2.1"), .dest = ip("192.0.2.2")}, big), 0u);
  EXPECT_EQ(build_udp(std::span(out).first(41), link, {.source = ip("192.0.2.1"), .dest = ip("192.0.2.2")}, {}), 0u);
  EXPECT_EQ(build_udp(out, link, {.source = ip("192.0.2.1"), .dest = ip("2001:db8::1")}, {}), 0u);
  EXPECT_EQ(build_udp(out, link, {.source = ip("192.0.2.1"), .dest = ip("192.0.2.2")}, ByteView(big).first(1472)), max_frame_bytes);
}

TEST(Frame, CutFramesAreNeverReadBeyond) {
  std::array<std::uint8_t, 200> out{};
  const std::size_t n = build_tcp(out, link, {.source = ip("2001:db8::1"), .dest = ip("2001:db8::2"), .mss = 1400}, as_bytes("hello"));
  for (std::size_t cut = 0; cut < n; ++cut) {
    const Bytes copy(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(cut));  // heap copy: ASan sees any overread
    const auto p = parse_frame(copy);
    if (p && p->is_ip) { EXPECT_FALSE(p->exact); }
  }
}

TEST(Frame, MarksWhatMustNotBeSent) {
  std::array<std::uint8_t, 200> out{};
  const std::size_t n = build_udp(out, link, {.source = ip("192.0.2.1"), .dest = ip("192.0.2.2"), .source_port = 1, .dest_port = 53}, as_bytes("0123456789abcdefghij"));
  Bytes f(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
  Bytes g = f;
  g[20] |= 0x20;  // MF
  EXPECT_TRUE(parse_frame(g)->fragment);
  g = f;
  g[21] = 1;  // offset: no ports to be seen
  EXPECT_TRUE(parse_frame(g)->fragment);
  EXPECT_FALSE(parse_frame(g)->has_ports);
  g = f;
  g.insert(g.begin() + 12, {0x81, 0, 0, 5});
  EXPECT_TRUE(parse_frame(g)->vlan);
  EXPECT_EQ(parse_frame(g)->dest_port, 53);
  g = f;
  g.push_back(0);
  EXPECT_EQ(parse_frame(g)->exact, g.size() <= 60);
  g.resize(80);
  EXPECT_FALSE(parse_frame(g)->exact);
}

TEST(Frame, Ipv6ExtensionHeadersAreWalkedAndMarked) {
  std::array<std::uint8_t, 200> out{};
  const std::size_t n = build_udp(out, link, {.source = ip("2001:db8::1"), .dest = ip("2001:db8::2"), .source_port = 9, .dest_port = 53}, as_bytes("x"));
  Bytes f(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
  const Bytes hop = {17, 0, 1, 4, 0, 0, 0, 0};  // next = UDP, padding option
  f.insert(f.begin() + 54, hop.begin(), hop.end());
  f[20] = 0;  // next header: hop-by-hop
  f[19] = static_cast<std::uint8_t>(f[19] + 8);
  const auto p = parse_frame(f);
  ASSERT_TRUE(p && p->is_ip);
  EXPECT_EQ(p->protocol, ip_udp);
  EXPECT_EQ(p->dest_port, 53);
  EXPECT_TRUE(p->ip_options);
  f[55] = 255;  // length far beyond the packet
  EXPECT_FALSE(parse_frame(f)->has_ports);
}

TEST(Frame, MacTexts) {
  EXPECT_EQ(text(*parse_mac("02:aB:00:00:00:01")), "02:ab:00:00:00:01");
  for (const char* bad : {"", "02:ab:00:00:00", "02:ab:00:00:00:0g", "02-ab-00-00-00-01", "02:ab:00:00:00:01 "}) EXPECT_FALSE(parse_mac(bad)) << bad;
}

}  // namespace
}  // namespace nora::net
