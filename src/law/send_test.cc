#include "law/send.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "law/test_mandate.h"
#include "net/in_namespace.h"
#include "net/packet_socket.h"

namespace nora::law {
namespace {

const Instant now = *Instant::parse("2026-11-26T03:00:00Z");
Ip ip(const char* t) { return *Ip::parse(t); }

struct Fixture {
  Result<Mandate> m = test_mandate();
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  Permit permit(const char* to = "203.0.113.7", std::uint16_t port = 80, const char* probe = "tcp-syn") {
    return std::move(*m->permit({ip(to), port}, *m->probes().find(probe), now));
  }
  ByteView tcp(net::TcpFields f, ByteView payload = {}) { return ByteView(buffer).first(net::build_tcp(buffer, {}, f, payload)); }
};
const net::TcpFields good{.source = *Ip::parse("192.0.2.10"), .dest = *Ip::parse("203.0.113.7"), .source_port = 40000, .dest_port = 80, .seq = 1};

TEST(CheckFrame, ReadsThePermitBackOutOfTheBytes) {
  Fixture f;
  const Permit p = f.permit();
  using enum Refusal;
  EXPECT_EQ(check_frame(p, f.tcp(good), now), none);
  EXPECT_EQ(check_frame(p, f.tcp(good), now + Span::seconds(60)), permit_expired);
  auto x = good;
  x.dest = ip("203.0.113.8");
  EXPECT_EQ(check_frame(p, f.tcp(x), now), frame_wrong_dest);
  x = good;
  x.source = ip("192.0.2.11");
  EXPECT_EQ(check_frame(p, f.tcp(x), now), frame_wrong_source);
  x = good;
  x.dest_port = 81;
  EXPECT_EQ(check_frame(p, f.tcp(x), now), frame_wrong_port);
  x = good;
  std::swap(x.source_port, x.dest_port);
  EXPECT_EQ(check_frame(p, f.tcp(x), now), frame_wrong_port);
  const std::size_t n = net::build_udp(f.buffer, {}, {.source = good.source, .dest = good.dest, .source_port = 1, .dest_port = 80}, {});
  EXPECT_EQ(check_frame(p, ByteView(f.buffer).first(n), now), frame_wrong_protocol);
  EXPECT_EQ(check_frame(p, {}, now), frame_unreadable);
  const ByteView whole = f.tcp(good, as_bytes("0123456789"));
  EXPECT_EQ(check_frame(p, whole.first(whole.size() - 1), now), frame_malformed);
}

// Any single changed byte of addresses, protocol, length, fragment or destination port is refused; other fields are free.
TEST(CheckFrame, EveryByteThatDecidesIsChecked) {
  Fixture f;
  const Permit p = f.permit();
  const ByteView frame = f.tcp(good, as_bytes("0123456789"));
  for (std::size_t i = 12; i < frame.size(); ++i) {
    const bool decides = i == 12 || i == 13 || i == 14 || i == 16 || i == 17 || i == 21 || i == 23 || (i >= 26 && i < 34) || i == 36 || i == 37;
    for (int bit = 0; bit < 8; ++bit) {
      Bytes b(frame.begin(), frame.end());
      b[i] = static_cast<std::uint8_t>(b[i] ^ 1u << bit);
      const Refusal r = check_frame(p, b, now);
      if (decides) { EXPECT_NE(r, Refusal::none) << i << "." << bit; }
    }
  }
}

TEST(Permit, AMovedOneIsUsedUp) {
  Fixture f;
  Permit a = f.permit();
  const Permit b = std::move(a);
  EXPECT_EQ(check_frame(b, f.tcp(good), now), Refusal::none);
  EXPECT_EQ(check_frame(a, f.tcp(good), now), Refusal::permit_expired);  // NOLINT(bugprone-use-after-move)
}

// By each way onto the wire, frames small and large.
class EveryPath : public ::testing::TestWithParam<SendPath> {};
INSTANTIATE_TEST_SUITE_P(FrameSender, EveryPath, ::testing::Values(SendPath::packet, SendPath::xdp, SendPath::automatic),
                         [](const auto& p) { return std::string(name(p.param)); });

TEST_P(EveryPath, LargeAndSmallFramesArriveWholeAndInOrder) {
  const int code = net::in_namespace("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    Fixture f;
    auto ring = net::PacketRing::open("vb");
    auto sender = FrameSender::open("va", GetParam());
    if (!ring || !sender) return 1;
    constexpr int frames = 5000;
    for (int i = 0; i < frames; ++i) {
      const Bytes payload(i % 3 == 0 ? static_cast<std::size_t>(i % 1400) : 0, static_cast<std::uint8_t>(i));
      auto x = good;
      x.seq = static_cast<std::uint32_t>(i);
      auto place = sender->slot(payload.size() + 60);
      const std::size_t n = net::build_tcp(place, {}, x, payload);
      if (sender->send(f.permit(), n, now) != Refusal::none) return 2;
    }
    if (!sender->flush() || sender->sent() != frames) return 3;
    int next = 0;
    bool wrong = false;
    for (int i = 0; i < 100 && next < frames; ++i)
      if (!ring->read(Span::ms(10), [&](ByteView frame, Instant) {
            const auto p = net::parse_frame(frame);
            if (!p || !p->is(net::ip_tcp)) return;
            const std::size_t bytes = next % 3 == 0 ? static_cast<std::size_t>(next % 1400) : 0;
            wrong = wrong || p->seq != static_cast<std::uint32_t>(next) || !net::checksums_right(frame) || p->payload.size() != bytes;
            for (const auto b : p->payload) wrong = wrong || b != static_cast<std::uint8_t>(next);
            ++next;
          })) return 4;
    return wrong ? 5 : next == frames ? 0 : 6;
  });
  EXPECT_EQ(code, 0);
}

TEST_P(EveryPath, APermitIsUsedUpAlsoByAFrameThatIsTooLong) {
  const int code = net::in_namespace("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    Fixture f;
    auto sender = FrameSender::open("va", GetParam());
    if (!sender) return 1;
    Permit permit = f.permit();
    const Bytes long_frame(net::max_frame_bytes + 1);
    if (sender->send(std::move(permit), ByteView(long_frame), now) != Refusal::frame_malformed) return 2;
    return sender->send(std::move(permit), f.tcp(good), now) == Refusal::permit_expired && sender->refused() == 2 ? 0 : 3;  // NOLINT(bugprone-use-after-move)
  });
  EXPECT_EQ(code, 0);
}

