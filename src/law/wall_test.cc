// Both kinds of wall on a real veth pair in namespaces of the test: the same table of frames, the same verdicts, the same counters. The XDP wall needs
// root of the first user namespace; elsewhere its tests hold that it says so.
#include "law/wall.h"

#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "law/test_mandate.h"
#include "law/wall_opt_out.h"
#include "net/bpf_object.h"
#include "net/in_namespace.h"
#include "net/packet_socket.h"

namespace nora::law::wall {
namespace {

NORA_BPF_OBJECT(bpf_object_test)

constexpr const char* veth =
    "ip link add va type veth peer name vb; echo 1 > /proc/sys/net/ipv6/conf/va/disable_ipv6; ip link set va up; ip link set vb up; ip addr add 2001:db8:0:9::9/128 dev vb nodad";
Ip ip(const char* t) { return *Ip::parse(t); }

class Raw {
 public:
  explicit Raw(const char* iface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    to_.sll_family = AF_PACKET;
    to_.sll_ifindex = net::interface_info(iface)->index;
  }
  bool send(ByteView f) const { return ::sendto(fd_.get(), f.data(), f.size(), 0, reinterpret_cast<const sockaddr*>(&to_), sizeof to_) > 0; }

 private:
  Fd fd_;
  sockaddr_ll to_{};
};

struct Frames {
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  Bytes taken(std::size_t n) { return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n)}; }
  Bytes tcp(const char* from, const char* to, std::uint16_t sport, std::uint16_t dport, std::uint8_t flags = net::tcp_flag::syn) {
    return taken(net::build_tcp(buffer, {}, {.source = ip(from), .dest = ip(to), .source_port = sport, .dest_port = dport, .flags = flags}));
  }
  Bytes udp(const char* from, const char* to, std::uint16_t dport) {
    return taken(net::build_udp(buffer, {}, {.source = ip(from), .dest = ip(to), .source_port = 4000, .dest_port = dport}, as_bytes("?")));
  }
  Bytes icmp(const char* from, const char* to, std::uint8_t type) { return taken(net::build_icmp(buffer, {}, ip(from), ip(to), type, 0, Bytes(36))); }
  Bytes nd(const char* to, std::uint8_t type, std::uint8_t hop_limit = 255) {
    Bytes f = icmp("fe80::1", to, type);
    f[21] = hop_limit;
    return f;
  }
  static Bytes with(Bytes f, std::size_t at, std::uint8_t value) {
    f[at] = value;
    return f;
  }
  // Cut after n bytes, with the IP length put right.
  static Bytes cut(Bytes f, std::size_t n) {
    f.resize(n);
    const std::size_t length = f[12] == 0x08 ? n - 14 : n - 54;
    f[f[12] == 0x08 ? 16 : 18] = static_cast<std::uint8_t>(length >> 8);
    f[f[12] == 0x08 ? 17 : 19] = static_cast<std::uint8_t>(length);
    return f;
  }
};

constexpr const char* us = "192.0.2.10";
constexpr const char* us6 = "2001:db8:0:10::10";
using net::tcp_flag::ack;
using net::tcp_flag::rst;
using net::tcp_flag::syn;

