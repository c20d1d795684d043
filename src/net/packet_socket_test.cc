// The ring against a real veth pair, in namespaces of this test (root, or a user namespace where they are allowed).
#include "net/packet_socket.h"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/in_namespace.h"

namespace nora::net {
namespace {

// A raw sender of the test's own (PacketSender belongs to law::FrameSender).
class Raw {
 public:
  explicit Raw(const char* iface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    to_.sll_family = AF_PACKET;
    to_.sll_ifindex = interface_info(iface)->index;
  }
  bool send(ByteView f) const {
    return ::sendto(fd_.get(), f.data(), f.size(), 0, reinterpret_cast<const sockaddr*>(&to_), sizeof to_) == static_cast<ssize_t>(f.size());
  }

 private:
  Fd fd_;
  sockaddr_ll to_{};
};

TEST(PacketRing, SeesEveryFrameOnceAndNotItsOwn) {
  const int code = in_namespace("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    auto ring = PacketRing::open("vb", {.block_bytes = 1u << 18, .blocks = 8, .retire_ms = 5});
    if (!ring) return 1;
    std::array<std::uint8_t, 200> out{};
    const std::size_t n = build_udp(out, {}, {.source = *Ip::parse("192.0.2.1"), .dest = *Ip::parse("192.0.2.2"), .source_port = 4242, .dest_port = 9}, as_bytes("ring"));
    const ByteView frame = ByteView(out).first(n);
    const Raw a("va"), b("vb");
    int seen = 0, wrong = 0;
    const auto visit = [&](ByteView f, Instant at) {
      const auto p = parse_frame(f);
      if (!p || p->source_port != 4242) return;  // the kernel's own ND and MLD frames
      ++seen;
      if (Bytes(f.begin(), f.end()) != Bytes(frame.begin(), frame.end()) || at.us < 1'000'000'000'000'000) ++wrong;
    };
    for (int i = 0; i < 3000; ++i) {
      if (!a.send(frame)) return 2;
      if (i % 100 == 0 && !ring->read(Span::ms(0), visit)) return 3;
    }
    for (int i = 0; i < 50; ++i) if (!b.send(frame)) return 4;  // our own outgoing frames stay out
    for (int i = 0; i < 200 && seen < 3000; ++i) if (!ring->read(Span::ms(10), visit)) return 5;
    (void)ring->read(Span::ms(30), visit);
    if (ring->counters().drops != 0) return 6;
    if (ring->counters().packets < 3000) return 7;
    return wrong ? 8 : seen == 3000 ? 0 : 9;
  });
  EXPECT_EQ(code, 0) << "90: user namespaces are not allowed here (\"nora doctor\"); 91: no iproute2";
}

TEST(PacketRing, AMissingInterfaceIsNamed) {
  EXPECT_EQ(PacketRing::open("nosuch0").error().what, "there is no interface \"nosuch0\" in this network namespace");
}

}  // namespace
}  // namespace nora::net
