// The wall on a real veth pair in namespaces of the test: every kind of frame, and where it is counted.
#include "law/wall_rules.h"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "law/test_mandate.h"
#include "net/in_namespace.h"
#include "net/packet_socket.h"

namespace nora::law::wall {
namespace {

constexpr const char* veth = "ip link add va type veth peer name vb; ip link set va up; ip link set vb up";
Ip ip(const char* t) { return *Ip::parse(t); }

class Raw {
 public:
  explicit Raw(const char* iface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    to_.sll_family = AF_PACKET;
    to_.sll_ifindex = net::interface_info(iface)->index;
  }
  void send(ByteView f) const { (void)!::sendto(fd_.get(), f.data(), f.size(), 0, reinterpret_cast<const sockaddr*>(&to_), sizeof to_); }

 private:
  Fd fd_;
  sockaddr_ll to_{};
};

struct Frames {
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  Bytes tcp(const char* from, const char* to, std::uint16_t sport, std::uint16_t dport, std::uint8_t flags = net::tcp_flag::syn) {
    const std::size_t n = net::build_tcp(buffer, {}, {.source = ip(from), .dest = ip(to), .source_port = sport, .dest_port = dport, .flags = flags});
    return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n)};
  }
  Bytes udp(const char* from, const char* to, std::uint16_t dport) {
    const std::size_t n = net::build_udp(buffer, {}, {.source = ip(from), .dest = ip(to), .source_port = 4000, .dest_port = dport}, as_bytes("?"));
    return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n)};
  }
  Bytes icmp(const char* from, const char* to, std::uint8_t type) {
    const Bytes body(36);
    const std::size_t n = net::build_icmp(buffer, {}, ip(from), ip(to), type, 0, body);
    return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n)};
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
  std::vector<std::pair<std::string, Bytes>> out = {
      {"passed", f.tcp(us, "203.0.113.7", 40000, 80)},
      {"passed", f.tcp(us, "203.0.113.0", 40000, 80)},
      {"passed", f.tcp(us, "203.0.113.127", 40000, 80, rst)},
      {"passed", f.tcp(us6, "2001:db8:1fff:ffff:ffff:ffff:ffff:ffff", 40000, 80)},
      {"passed", f.udp(us, "198.51.100.63", 53)},
      {"passed", f.udp(us6, "2001:db8:1000::1", 53)},
      {"blocked", f.tcp(us, "203.0.113.128", 40000, 80)},        // outside
      {"blocked", f.tcp(us, "203.0.112.255", 40000, 80)},
      {"blocked", f.tcp(us, "203.0.113.96", 40000, 80)},         // excluded
      {"blocked", f.tcp(us, "203.0.113.111", 40000, 80, ack)},
      {"passed", f.tcp(us, "203.0.113.112", 40000, 80)},
      {"blocked", f.tcp(us, "203.0.113.7", 40000, 81)},          // port
      {"blocked", f.tcp(us, "203.0.113.7", 80, 40000)},          // byte order of the ports
      {"blocked", f.udp(us, "203.0.113.7", 80)},                 // protocol
      {"blocked", f.tcp("192.0.2.11", "203.0.113.7", 40000, 80)},  // source
      {"blocked", f.tcp(us6, "2001:db8:2000::1", 40000, 80)},
      {"blocked", f.udp(us6, "2001:db8:1000::1", 54)},
      {"blocked", f.tcp("2001:db8:0:10::11", "2001:db8:1000::1", 40000, 80)},
      {"blocked", f.icmp(us, "203.0.113.7", 8)},                 // echo request: no probe of ours
      {"blocked", f.tcp(us, "203.0.113.40", 40000, 80)},         // opted out long ago
      {"opted_out", f.tcp(us, "203.0.113.41", 40000, 80)},       // opted out just now
      {"opted_out", f.udp(us6, "2001:db8:1000:41::1", 53)},
      {"listener_passed", f.tcp(us, "203.0.113.7", 8088, 51000, syn | ack)},
      {"blocked", f.tcp(us, "203.0.113.7", 8088, 51000, syn)},   // the listener does not call
      {"blocked", f.tcp(us, "203.0.113.7", 8089, 51000, ack)},
      {"stray", f.tcp(us, "203.0.113.200", 8088, 51000, syn | ack)},  // an outsider called the listener
      {"stray", f.tcp(us, "203.0.113.200", 8088, 51000, rst)},
      {"stray", f.tcp(us, "203.0.113.7", 9999, 51000, rst | ack)},
      {"icmp_error", f.icmp(us, "203.0.113.7", 3)},
      {"icmp_error", f.icmp(us6, "2001:db8:1000::1", 1)},
      {"stray", f.icmp(us, "203.0.113.200", 3)},
      {"stray", f.icmp(us6, "2001:db8:2000::1", 1)},
  };
  Bytes vlan = f.tcp(us, "203.0.113.7", 40000, 80);
  vlan.insert(vlan.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  out.emplace_back("blocked", vlan);
  Bytes options = f.tcp(us, "203.0.113.7", 40000, 80);
  options[14] = 0x46;
  options.insert(options.begin() + 34, {1, 1, 1, 1});
  out.emplace_back("blocked", options);
  Bytes fragment = f.udp(us, "203.0.113.7", 53);
  fragment[20] |= 0x20;
  out.emplace_back("blocked", fragment);
  fragment[20] = 0x00;
  fragment[21] = 0x01;
  out.emplace_back("blocked", fragment);
  Bytes arp(42);
  arp[12] = 0x08;
  arp[13] = 0x06;
  out.emplace_back("arp", arp);
  Bytes odd = arp;
  odd[13] = 0x99;
  out.emplace_back("blocked", odd);
  return out;
}

