#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "net/in_namespace.h"
#include "net/packet_socket.h"
#include "net/pcap_file.h"
#include "sense/sensor.h"

namespace nora::sense {
namespace {
namespace fs = std::filesystem;

Ip ip(const char* t) { return *Ip::parse(t); }
const Instant start = *Instant::parse("2026-11-25T12:00:00Z");

struct Maker {
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  ByteView tcp(net::TcpFields f) { return ByteView(buffer).first(net::build_tcp(buffer, {}, f)); }
  ByteView udp(net::UdpFields f) { return ByteView(buffer).first(net::build_udp(buffer, {}, f, as_bytes("x"))); }
};
net::TcpFields mirai(Ip source, Ip dest, std::uint16_t port = 23, std::uint16_t source_port = 4444) {
  return {.source = source, .dest = dest, .source_port = source_port, .dest_port = port, .seq = dest.v4_value(), .ip_id = 99};
}
const Ip darknet = *Ip::parse("192.0.2.128");

SourceRecord only(Aggregator& a) {
  const auto all = a.open();
  EXPECT_EQ(all.size(), 1u);
  return all.at(0);
}
void feed(Aggregator& a, ByteView frame, Instant at = start) { a.add(*net::parse_frame(frame), at); }

TEST(Verdict, MiraiNeedsTwoPacketsTwoDestinationsAndNinetyPercent) {
  Maker m;
  const Ip source = ip("203.0.113.7");
  Aggregator one({});
  feed(one, m.tcp(mirai(source, darknet)));
  EXPECT_EQ(only(one).verdict, Verdict::suspected) << "a single packet is never enough";
  feed(one, m.tcp(mirai(source, darknet)));
  EXPECT_EQ(only(one).verdict, Verdict::suspected) << "two packets to the same destination";
  feed(one, m.tcp(mirai(source, darknet.plus(1))));
  const auto r = only(one);
  EXPECT_EQ(r.verdict, Verdict::confirmed);
  EXPECT_EQ(r.tool, "mirai");
  EXPECT_EQ(r.destinations, 2u);
  EXPECT_EQ(r.ports, std::vector<std::uint16_t>{23});
  EXPECT_GE(r.samples.size(), 3u);
  EXPECT_EQ(r.samples[0].source_port, 4444);
  EXPECT_EQ(r.bots, 1u);
  auto other = mirai(source, darknet);
  other.seq ^= 1;
  feed(one, m.tcp(other));  // 3 of 4 SYNs
  EXPECT_EQ(only(one).verdict, Verdict::suspected);
  for (std::uint64_t i = 0; i < 6; ++i) feed(one, m.tcp(mirai(source, darknet.plus(i))));  // 9 of 10
  EXPECT_EQ(only(one).verdict, Verdict::confirmed);
}

TEST(Verdict, ToolsScansAndVictims) {
  Maker m;
  const auto judged = [&](auto&& fill) {
    Aggregator a({});
    for (std::uint32_t i = 0; i < 20; ++i) fill(a, i);
    return only(a);
  };
  const Ip s = ip("198.51.100.9");
  const auto syn = [&](std::uint32_t i) { return net::TcpFields{.source = s, .dest = darknet.plus(i), .source_port = 5000, .dest_port = 23, .seq = i * 77777 + 1, .ip_id = static_cast<std::uint16_t>(i)}; };
  auto r = judged([&](Aggregator& a, std::uint32_t i) { auto f = syn(i); f.ip_id = 54321; feed(a, m.tcp(f)); });
  EXPECT_EQ(r.tool, "zmap");
  EXPECT_EQ(r.verdict, Verdict::suspected);
  r = judged([&](Aggregator& a, std::uint32_t i) { auto f = syn(i); f.ip_id = static_cast<std::uint16_t>(f.dest.v4_value() ^ f.dest_port ^ f.seq); feed(a, m.tcp(f)); });
  EXPECT_EQ(r.tool, "masscan");
  r = judged([&](Aggregator& a, std::uint32_t i) { feed(a, m.tcp(syn(i))); });
  EXPECT_EQ(r.kind, "scan");
  EXPECT_EQ(r.why, "20 destinations on ports of IoT devices");
  EXPECT_EQ(r.verdict, Verdict::suspected);
  r = judged([&](Aggregator& a, std::uint32_t i) { auto f = syn(i); f.flags = net::tcp_flag::syn | net::tcp_flag::ack; feed(a, m.tcp(f)); });
  EXPECT_EQ(r.verdict, Verdict::excluded);
  EXPECT_EQ(r.kind, "backscatter");
  r = judged([&](Aggregator& a, std::uint32_t i) { feed(a, m.udp({.source = s, .dest = darknet.plus(i), .source_port = 53, .dest_port = 40000})); });
  EXPECT_EQ(r.kind, "backscatter");
  r = judged([&](Aggregator& a, std::uint32_t i) { feed(a, m.udp({.source = s, .dest = darknet.plus(i), .source_port = 53, .dest_port = 53})); });
  EXPECT_EQ(r.kind, "other");
}

TEST(Aggregator, CountsOnlyTheDarknetEndsWindowsAndIsBounded) {
  Maker m;
  AggregatorOptions o;
  o.darknet = net::AddressSet::make(std::vector{*Prefix::parse("192.0.2.128/25")});
  o.research = net::AddressSet::make(std::vector{*Prefix::parse("198.51.100.9/32")});
  o.max_sources = 2;
  Aggregator a(o);
  feed(a, m.tcp(mirai(ip("203.0.113.7"), ip("192.0.2.1"))));
  EXPECT_EQ(a.ignored(), 1u);
  for (int day = 0; day < 3; ++day)
    for (std::uint64_t i = 0; i < 4; ++i) feed(a, m.tcp(mirai(ip("203.0.113.7"), darknet.plus(i))), start + Span::days(day));
  const auto closed = a.take_closed();
  ASSERT_EQ(closed.size(), 2u);
  EXPECT_EQ(closed[0].packets, 4u);
  EXPECT_EQ(closed[1].first, start + Span::days(1));
  for (std::uint64_t i = 0; i < 4; ++i) feed(a, m.tcp(mirai(ip("198.51.100.9"), darknet.plus(i))));
  feed(a, m.tcp(mirai(ip("198.51.100.10"), darknet)));
  EXPECT_EQ(a.overflow(), 1u);
  const auto open = a.open();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].source, ip("198.51.100.9"));
  EXPECT_EQ(open[0].kind, "research");
  EXPECT_EQ(open[0].verdict, Verdict::excluded);
  EXPECT_EQ(a.changed().size(), 2u);
  EXPECT_TRUE(a.changed().empty());
}

