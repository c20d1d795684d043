// The witness must see what it is there for: frames outside the mandate, and credentials in any of their forms.
#include "survey/wire_audit.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/ip.h"
#include "net/pcap_file.h"

namespace nora::survey {
namespace {

constexpr std::string_view mandate_text =
    "nora-mandate: 1\nid: t\nsource: 192.0.2.10\nsource: 2001:db8:0:10::10\nlistener: 192.0.2.10 tcp 8088\nrange: 198.51.100.128/28\nrange: 203.0.113.0/25\n"
    "range: 2001:db8:1000::/36\nexclude: 203.0.113.96/28\nsocial-impact: 198.51.100.128/28\nport: tcp 21\nport: tcp 23\nport: tcp 80\nport: tcp 502\nport: tcp 1883\nport: udp 161\n\n— a AAAA\n";

struct Packet {
  std::string source = "192.0.2.10", target;
  int proto = 6, source_port = 40000, port = 80, flags = 0x02;
  std::string payload = {};
};

Bytes frame(const Packet& p) {
  auto from = *Ip::parse(p.source), to = *Ip::parse(p.target);
  Bytes body;
  put_u16be(body, static_cast<std::uint16_t>(p.source_port));
  put_u16be(body, static_cast<std::uint16_t>(p.port));
  if (p.proto == 6) {
    body.resize(12, 0);
    body.push_back(5 << 4);
    body.push_back(static_cast<std::uint8_t>(p.flags));
    body.resize(20, 0);
  } else {
    put_u16be(body, static_cast<std::uint16_t>(8 + p.payload.size()));
    put_u16be(body, 0);
  }
  body.insert(body.end(), p.payload.begin(), p.payload.end());
  Bytes f(12, 0x02);
  if (to.is_v4()) {
    put_u16be(f, 0x0800);
    Bytes ip = {0x45, 0};
    put_u16be(ip, static_cast<std::uint16_t>(20 + body.size()));
    ip.resize(8, 0);
    ip.push_back(64);
    ip.push_back(static_cast<std::uint8_t>(p.proto));
    put_u16be(ip, 0);
    put_u32be(ip, from.v4_value());
    put_u32be(ip, to.v4_value());
    f.insert(f.end(), ip.begin(), ip.end());
  } else {
    put_u16be(f, 0x86dd);
    Bytes ip = {0x60, 0, 0, 0};
    put_u16be(ip, static_cast<std::uint16_t>(body.size()));
    ip.push_back(static_cast<std::uint8_t>(p.proto));
    ip.push_back(64);
    ip.insert(ip.end(), from.bytes().begin(), from.bytes().end());
    ip.insert(ip.end(), to.bytes().begin(), to.bytes().end());
    f.insert(f.end(), ip.begin(), ip.end());
  }
  f.insert(f.end(), body.begin(), body.end());
  f.resize(std::max<std::size_t>(f.size(), 60), 0);  // Ethernet padding must not count as payload
  return f;
}

WireCounts judged(const Packet& p) {
  WireCounts c;
  judge(*MandateReading::read(mandate_text), frame(p), c);
  return c;
}

TEST(WireAudit, knows_inside_from_outside) {
  EXPECT_EQ(judged({.target = "203.0.113.7"}).inside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.127"}).inside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.128"}).outside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.96"}).outside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.111"}).outside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.112"}).inside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.7", .port = 81}).outside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.7", .proto = 17, .port = 80}).outside, 1u);
  EXPECT_EQ(judged({.source = "192.0.2.11", .target = "203.0.113.7"}).outside, 1u);
  EXPECT_EQ(judged({.source = "2001:db8:0:10::10", .target = "2001:db8:1fff::1"}).inside, 1u);
  EXPECT_EQ(judged({.source = "2001:db8:0:10::10", .target = "2001:db8:2000::1"}).outside, 1u);
}

TEST(WireAudit, control_port_only_where_the_mandate_names_it) {
  EXPECT_EQ(judged({.target = "198.51.100.130", .port = 502}).inside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.7", .port = 502}).outside, 1u);
}

TEST(WireAudit, counts_apart_what_is_no_probe) {
  EXPECT_EQ(judged({.target = "203.0.113.7", .flags = 0x04}).reset, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.98", .flags = 0x04}).outside, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.7", .source_port = 8088, .port = 50000, .flags = 0x12}).listener, 1u);
  EXPECT_EQ(judged({.target = "203.0.113.7", .source_port = 8088, .port = 50000, .flags = 0x02}).outside, 1u);
}

