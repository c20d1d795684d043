// Stateless validation: genuine answers are recognised, forged ones are not.
#include "survey/answer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/files.h"
#include "survey/test_plan.h"

namespace nora::survey {
namespace {

class Answers : public ::testing::Test {
 protected:
  TestPlan t;
  Key key{1, 2, 3};
  AnswerKey secret{key};
  Validator validator{t.space, t.catalogue, key, t.mandate.text().sources};
  Ip own = *Ip::parse("192.0.2.10"), device = *Ip::parse("203.0.113.7");
  std::array<std::uint8_t, 1514> buffer{};

  std::optional<Answer> check(std::size_t n) { return validator.check(*net::parse_frame(ByteView(buffer).first(n))); }
  std::optional<Answer> tcp(std::uint8_t flags, std::uint32_t ack, std::uint16_t to, std::uint16_t from = 80,
                            std::optional<Ip> source = {}) {
    net::TcpFields f;
    f.source = source.value_or(device);
    f.dest = own;
    f.source_port = from;
    f.dest_port = to;
    f.ack = ack;
    f.flags = flags;
    return check(net::build_tcp(buffer, {}, f));
  }
  std::optional<Answer> udp(std::uint16_t from, std::uint16_t to, const Bytes& payload) {
    net::UdpFields f;
    f.source = device;
    f.dest = own;
    f.source_port = from;
    f.dest_port = to;
    return check(net::build_udp(buffer, {}, f, payload));
  }
};

TEST_F(Answers, OpenAndClosedPorts) {
  using namespace net::tcp_flag;
  auto token = secret.syn(device, 80);
  auto open = tcp(syn | ack, token.seq + 1, token.source_port);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->kind, AnswerKind::open);
  EXPECT_EQ(open->slot.port, 80);
  EXPECT_EQ(open->slot.probe, "syn");
  EXPECT_EQ(t.space.at(open->index).ip, device);
  auto closed = tcp(rst | ack, token.seq + 1, token.source_port);
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->kind, AnswerKind::closed);
}

TEST_F(Answers, ForgedTcpIsRefused) {
  using namespace net::tcp_flag;
  auto token = secret.syn(device, 80);
  EXPECT_FALSE(tcp(syn | ack, token.seq, token.source_port)) << "wrong acknowledgement";
  EXPECT_FALSE(tcp(syn | ack, token.seq + 1, static_cast<std::uint16_t>(token.source_port + 1))) << "wrong port";
  EXPECT_FALSE(tcp(syn | ack, token.seq + 1, token.source_port, 23)) << "another port answers";
  EXPECT_FALSE(tcp(syn | ack, token.seq + 1, token.source_port, 80, *Ip::parse("203.0.113.8"))) << "another device answers";
  EXPECT_FALSE(tcp(ack, token.seq + 1, token.source_port)) << "no handshake answer";
  EXPECT_FALSE(tcp(rst, token.seq + 1, token.source_port)) << "a RST without ACK does not answer a SYN";
  std::mt19937 random(5);
  int accepted = 0;
  for (int i = 0; i < 200'000; ++i)
    accepted +=
        tcp(syn | ack, static_cast<std::uint32_t>(random()), static_cast<std::uint16_t>(tcp_source_base + random() % tcp_source_ports))
            .has_value();
  EXPECT_EQ(accepted, 0) << "2^-44 each";
}

TEST_F(Answers, AnotherSurveysAnswerIsRefused) {
  using namespace net::tcp_flag;
  auto other = AnswerKey(Key{9}).syn(device, 80);
  EXPECT_FALSE(tcp(syn | ack, other.seq + 1, other.source_port));
}

TEST_F(Answers, DatagramsCarryTheToken) {
  const auto* request = t.catalogue.find("dns-version");
  auto token = secret.token(device, 53, "dns-version");
  auto port = secret.udp_source_port(device, 53, "dns-version");
  auto asked = request->render(token, device, own);
  auto answer = asked;
  answer[2] |= 0x80;
  auto got = udp(53, port, answer);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->slot.probe, "dns-version");
  EXPECT_EQ(got->kind, AnswerKind::datagram);
  answer[0] ^= 1;
  EXPECT_FALSE(udp(53, port, answer)) << "wrong transaction id";
  answer[0] ^= 1;
  EXPECT_FALSE(udp(53, static_cast<std::uint16_t>(port ^ 1), answer)) << "wrong port";
  EXPECT_FALSE(udp(123, port, answer)) << "from another service";
  EXPECT_FALSE(udp(53, port, {})) << "empty";
}

TEST_F(Answers, PortUnreachableFromTheDeviceItselfMeansClosed) {
  auto port = secret.udp_source_port(device, 53, "dns-version");
  net::UdpFields f;
  f.source = own;
  f.dest = device;
  f.source_port = port;
  f.dest_port = 53;
  std::array<std::uint8_t, 1514> asked{};
  auto n = net::build_udp(asked, {}, f, Bytes(30, 0));
  auto quoted = ByteView(asked).subspan(14, n - 14);
  auto icmp = [&](Ip from, std::uint8_t code, ByteView body) {
    Bytes b(4, 0);
    b.insert(b.end(), body.begin(), body.end());
    return check(net::build_icmp(buffer, {}, from, own, 3, code, b));
  };
  // The builder's body begins after the checksum: 4 unused bytes (RFC 792), then the quoted packet.
  auto closed = icmp(device, 3, quoted);
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->kind, AnswerKind::closed);
  auto router = icmp(*Ip::parse("192.0.2.1"), 1, quoted);
  ASSERT_TRUE(router);
  EXPECT_EQ(router->kind, AnswerKind::unreachable) << "a router on the way is no evidence about the device";
  Bytes forged(quoted.begin(), quoted.end());
  forged[20] ^= 1;  // quoted source port
  EXPECT_FALSE(icmp(device, 3, forged));
}

TEST_F(Answers, TokensDifferByTargetPortAndProbe) {
  EXPECT_NE(secret.token(device, 53, "dns-version").bytes, secret.token(device, 53, "dns-recursion").bytes);
  EXPECT_NE(secret.token(device, 53, "dns-version").bytes, secret.token(*Ip::parse("203.0.113.8"), 53, "dns-version").bytes);
  EXPECT_NE(secret.syn(device, 80).seq, secret.syn(device, 81).seq);
}

}  // namespace
}  // namespace nora::survey