TEST(Distinct, ExactWhileSmallAndNearWhenLarge) {
  std::mt19937_64 random(4);
  Distinct d;
  std::set<std::uint64_t> truth;
  for (int i = 0; i < 64; ++i) { const auto x = random() % 50 * 0x9e3779b97f4a7c15ULL; d.add(x); truth.insert(x); }
  EXPECT_EQ(d.count(), truth.size());
  for (const int n : {1000, 30000}) {
    Distinct e;
    for (int i = 0; i < n; ++i) { const auto x = random(); e.add(x); e.add(x); }
    EXPECT_NEAR(static_cast<double>(e.count()), n, n * 0.2);
  }
}

// Truth by another program: tcpdump's BPF filter counts the same packets in the same file.
TEST(Pcap, AgreesWithTcpdump) {
  const fs::path file = fs::path(testing::TempDir()) / ("nora_sense_" + std::to_string(::getpid()) + ".pcap");
  std::mt19937 random(17);
  {
    auto writer = net::PcapWriter::create(file);
    ASSERT_TRUE(writer);
    Maker m;
    for (int i = 0; i < 20'000; ++i) {
      const Ip source = Ip::v4(0xcb007100u + random() % 200), dest = Ip::v4(0xc0000280u + random() % 128);
      net::TcpFields f{.source = source, .dest = dest, .source_port = static_cast<std::uint16_t>(random()), .dest_port = static_cast<std::uint16_t>(random() % 3 ? 23 : 8080),
                       .seq = static_cast<std::uint32_t>(random()), .flags = static_cast<std::uint8_t>(random() % 2 ? 2 : random() % 64), .ip_id = static_cast<std::uint16_t>(random() % 2 ? 54321 : random())};
      if (random() % 3 == 0) f.seq = dest.v4_value();
      if (random() % 10 == 0) f.mss = 1400;
      ASSERT_TRUE(writer->add(start + Span::ms(i), random() % 20 ? m.tcp(f) : m.udp({.source = source, .dest = dest, .source_port = 53, .dest_port = 5353})));
    }
    ASSERT_TRUE(writer->close());
  }
  const auto tcpdump = [&](const std::string& filter) -> long {
    std::FILE* p = ::popen(("tcpdump -n -r - '" + filter + "' --count < " + file.string() + " 2>/dev/null").c_str(), "r");
    long n = -1;
    if (std::fscanf(p, "%ld", &n) != 1) n = -1;
    ::pclose(p);
    return n;
  };
  std::map<std::string, std::uint64_t> sum;
  const auto counts = sense_pcap(file, {}, [&](const SourceRecord& r) { sum["packets"] += r.packets; sum["syns"] += r.syns; });
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->frames, 20'000u);
  EXPECT_EQ(static_cast<long>(sum["packets"]), tcpdump("ip"));
  EXPECT_EQ(static_cast<long>(sum["syns"]), tcpdump("tcp[tcpflags]==tcp-syn"));
  Aggregator a({});
  auto pcap = net::PcapFile::open(file);
  std::uint64_t zmap = 0;
  for (auto p = pcap->next(); p && *p; p = pcap->next()) {
    const auto packet = pcap->parse(**p);
    a.add(*packet, (*p)->at);
    zmap += (marks_of(*packet) & mark_zmap) != 0;
  }
  EXPECT_EQ(static_cast<long>(a.mirai_packets()), tcpdump("tcp[tcpflags]==tcp-syn and tcp[4:4]=ip[16:4]"));
  EXPECT_EQ(static_cast<long>(zmap), tcpdump("tcp[tcpflags]==tcp-syn and ip[4:2]=54321"));
  fs::remove(file);
}