TEST_P(EveryPath, OnlyWhatThePermitCoversReachesTheWire) {
  const int code = net::in_namespace("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    Fixture f;
    auto ring = net::PacketRing::open("vb");
    auto sender = FrameSender::open("va", GetParam());
    if (!ring || !sender) return 1;
    int wrong_answers = 0;
    for (int i = 0; i < 500; ++i) {
      auto x = good;
      x.seq = static_cast<std::uint32_t>(i);
      if (i % 5 == 0) x.dest = ip("203.0.113.200");  // planted bug: another address than the permit's
      if (i % 5 == 1) x.dest_port = 22;
      const auto r = sender->send(f.permit(), f.tcp(x), now);
      if ((r == Refusal::none) != (i % 5 > 1)) ++wrong_answers;
    }
    if (!sender->flush() || sender->sent() != 300 || sender->refused() != 200) return 3;
    int inside = 0, outside = 0;
    for (int i = 0; i < 100 && inside < 300; ++i)
      if (!ring->read(Span::ms(10), [&](ByteView frame, Instant) {
            const auto p = net::parse_frame(frame);
            if (!p || !p->is(net::ip_tcp)) return;
            ++(p->dest == good.dest && p->dest_port == 80 ? inside : outside);
          })) return 4;
    return wrong_answers ? 5 : outside ? 6 : inside == 300 ? 0 : 7;
  });
  EXPECT_EQ(code, 0);
}

TEST(Connect, UsesTheMandatesSourceAndNothingElse) {
  const int code = net::in_namespace("ip link set lo up; ip addr add 192.0.2.10/32 dev lo; ip addr add 203.0.113.7/32 dev lo", [] {
    Fixture f;
    Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(80);
    a.sin_addr.s_addr = ::inet_addr("203.0.113.7");
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || ::listen(listener.get(), 4) != 0) return 1;
    auto fd = connect(f.permit(), now);
    if (!fd) return 2;
    pollfd wait{fd->get(), POLLOUT, 0};
    if (::poll(&wait, 1, 2000) != 1) return 3;
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const Fd accepted(::accept(listener.get(), reinterpret_cast<sockaddr*>(&from), &length));
    if (!accepted || from.sin_addr.s_addr != ::inet_addr("192.0.2.10")) return 4;
    close_hard(std::move(*fd));
    char c;
    if (::poll(&(wait = {accepted.get(), POLLIN, 0}), 1, 2000) != 1 || ::recv(accepted.get(), &c, 1, 0) != -1 || errno != ECONNRESET) return 5;
    if (connect(f.permit(), now + Span::seconds(61))) return 6;
    if (connect(f.permit("203.0.113.7", 53, "dns"), now)) return 7;
    return 0;
  });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace nora::law