struct Set {
  Nft nft;
  Plan plan;
};
Set set_up(MandateText text = test_text()) {
  Set s{std::move(*Nft::open()), *read_text(*write_mandate(text))};
  const auto fine = [](Status status) { if (!status) { fprintf(stderr, "%s\n", status.error().text().c_str()); ::_exit(50); } };
  fine(s.nft.run(install_script(s.plan, "vb")));
  fine(s.nft.run(opt_out_script(*read_opt_out("203.0.113.40\n"), *read_opt_out("203.0.113.41\n2001:db8:1000:41::/64\n"))));
  fine(s.nft.run(state_script(s.plan, State::open)));
  fine(s.nft.run(alive_script("vb")));
  return s;
}

TEST(Wall, EveryKindOfFrameIsCountedWhereItBelongs) {
  const int code = net::in_namespace(veth, [] {
    Set s = set_up();
    const Raw raw("va");
    auto ring = net::PacketRing::open("vb");  // a packet socket sees frames before the ingress hook: it proves that they arrived
    int wrong = 0, n = 0;
    for (const auto& [where, frame] : cases()) {
      auto before = *s.nft.counters();
      raw.send(frame);
      auto after = *s.nft.counters();
      if (after[where] != before[where] + 1 || (where != "blocked" && after["blocked"] != before["blocked"])) {
        ++wrong;
        std::string got;
        for (const auto& [name, value] : after) if (value != before[name]) got += name + " ";
        fprintf(stderr, "case %d: expected %s, counted as %s: %s\n", n, where.c_str(), got.c_str(), to_hex(frame).c_str());
      }
      ++n;
    }
    return wrong ? 1 : 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(Wall, ClosesWithTheStateAndWhenTheProcessIsGone) {
  const int code = net::in_namespace(veth, [] {
    Set s = set_up();
    const Raw raw("va");
    Frames f;
    const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80);
    const auto counted = [&](const char* where) {
      auto before = *s.nft.counters();
      raw.send(good);
      return (*s.nft.counters())[where] == before[where] + 1;
    };
    if (!counted("passed")) return 1;
    if (!s.nft.run(state_script(s.plan, State::closing)) || !counted("closing")) return 2;
    if (!s.nft.run(state_script(s.plan, State::closed)) || !counted("blocked")) return 3;
    if (!s.nft.run(state_script(s.plan, State::open)) || !counted("passed")) return 4;
    // Not renewed: the kernel itself ends the permission. (The product's time is 10 s; the test shortens it.)
    if (!s.nft.run("delete element netdev nora_wall alive { \"vb\" }\nadd element netdev nora_wall alive { \"vb\" timeout 1s }\n") || !counted("passed")) return 5;
    ::usleep(1'300'000);
    if (!counted("blocked")) return 6;
    if (!s.nft.run(alive_script("vb")) || !counted("passed")) return 7;
    return 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(Wall, TokenBucketHoldsTheTotalRate) {
  const int code = net::in_namespace(veth, [] {
    MandateText text = test_text();
    text.rate_total_pps = 100;
    Set s = set_up(text);
    const Raw raw("va");
    Frames f;
    const Bytes good = f.tcp(us, "203.0.113.7", 40000, 80);
    for (int i = 0; i < 1000; ++i) raw.send(good);
    auto c = *s.nft.counters();
    if (c["passed"] + c["over_rate"] != 1000) return 1;
    return c["passed"] >= 64 && c["passed"] < 200 ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
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