struct KeptSink : SightingSink {
  std::map<Ip, registry::Sighting> seen;
  int puts = 0;
  Status put(const std::vector<registry::Sighting>& batch) override {
    ++puts;
    for (const auto& s : batch) seen[s.ip] = s;
    return {};
  }
};

TEST(Live, ADarknetInterfaceGivesTheSightingWhileItRuns) {
  const int code = net::in_namespace("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    const auto attack = [] {
      Fd fd(::socket(AF_PACKET, SOCK_RAW, 0));
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      to.sll_ifindex = net::interface_info("va")->index;
      Maker m;
      for (std::uint64_t i = 0; i < 30; ++i) {
        const ByteView f = m.tcp(mirai(*Ip::parse("203.0.113.7"), darknet.plus(i % 5)));
        (void)!::sendto(fd.get(), f.data(), f.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
        ::usleep(20'000);
      }
    };
    std::thread attacker;
    SystemEnv system("sense_test");
    KeptSink sink;
    LiveOptions o{.iface = "vb", .sensor = "darknet:test", .length = Span::seconds(20), .flush_every = Span::ms(200)};
    o.aggregate.darknet = net::AddressSet::make(std::vector{*Prefix::parse("192.0.2.128/25")});
    const auto counts = sense_live(o, sink, [&] {
      if (!attacker.joinable()) attacker = std::thread(attack);  // the sensor is listening now
      return sink.seen.contains(*Ip::parse("203.0.113.7")) && sink.seen[*Ip::parse("203.0.113.7")].packets == 30;
    }, system.env());
    attacker.join();
    if (!counts) return 1;
    const auto s = sink.seen[*Ip::parse("203.0.113.7")];
    if (s.verdict != "confirmed" || s.kind != "mirai" || s.sensor != "darknet:test") return 2;
    if (s.packets != 30 || s.destinations != 5 || s.samples.size() < 3) return 3;
    return sink.puts >= 2 && sink.seen.size() == 1 && counts->drops == 0 ? 0 : 4;
  });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace nora::sense