// What each frame must be counted as.
std::vector<std::pair<std::string, Bytes>> cases() {
  Frames f;
  const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80), good6 = f.tcp(us6, "2001:db8:1000::1", 40000, 80), question = f.udp(us, "203.0.113.7", 53);
  std::vector<std::pair<std::string, Bytes>> out = {
      {"passed", good},
      {"passed", f.tcp(us, "203.0.113.0", 40000, 80)},
      {"passed", f.tcp(us, "203.0.113.127", 40000, 80, rst)},
      {"passed", f.tcp(us6, "2001:db8:1fff:ffff:ffff:ffff:ffff:ffff", 40000, 80)},
      {"passed", f.tcp(us6, "2001:db8:1000::", 40000, 80)},
      {"passed", f.udp(us, "198.51.100.63", 53)},
      {"passed", f.udp(us6, "2001:db8:1000::1", 53)},
      {"blocked", f.tcp(us, "203.0.113.128", 40000, 80)},        // outside
      {"blocked", f.tcp(us, "203.0.112.255", 40000, 80)},
      {"blocked", f.tcp(us6, "2001:db8:fff:ffff:ffff:ffff:ffff:ffff", 40000, 80)},
      {"blocked", f.tcp(us, "255.255.255.255", 40000, 80)},
      {"blocked", f.tcp(us, "0.0.0.0", 40000, 80)},
      {"blocked", f.tcp(us, "203.0.113.96", 40000, 80)},         // excluded
      {"blocked", f.tcp(us, "203.0.113.111", 40000, 80, ack)},
      {"passed", f.tcp(us, "203.0.113.112", 40000, 80)},
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 81)},          // port
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 79)},
      {"blocked", f.tcp(us, "203.0.113.7", 80, 40000)},          // byte order of the ports
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 0x5000)},
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 0)},
      {"blocked", f.udp(us, "203.0.113.7", 80)},                 // protocol
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 53)},
      {"blocked", Frames::with(good, 23, 132)},                  // SCTP
      {"blocked", f.tcp("192.0.2.11", "203.0.113.7", 40000, 80)},  // source
      {"blocked", f.tcp(us6, "2001:db8:2000::1", 40000, 80)},
      {"blocked", f.udp(us6, "2001:db8:1000::1", 54)},
      {"blocked", f.tcp("2001:db8:0:10::11", "2001:db8:1000::1", 40000, 80)},
      {"blocked", f.icmp(us, "203.0.113.7", 8)},                 // echo request: no probe of ours
      {"blocked", f.icmp(us6, "2001:db8:1000::1", 128)},
      {"blocked", f.tcp(us, "203.0.113.40", 40000, 80)},         // opted out long ago
      {"blocked", f.tcp(us, "203.0.113.40", 8088, 51000, ack)},
      {"blocked", f.tcp(us6, "2001:db8:1000:40::1", 40000, 80)},
      {"opted_out", f.tcp(us, "203.0.113.41", 40000, 80)},       // opted out just now
      {"opted_out", f.udp(us6, "2001:db8:1000:41::1", 53)},
      {"listener_passed", f.tcp(us, "203.0.113.7", 8088, 51000, syn | ack)},
      {"listener_passed", f.tcp(us, "203.0.113.7", 8088, 51000, rst | ack)},
      {"blocked", f.tcp(us, "203.0.113.7", 8088, 51000, syn)},   // the listener does not call
      {"blocked", f.tcp(us, "203.0.113.7", 8089, 51000, ack)},
      {"blocked", f.tcp(us6, "2001:db8:1000::1", 8088, 51000, ack)},  // it has no IPv6
      {"stray", f.tcp(us, "203.0.113.200", 8088, 51000, syn | ack)},  // an outsider called the listener
      {"stray", f.tcp(us, "203.0.113.200", 8088, 51000, rst)},
      {"stray", f.tcp(us, "203.0.113.7", 9999, 51000, rst | ack)},
      {"stray", f.tcp(us6, "2001:db8:2000::1", 9999, 51000, rst)},
      {"icmp_error", f.icmp(us, "203.0.113.7", 3)},
      {"icmp_error", f.icmp(us, "203.0.113.7", 11)},
      {"icmp_error", f.icmp(us, "203.0.113.7", 12)},
      {"icmp_error", f.icmp(us6, "2001:db8:1000::1", 1)},
      {"icmp_error", f.icmp(us6, "2001:db8:1000::1", 4)},
      {"blocked", f.icmp(us6, "2001:db8:1000::1", 5)},
      {"stray", f.icmp(us, "203.0.113.200", 3)},
      {"stray", f.icmp(us6, "2001:db8:2000::1", 1)},
      {"nd", f.nd("ff02::1:ff00:9", 135)},                       // neighbour discovery of the link
      {"nd", f.nd("ff02::2", 133)},
      {"nd", f.nd("fe80::2", 136)},
      {"nd", f.nd("2001:db8:0:9::9", 135)},                      // an address of the wall
      {"blocked", f.nd("2001:db8:0:9::8", 135)},
      {"blocked", f.nd("2001:db8:1000::1", 135)},                // the wall's kernel would route it
      {"blocked", f.nd("2001:db8:2000::1", 136)},
      {"blocked", f.nd("ff05::2", 136)},
      {"blocked", f.nd("ff02::1:ff00:9", 135, 254)},
      {"blocked", f.nd("ff02::1", 134)},                         // a router's word
      {"blocked", f.nd("ff02::1", 137)},                         // redirect
      // Bytes that are not what they say.
      {"blocked", Frames::with(good, 14, 0x55)},                 // version 5
      {"blocked", Frames::with(good6, 14, 0x50)},
      {"blocked", Frames::with(good, 14, 0x44)},                 // header of 16 bytes
      {"blocked", Frames::with(good, 16, 0x05)},                 // longer than the frame
      {"blocked", Frames::with(good6, 18, 0x05)},
      {"blocked", Frames::with(good, 17, 19)},                   // shorter than its header
      {"blocked", Frames::with(good, 46, 0x40)},                 // TCP header of 16 bytes
      {"blocked", Frames::cut(good, 34 + 19)},                   // cut headers
      {"blocked", Frames::cut(good, 34 + 4)},
      {"blocked", Frames::cut(good, 34)},
      {"blocked", Frames::cut(good6, 54 + 19)},
      {"blocked", Frames::cut(good6, 54)},
      {"blocked", Frames::cut(question, 34 + 7)},
      {"passed", Frames::cut(question, 34 + 8)},
      {"passed", Frames::cut(good, 34 + 20)},
  };
  Bytes vlan = good;
  vlan.insert(vlan.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  out.emplace_back("blocked", vlan);
  vlan[12] = 0x88;
  vlan[13] = 0xa8;
  out.emplace_back("blocked", vlan);
  Bytes options = good;
  options[14] = 0x46;
  options.insert(options.begin() + 34, {1, 1, 1, 1});
  out.emplace_back("blocked", options);
  for (const auto& [at, value] : {std::pair<std::size_t, std::uint8_t>{20, 0x20}, {21, 0x01}, {20, 0x1f}}) out.emplace_back("blocked", Frames::with(question, at, value));
  out.emplace_back("passed", Frames::with(question, 20, 0x40));  // DF
  Bytes extension = good6;  // hop-by-hop, fragment and routing headers before TCP
  extension.insert(extension.begin() + 54, {6, 0, 1, 4, 0, 0, 0, 0});
  extension[19] = static_cast<std::uint8_t>(extension[19] + 8);
  for (const std::uint8_t next : {0, 44, 43, 60}) out.emplace_back("blocked", Frames::with(extension, 20, next));
  for (const std::uint8_t type : {131, 132, 143}) {
    Bytes mld = f.icmp("fe80::1", "ff02::16", type);
    mld.insert(mld.begin() + 54, {58, 0, 5, 2, 0, 0, 1, 0});
    mld[19] = static_cast<std::uint8_t>(mld[19] + 8);
    out.emplace_back("multicast", Frames::with(mld, 20, 0));
  }
  Bytes igmp = f.icmp(us, "224.0.0.22", 0x22);
  igmp[14] = 0x46;
  igmp.insert(igmp.begin() + 34, {0x94, 4, 0, 0});
  out.emplace_back("multicast", Frames::with(igmp, 23, 2));
  Bytes arp(42);
  arp[12] = 0x08;
  arp[13] = 0x06;
  out.emplace_back("arp", arp);
  out.emplace_back("blocked", Frames::with(arp, 13, 0x99));
  out.emplace_back("blocked", Frames::with(arp, 13, 0x00));      // says IPv4 and holds zeros
  return out;
}