TEST(WireAudit, sees_credentials_in_every_form) {
  auto bytes = [](int port, std::string payload, int proto = 6) {
    return judged({.target = "203.0.113.7", .proto = proto, .port = port, .flags = 0x18, .payload = std::move(payload)}).credential_bytes;
  };
  EXPECT_EQ(bytes(80, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0u);
  EXPECT_EQ(bytes(80, "GET / HTTP/1.1\r\nauthorization: Basic YTpi\r\n\r\n"), 11u);
  EXPECT_EQ(bytes(21, "USER anonymous\r\n"), 9u);
  EXPECT_EQ(bytes(21, "PASS x"), 1u);
  EXPECT_EQ(bytes(23, std::string("\xff\xfc\x01\xff\xfe\x1f", 6)), 0u);
  EXPECT_EQ(bytes(23, std::string("\xff\xfc\x01root\r\n", 9)), 6u);
  EXPECT_EQ(bytes(161, to_string(*from_hex("302602010104067075626c6963a01902")), 17), 6u);
  EXPECT_EQ(bytes(161, to_string(*from_hex("303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400301204000400a00c020237f00201000201003000")), 17), 0u);
  EXPECT_EQ(bytes(1883, to_string(*from_hex("100d00044d5154540402003c00016e"))), 0u);
  EXPECT_GT(bytes(1883, to_string(*from_hex("101100044d51545404c2003c00016e0001610001 62"))), 0u);
}

TEST(WireAudit, a_mandate_without_range_is_no_mandate) { EXPECT_FALSE(MandateReading::read("nora-mandate: 1\nport: tcp 80\n\n")); }

// A capture of two cards: ours sends what is asked of it, and then what it should not.
TEST(WireAudit, ACaptureIsJudgedFrameByFrame) {
  const auto catalogue = *Catalogue::parse(*read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv"));
  const auto mandate = *MandateReading::read(
      "nora-mandate: 1\nsource: 192.0.2.10\nrange: 203.0.113.0/25\nsocial-impact: 203.0.113.64/28\nport: udp 53\nport: udp 161\nport: udp 9600\n\n— a AAAA\n");
  const auto folder = std::filesystem::temp_directory_path() / ("wire-audit-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto file = folder / "x.pcap";
  auto audit = [&](const std::vector<Bytes>& frames) {
    auto out = net::PcapWriter::create(file);
    for (const auto& f : frames) EXPECT_TRUE(out->add(Instant::seconds(1), f));
    EXPECT_TRUE(out->close());
    return audit_capture(file, mandate, catalogue);
  };
  auto probe = [&](std::string_view id, std::string target, int port) {
    Token t;
    t.bytes.fill(0x5a);
    auto bytes = catalogue.find(id)->render(t, *Ip::parse(target), *Ip::parse("192.0.2.10"));
    return frame({.target = std::move(target), .proto = 17, .port = port, .payload = to_string(bytes)});
  };
  auto answer = frame({.source = "203.0.113.7", .target = "192.0.2.10", .proto = 17, .source_port = 53, .port = 61000, .payload = "anything"});
  answer[6] = 0x04;  // another card

  auto good = audit({probe("dns-version", "203.0.113.7", 53), answer, probe("fins", "203.0.113.70", 9600)});
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->frames, 2u);
  EXPECT_EQ(good->inside, 2u);
  EXPECT_EQ(good->datagrams, 2u);
  EXPECT_EQ(good->outside + good->bytes_outside_catalogue + good->credential_bytes, 0u);

  auto other_bytes = frame({.target = "203.0.113.7", .proto = 17, .port = 53, .payload = "hello"});
  auto spoofed = frame({.source = "198.51.100.1", .target = "203.0.113.7", .proto = 17, .port = 53, .payload = "x"});
  auto bad = audit({probe("dns-version", "203.0.113.7", 53), other_bytes, probe("dns-version", "203.0.113.7", 161), spoofed,
                    probe("fins", "203.0.113.7", 9600), probe("snmp-public", "203.0.113.7", 161), probe("dns-version", "203.0.113.200", 53)});
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->datagrams_outside_catalogue, 2u) << "other bytes, and a request of another port";
  EXPECT_EQ(bad->bytes_outside_catalogue, 5u + 30u);
  EXPECT_EQ(bad->outside, 3u) << "another source on our card, a control probe, a target out of range";
  EXPECT_EQ(bad->credential_bytes, 6u);

  EXPECT_FALSE(audit({answer})) << "nothing of ours is no proof";
  Bytes arp(12, 0x02);
  put_u16be(arp, 0x0806);
  arp.resize(60, 0);
  auto ping = frame({.target = "203.0.113.7", .proto = 1});
  auto none = audit({arp, ping, answer});
  ASSERT_FALSE(none) << "frames of ours, and no probe among them: what a tap on the sender's own interface gives";
  EXPECT_NE(none.error().what.find("no probe"), std::string::npos) << none.error().text();
  EXPECT_FALSE(audit_capture(folder / "missing", mandate, catalogue));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace nora::survey