const OptOuts test_opt_outs = {*read_opt_out("203.0.113.40\n2001:db8:1000:40::/64\n"), *read_opt_out("203.0.113.41\n2001:db8:1000:41::/64\n")};

[[noreturn]] void end_with(const Error& e) {
  fprintf(stderr, "%s\n", e.text().c_str());
  ::_exit(50);
}

struct Set {
  Plan plan;
  std::unique_ptr<Wall> wall;
  // Waits for the wall to have judged `n` frames since `before`; a queue of the veth may hold them for a moment.
  Counters settled(const Counters& before, std::uint64_t n) {
    for (int i = 0; i < 2000; ++i) {
      auto now = *wall->counters();
      std::uint64_t sum = 0;
      for (const auto& [name, value] : now) sum += value - before.at(name);
      if (sum >= n) return now;
      ::usleep(500);
    }
    return *wall->counters();
  }
  // The counter that one frame moves.
  std::string counted(const Raw& raw, ByteView frame) {
    const auto before = *wall->counters();
    raw.send(frame);
    std::string out;
    for (const auto& [name, value] : settled(before, 1))
      for (auto n = before.at(name); n < value; ++n) out += (out.empty() ? "" : " ") + name;
    return out;
  }
};

// Does the stack behind vb get the IPv4 frame?
bool arrives(const Raw& raw, ByteView frame) {
  const auto seen = [] {
    std::ifstream in("/proc/net/snmp");
    std::string line, last;
    long n = -1;
    while (std::getline(in, line)) {
      if (line.starts_with("Ip: ") && last.starts_with("Ip: ")) {
        std::istringstream words(line);
        std::string word;
        for (int i = 0; i < 4; ++i) words >> word;  // Ip: Forwarding DefaultTTL InReceives
        n = std::stol(word);
      }
      last = line;
    }
    return n;
  };
  const long before = seen();
  Bytes to_all(frame.begin(), frame.end());
  std::fill_n(to_all.begin(), 6, 0xff);  // any other address than vb's is for another host
  raw.send(to_all);
  ::usleep(50'000);
  return seen() > before;
}

class EachWall : public testing::TestWithParam<Kind> {
 protected:
  static Result<Set> try_set(MandateText text = test_text(), OptOuts opt_outs = test_opt_outs) {
    Set s{*read_text(*write_mandate(text)), nullptr};
    auto wall = install(GetParam(), {.plan = s.plan, .iface = "vb", .opt_outs = std::move(opt_outs)}, [](const std::string&) {});
    if (!wall) return pass(wall.error());
    s.wall = std::move(*wall);
    return s;
  }
  static Set set_up(MandateText text = test_text(), OptOuts opt_outs = test_opt_outs) {
    auto s = try_set(std::move(text), std::move(opt_outs));
    if (!s) end_with(s.error());
    if (!s->wall->set_state(State::open) || !s->wall->renew()) ::_exit(51);
    return std::move(*s);
  }
  // Runs the body in namespaces; where eBPF cannot be loaded, the XDP wall must say so.
  static int run(const std::function<int()>& body) {
    if (GetParam() == Kind::nft) return net::in_namespace(veth, body);
    if (net::first_root()) return net::in_namespace(veth, body, false);
    return net::in_namespace(veth, [] {
      const auto s = try_set();
      return !s && s.error().code == Code::environment && s.error().text().find("CAP_BPF") != std::string::npos ? 0 : 52;
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Wall, EachWall, testing::Values(Kind::nft, Kind::xdp), [](const auto& i) { return i.param == Kind::nft ? "nft" : "xdp"; });

TEST_P(EachWall, EveryKindOfFrameIsCountedWhereItBelongs) {
  EXPECT_EQ(run([] {
    Set s = set_up();
    const Raw raw("va");
    int wrong = 0, n = 0;
    for (const auto& [where, frame] : cases()) {
      const std::string got = s.counted(raw, frame);
      if (got != where) {
        ++wrong;
        fprintf(stderr, "case %d: expected %s, counted as \"%s\": %s\n", n, where.c_str(), got.c_str(), to_hex(frame).c_str());
      }
      ++n;
    }
    return wrong ? 1 : 0;
  }), 0);
}

TEST_P(EachWall, SeveralSourcesListenersAndOneFamily) {
  EXPECT_EQ(run([] {
    MandateText text = test_text();
    text.sources = {ip("192.0.2.10"), ip("192.0.2.11"), ip("192.0.2.200"), ip("2001:db8:0:10::10"), ip("2001:db8:0:10::11")};
    text.listeners = {{ip("192.0.2.10"), Proto::tcp, {8088}}, {ip("192.0.2.200"), Proto::tcp, {1}}, {ip("2001:db8:0:10::11"), Proto::tcp, {65535}}};
    Frames f;
    const Raw raw("va");
    {
      Set s = set_up(text);
      for (const char* from : {"192.0.2.10", "192.0.2.11", "192.0.2.200"}) if (s.counted(raw, f.tcp(from, "203.0.113.7", 40000, 80)) != "passed") return 1;
      for (const char* from : {"2001:db8:0:10::10", "2001:db8:0:10::11"}) if (s.counted(raw, f.tcp(from, "2001:db8:1000::1", 40000, 80)) != "passed") return 2;
      if (s.counted(raw, f.tcp("192.0.2.12", "203.0.113.7", 40000, 80)) != "blocked") return 3;
      if (s.counted(raw, f.tcp("2001:db8:0:10::12", "2001:db8:1000::1", 40000, 80)) != "blocked") return 4;
      if (s.counted(raw, f.tcp("2001:db8:0:9::9", "2001:db8:1000::1", 40000, 80)) != "blocked") return 5;  // known, but no source
      if (s.counted(raw, f.tcp("192.0.2.200", "203.0.113.7", 1, 51000, ack)) != "listener_passed") return 6;
      if (s.counted(raw, f.tcp("192.0.2.200", "203.0.113.7", 256, 51000, ack)) != "blocked") return 7;
      if (s.counted(raw, f.tcp("2001:db8:0:10::11", "2001:db8:1000::1", 65535, 51000, ack)) != "listener_passed") return 8;
      if (s.counted(raw, f.tcp("2001:db8:0:10::10", "2001:db8:1000::1", 65535, 51000, ack)) != "blocked") return 9;
    }
    text.sources = {ip("192.0.2.11")};
    text.listeners.clear();
    text.classes = {ProbeClass::p0};
    text.ranges = {*Prefix::parse("0.0.0.0/0")};
    text.excludes.clear();
    text.social_impact.clear();
    text.ports = {{Proto::tcp, {1}}, {Proto::tcp, {65535}}};
    Set s = set_up(text);  // and in the place of the first one
    if (s.counted(raw, f.tcp("192.0.2.11", "255.255.255.255", 40000, 65535)) != "passed") return 10;
    if (s.counted(raw, f.tcp("192.0.2.11", "0.0.0.0", 40000, 1)) != "passed") return 11;
    if (s.counted(raw, f.tcp("192.0.2.11", "203.0.113.7", 40000, 65534)) != "blocked") return 12;
    if (s.counted(raw, f.udp("192.0.2.11", "203.0.113.7", 1)) != "blocked") return 13;
    if (s.counted(raw, f.tcp("192.0.2.11", "203.0.113.40", 40000, 1)) != "blocked") return 14;
    if (s.counted(raw, f.tcp("2001:db8:0:10::11", "2001:db8:1000::1", 40000, 1)) != "blocked") return 15;
    return 0;
  }), 0);
}

TEST_P(EachWall, ClosesWithTheStateAndWhenTheProcessIsGone) {
  EXPECT_EQ(run([] {
    auto begun = try_set();
    if (!begun) end_with(begun.error());
    Set s = std::move(*begun);
    const Raw raw("va");
    Frames f;
    const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80);
    if (s.counted(raw, good) != "blocked") return 1;  // as installed
    if (!s.wall->renew() || s.counted(raw, good) != "blocked") return 2;
    if (!s.wall->set_state(State::open) || s.counted(raw, good) != "passed") return 3;
    if (!s.wall->set_state(State::closing) || s.counted(raw, good) != "closing") return 4;
    if (!s.wall->set_state(State::closed) || s.counted(raw, good) != "blocked") return 5;
    if (!s.wall->set_state(State::open) || s.counted(raw, good) != "passed") return 6;
    // Not renewed: the kernel itself ends the permission. (The product's time is alive_s; the test shortens it.)
    if (!s.wall->renew(1) || s.counted(raw, good) != "passed") return 7;
    ::usleep(1'300'000);
    if (s.counted(raw, good) != "blocked") return 8;
    if (s.counted(raw, f.tcp(us, "203.0.113.7", 8088, 51000, ack)) != "blocked") return 9;
    if (!s.wall->renew() || s.counted(raw, good) != "passed") return 10;
    // The owner is gone: what it installed is still there.
    if (!s.wall->set_state(State::closed)) return 11;
    s.wall.reset();
    return arrives(raw, good) ? 12 : 0;
  }), 0);
}

TEST_P(EachWall, TokenBucketHoldsTheTotalRate) {
  EXPECT_EQ(run([] {
    Frames f;
    const Raw raw("va");
    const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80);
    for (const std::uint32_t rate : {100u, 20'000u}) {
      MandateText text = test_text();
      text.rate_total_pps = rate;
      Set s = set_up(text);
      const auto before = *s.wall->counters();
      const auto start = std::chrono::steady_clock::now();
      const int n = rate == 100 ? 1000 : 60'000;
      for (int i = 0; i < n; ++i) raw.send(good);
      auto c = s.settled(before, static_cast<std::uint64_t>(n));
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (c["passed"] + c["over_rate"] != static_cast<std::uint64_t>(n)) return 1;
      // The bucket, what it earns, one tick of a coarse clock (10 ms), and a lot on each of the other CPUs.
      const double most = burst(rate) + rate * (seconds + 0.01) + 64;
      if (static_cast<double>(c["passed"]) > most || c["passed"] < (rate == 100 ? 64u : 2000u)) {
        fprintf(stderr, "rate %u: %llu of %d passed in %.3f s\n", rate, static_cast<unsigned long long>(c["passed"]), n, seconds);
        return 2;
      }
    }
    return 0;
  }), 0);
}

// Lists change while frames flow. An address that every version of the list holds must never pass, one that none holds must always pass.
TEST_P(EachWall, NoFrameMeetsHalfAList) {
  EXPECT_EQ(run([] {
    MandateText text = test_text();
    text.rate_total_pps = 1'000'000'000;
    std::vector<OptOuts> versions;
    std::string filler;
    for (int i = 0; i < 300; ++i) filler += "10." + std::to_string(i / 100) + "." + std::to_string(i % 100) + ".128/25\n2001:db8:2000:" + std::to_string(i) + "::/64\n";
    for (const std::string list : {"203.0.113.9/32\n2001:db8:1000:9::9/128\n", "203.0.113.8/29\n2001:db8:1000:8::/61\n", "203.0.113.9/32\n203.0.113.64/26\n2001:db8:1000:9::/64\n",
                             "203.0.113.8/30\n203.0.113.9/32\n2001:db8:1000:9::/64\n2001:db8:1000:9::9/128\n"}) {
      versions.push_back({*read_opt_out(list), {}});
      versions.push_back({*read_opt_out(list + filler), {}});
      versions.push_back({{}, *read_opt_out(list)});
    }
    Set s = set_up(text, versions[0]);
    const Raw raw("va");
    Frames f;
    const Bytes out4 = f.tcp(us, "203.0.113.9", 40000, 80), out6 = f.tcp(us6, "2001:db8:1000:9::9", 40000, 80);
    const Bytes in4 = f.tcp(us, "203.0.113.7", 40000, 23), in6 = f.tcp(us6, "2001:db8:1000:7::9", 40000, 23);
    const auto before = *s.wall->counters();
    std::atomic<bool> stop = false;
    std::uint64_t rounds = 0;
    std::thread flood([&] {
      for (; !stop; ++rounds)
        for (const auto* frame : {&out4, &in4, &out6, &in6}) while (!raw.send(*frame)) {}
    });
    const int flips = GetParam() == Kind::nft ? 240 : 150;
    for (int i = 0; i < flips; ++i)
      if (!s.wall->set_opt_outs(versions[static_cast<std::size_t>(i) % versions.size()]) || !s.wall->renew()) return 1;
    stop = true;
    flood.join();
    auto c = s.settled(before, 4 * rounds);
    if (c["passed"] != 2 * rounds || c["blocked"] + c["opted_out"] != 2 * rounds || rounds < 1000) {
      fprintf(stderr, "%llu rounds: passed %llu, blocked %llu, opted out %llu\n", static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(c["passed"]),
              static_cast<unsigned long long>(c["blocked"]), static_cast<unsigned long long>(c["opted_out"]));
      return 2;
    }
    return 0;
  }), 0);
}

// XDP alone: what a wall finds on its interface, and clocks.
int with_xdp(const std::string& setup, const std::function<int()>& body) {
  return net::first_root() ? net::in_namespace(setup, body, false) : 0;  // elsewhere EachWall holds that it is refused
}
Result<std::unique_ptr<Wall>> build(Kind kind, const Plan& plan, std::string* note = nullptr, bool sink = false) {
  return install(kind, {.plan = plan, .iface = "vb", .opt_outs = test_opt_outs, .sink = sink}, [&](const std::string& why) { if (note) *note = why; });
}

TEST(WallXdp, EachKindTakesTheOthersPlace) {
  EXPECT_EQ(with_xdp(veth, [] {
    const Plan plan = *read_text(*write_mandate(test_text()));
    Frames f;
    const Raw raw("va");
    const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80);
    const Kind order[] = {Kind::nft, Kind::xdp, Kind::xdp, Kind::nft, Kind::nft, Kind::automatic};
    for (const Kind kind : order) {
      auto wall = build(kind, plan);
      if (!wall) end_with(wall.error());
      if ((*wall)->kind() != (kind == Kind::nft ? "nft" : "xdp native")) return 1;
      if (arrives(raw, good)) return 2;  // closed, whatever the one before allowed
      if (!(*wall)->set_state(State::open) || !(*wall)->renew()) return 3;
      if (!arrives(raw, good)) return 4;
    }
    return 0;
  }), 0);
}

TEST(WallXdp, AForeignProgramIsLeftAlone) {
  EXPECT_EQ(with_xdp(veth, [] {
    auto o = net::BpfObject::open(bpf_bytes_bpf_object_test(), "test");
    if (!o || !o->load()) return 1;
    const auto index = static_cast<int>(::if_nametoindex("vb"));
    if (bpf_xdp_attach(index, o->program("count"), XDP_FLAGS_DRV_MODE, nullptr) != 0) return 2;
    const Plan plan = *read_text(*write_mandate(test_text()));
    for (const Kind kind : {Kind::automatic, Kind::xdp, Kind::nft}) {
      const auto wall = build(kind, plan);
      if (wall || wall.error().code != Code::environment || wall.error().text().find("xdp off") == std::string::npos) return 3;
    }
    return 0;
  }), 0);
}

TEST(WallXdp, WhereTheDriverRefusesNftStands) {
  // Frames of transmit queues that have no receive queue on the other side would pass by native XDP: the driver refuses the program.
  const std::string queues = "ip link add va numtxqueues 4 type veth peer name vb numrxqueues 1; ip link set va up; ip link set vb up";
  EXPECT_EQ(with_xdp(queues, [] {
    const Plan plan = *read_text(*write_mandate(test_text()));
    std::string note;
    auto wall = build(Kind::automatic, plan, &note);
    if (!wall) end_with(wall.error());
    if ((*wall)->kind() != "nft" || note.find("queues") == std::string::npos) return 1;
    auto asked = build(Kind::xdp, plan);  // generic mode has no queues
    if (!asked) end_with(asked.error());
    if ((*asked)->kind() != "xdp generic") return 2;
    if (!(*asked)->set_state(State::open) || !(*asked)->renew()) return 3;
    Frames f;
    const Raw raw("va");
    if (!arrives(raw, f.tcp(us, "203.0.113.7", 40000, 80))) return 4;
    return arrives(raw, f.tcp(us, "203.0.113.7", 40000, 81)) ? 5 : 0;
  }), 0);
}

TEST(WallXdp, ADeadlineOfAnotherClockIsNone) {
  EXPECT_EQ(with_xdp(veth, [] {
    const Plan plan = *read_text(*write_mandate(test_text()));
    auto wall = build(Kind::xdp, plan);
    if (!wall) end_with(wall.error());
    Frames f;
    const Raw raw("va");
    if (!(*wall)->set_state(State::open) || !(*wall)->renew(alive_s + 3600)) return 1;
    if (arrives(raw, f.tcp(us, "203.0.113.7", 40000, 80))) return 2;
    if (!(*wall)->renew() || !arrives(raw, f.tcp(us, "203.0.113.7", 40000, 80))) return 3;
    return 0;
  }), 0);
}

TEST(WallXdp, ASinkCountsAndDrops) {
  EXPECT_EQ(with_xdp(veth, [] {
    const Plan plan = *read_text(*write_mandate(test_text()));
    auto wall = build(Kind::automatic, plan, nullptr, true);
    if (!wall) end_with(wall.error());
    if (!(*wall)->set_state(State::open) || !(*wall)->renew()) return 1;
    Frames f;
    const Raw raw("va");
    if (arrives(raw, f.tcp(us, "203.0.113.7", 40000, 80))) return 2;
    if ((*(*wall)->counters())["passed"] != 1) return 3;
    const auto nft = build(Kind::nft, plan, nullptr, true);
    return !nft && nft.error().code == Code::usage ? 0 : 4;
  }), 0);
}

// The lists outgrow what was set aside: an error, and the version in force stays in force.
TEST(WallXdp, ListsThatOutgrowTheTablesAreAnError) {
  EXPECT_EQ(with_xdp(veth, [] {
    const Plan plan = *read_text(*write_mandate(test_text()));
    auto wall = build(Kind::xdp, plan);
    if (!wall) end_with(wall.error());
    if (!(*wall)->set_state(State::open) || !(*wall)->renew()) return 1;
    OptOuts many;
    for (int i = 0; i < 70'000; ++i) many.settled.push_back({true, {10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}, 32, {}});
    for (int i = 0; i < 66'000; ++i) many.settled.push_back({true, {11, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}, 32, {}});
    if (!(*wall)->set_opt_outs(many)) return 2;  // dense lists are small
    for (int i = 0; i < 70'000; ++i) many.settled.push_back({true, {static_cast<std::uint8_t>(20 + (i >> 16)), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 1}, 32, {}});
    const auto s = (*wall)->set_opt_outs(many);
    if (s || s.error().text().find("again") == std::string::npos) return 3;
    Frames f;
    const Raw raw("va");
    if (arrives(raw, f.tcp(us, "10.0.0.0", 40000, 80)) || !arrives(raw, f.tcp(us, "203.0.113.7", 40000, 80))) return 4;
    return 0;
  }), 0);
}

TEST(WallOptOut, NewOnesAreFreshForAMinuteAndTheSignedListStays) {
  const std::filesystem::path dir = std::filesystem::temp_directory_path() / ("nora-wall-book-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const auto write = [&](const char* name, std::string_view text) { ASSERT_TRUE(replace_file(dir / name, text)); };
  const std::string first = "203.0.113.9\n";
  write("signed", first);
  write("live", "# none\n");
  OptOutBook book({dir / "signed", dir / "live"}, to_hex(sha256(as_bytes(first))));
  const auto start = book.first();
  ASSERT_TRUE(start);
  EXPECT_EQ(start->settled.size(), 1u);
  EXPECT_FALSE(book.next(1000)->has_value());
  write("live", "198.51.100.7\n203.0.113.9\n");
  auto now = book.next(2000);
  ASSERT_TRUE(now && now->has_value());
  EXPECT_EQ((*now)->fresh.size(), 1u);
  EXPECT_EQ((*now)->settled.size(), 1u);
  EXPECT_FALSE(book.next(2059)->has_value());
  now = book.next(2060);
  ASSERT_TRUE(now && now->has_value());
  EXPECT_EQ((*now)->settled.size(), 2u);
  write("signed", "# emptied by someone\n");
  now = book.next(2070);
  ASSERT_TRUE(now);
  EXPECT_FALSE(now->has_value());  // the signed list is kept
  write("live", "");
  now = book.next(2080);
  ASSERT_TRUE(now && now->has_value());
  EXPECT_EQ((*now)->settled.size(), 1u);
  write("live", "not a prefix\n");
  EXPECT_FALSE(book.next(2090));
  EXPECT_EQ(OptOutBook({dir / "live"}, to_hex(sha256(as_bytes(first)))).first().error().code, Code::bad_input);
  write("live", "198.51.100.7\n");
  EXPECT_EQ(OptOutBook({dir / "live"}, to_hex(sha256(as_bytes(first)))).first().error().code, Code::refused);
  std::filesystem::remove_all(dir);
}

TEST(Wall, WindowAndDatesAtTheirEdges) {
  Plan p = *read_text(*write_mandate(test_text()));
  const auto at = [](const char* t) { return Instant::parse(t)->us / 1'000'000; };
  EXPECT_FALSE(open_at(p, at("2026-11-24T23:59:59Z")));
  EXPECT_TRUE(open_at(p, at("2026-11-25T00:00:00Z")));
  EXPECT_TRUE(open_at(p, at("2026-12-24T23:59:59Z")));
  EXPECT_FALSE(open_at(p, at("2026-12-25T00:00:00Z")));
  p.from_min = 22 * 60;
  p.to_min = 6 * 60;
  EXPECT_TRUE(open_at(p, at("2026-11-26T05:59:59Z")));
  EXPECT_FALSE(open_at(p, at("2026-11-26T06:00:00Z")));
  EXPECT_TRUE(open_at(p, at("2026-11-26T22:00:00Z")));
}

TEST(Wall, SignaturesAreNeeded) {
  const TestSigners s;
  const std::string text = *write_mandate(test_text()), roots = write_roots(s.roots());
  EXPECT_TRUE(read_signed(s.sign(text), roots));
  EXPECT_FALSE(read_signed(sign_note(text, s.one), roots));
  EXPECT_FALSE(read_signed(text, roots));
  std::string bad = s.sign(text);
  bad[bad.find("203.0.113.0/25")] = '1';
  EXPECT_FALSE(read_signed(bad, roots));
  EXPECT_FALSE(read_signed(s.sign(text), "threshold: 2\n"));
}

}  // namespace
}  // namespace nora::law::wall
