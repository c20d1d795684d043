#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "isp/test_party.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::Detail;
using testing::TestParty;

class KeptNas : public CoaActor {
 public:
  Result<CoaReply> change(std::string_view, const Secret&, const CoaRequest& r) override {
    if (silent) return fail(Code::failed, "no answer (planted)");
    asked.push_back(fmt::format("{} {} {}", r.session, r.address.text(), r.filter));
    return next;
  }
  std::vector<std::string> asked;
  CoaReply next{CoaAnswer::ack, 0};
  bool silent = false;
};

struct Ready : TestParty {
  Ready() {
    EXPECT_TRUE(list({item("r1", "203.0.113.10"), item("r2", "203.0.113.11")}));
    EXPECT_TRUE(match_rows(*party));
  }
  Result<Isolation> ask(Scope scope = Scope::block_in, std::string by = "ops1", std::int64_t hours = 24) { return request_isolation(*party, {"r1", by, "attacks now", scope, hours}); }
  KeptNas nas;
};

TEST(Isolation, AskedApprovedAppliedReleased) {
  Ready p;
  auto i = p.ask();
  ASSERT_TRUE(i) << i.error().text();
  EXPECT_EQ(i->scope, "block-in:80");
  EXPECT_FALSE(apply_isolation(*p.party, p.nas, i->id, "ops1"));  // not approved
  ASSERT_TRUE(approve_isolation(*p.party, i->id, "ops2"));
  auto applied = apply_isolation(*p.party, p.nas, i->id, "ops1");
  ASSERT_TRUE(applied) << applied.error().text();
  EXPECT_EQ(applied->expires, p.env.clock.now() + Span::hours(24));
  EXPECT_EQ(p.state("r1"), "isolated");
  ASSERT_TRUE(release_isolation(*p.party, p.nas, i->id, "ops2", "fixed"));
  EXPECT_EQ(p.state("r1"), "released");
  EXPECT_EQ(p.nas.asked, (std::vector<std::string>{"A 203.0.113.10 block-in:80", "A 203.0.113.10 open"}));
  auto leaves = p.leaves();
  for (auto kind : {"isolation_request", "isolation_approve", "isolation_apply", "isolation_release"}) EXPECT_EQ(std::ranges::count(leaves, kind), 1) << kind;
}

TEST(Isolation, NobodyApprovesTheirOwn) {
  Ready p;
  auto i = p.ask(Scope::block_in, "both");
  ASSERT_TRUE(i);
  EXPECT_FALSE(approve_isolation(*p.party, i->id, "both"));
  EXPECT_FALSE(approve_isolation(*p.party, i->id, "ops1"));    // not an approver
  EXPECT_FALSE(approve_isolation(*p.party, i->id, "nobody"));  // no such user
  ASSERT_TRUE(approve_isolation(*p.party, i->id, "ops2"));
  EXPECT_FALSE(approve_isolation(*p.party, i->id, "ops2"));  // once
  EXPECT_FALSE(p.ask(Scope::block_in, "ops2"));              // approvers do not ask
}

TEST(Isolation, NarrowestFirst) {
  Ready p;
  EXPECT_FALSE(p.ask(Scope::walled_garden));
  auto i = p.ask();
  ASSERT_TRUE(i && approve_isolation(*p.party, i->id, "ops2") && apply_isolation(*p.party, p.nas, i->id, "ops1"));
  auto wide = p.ask(Scope::walled_garden);
  ASSERT_TRUE(wide) << wide.error().text();
  ASSERT_TRUE(approve_isolation(*p.party, wide->id, "ops2") && apply_isolation(*p.party, p.nas, wide->id, "ops1"));
  EXPECT_EQ(isolation(*p.party, i->id)->state, "widened");
  ASSERT_TRUE(release_isolation(*p.party, p.nas, wide->id, "ops1", "fixed"));
  EXPECT_EQ(p.state("r1"), "released");
}

TEST(Isolation, LimitsAndReasons) {
  Ready p;
  EXPECT_FALSE(p.ask(Scope::block_in, "ops1", 73));
  EXPECT_FALSE(p.ask(Scope::block_in, "ops1", 0));
  EXPECT_FALSE(request_isolation(*p.party, {"r1", "ops1", "", Scope::block_in, 24}));
  EXPECT_FALSE(request_isolation(*p.party, {"none such", "ops1", "x", Scope::block_in, 24}));
}

TEST(Isolation, AddressHandedOnIsNotTouched) {
  Ready p;
  p.logs({Detail{.type = "Stop", .session = "A", .event = at(4000)}.text() + Detail{.session = "Z", .user = "zoe@hikari.example", .event = at(4010)}.text()});
  auto i = p.ask();
  ASSERT_FALSE(i);
  EXPECT_NE(i.error().what.find("another line"), std::string::npos);
}

TEST(Isolation, NakCutsOffNobody) {
  Ready p;
  auto i = p.ask();
  ASSERT_TRUE(i && approve_isolation(*p.party, i->id, "ops2"));
  p.nas.next = {CoaAnswer::nak, 503};
  auto applied = apply_isolation(*p.party, p.nas, i->id, "ops1");
  ASSERT_FALSE(applied);
  EXPECT_EQ(isolation(*p.party, i->id)->state, "failed");
  EXPECT_EQ(p.state("r1"), "matched");
  EXPECT_EQ(*expire_isolations(*p.party, p.nas), 0);
}

TEST(Isolation, EndsByItself) {
  Ready p;
  auto i = p.ask(Scope::block_in, "ops1", 2);
  ASSERT_TRUE(i && approve_isolation(*p.party, i->id, "ops2") && apply_isolation(*p.party, p.nas, i->id, "ops1"));
  EXPECT_EQ(*expire_isolations(*p.party, p.nas), 0);
  p.env.clock.set(p.env.clock.now() + Span::hours(2));
  p.nas.silent = true;
  EXPECT_EQ(*expire_isolations(*p.party, p.nas), 0);  // the NAS is away: tried again
  p.nas.silent = false;
  EXPECT_EQ(*expire_isolations(*p.party, p.nas), 1);
  EXPECT_EQ(isolation(*p.party, i->id)->state, "released");
  EXPECT_EQ(p.nas.asked.back(), "A 203.0.113.10 open");
}

TEST(Isolation, KilledWhileApplyingIsOpenedAgain) {
  Ready p;
  auto i = p.ask();
  ASSERT_TRUE(i && approve_isolation(*p.party, i->id, "ops2"));
  p.nas.silent = true;  // as if the process died before the answer
  EXPECT_FALSE(apply_isolation(*p.party, p.nas, i->id, "ops1"));
  EXPECT_EQ(isolation(*p.party, i->id)->state, "applying");
  p.nas.silent = false;
  p.env.clock.set(p.env.clock.now() + Span::minutes(6));
  EXPECT_EQ(*expire_isolations(*p.party, p.nas), 1);
  EXPECT_EQ(p.nas.asked.back(), "A 203.0.113.10 open");
}

CoaRequest sample() { return {"A", *Ip::parse("203.0.113.10"), "", "203.0.113.131", "walled-garden", at(0)}; }

TEST(Coa, PacketByHand) {
  Secret secret(to_bytes("testing123"));
  auto p = encode_coa(sample(), 7, secret);
  ASSERT_TRUE(p);
  EXPECT_EQ((*p)[0], 43);
  EXPECT_EQ((*p)[1], 7);
  EXPECT_EQ((*p)[2] << 8 | (*p)[3], static_cast<int>(p->size()));
  // Request Authenticator = MD5(packet with zero authenticator || secret), recomputed here with the library's one-shot call.
  Bytes zeroed = *p;
  std::fill_n(zeroed.begin() + 4, 16, 0);
  Bytes with = zeroed;
  for (char c : std::string("testing123")) with.push_back(static_cast<std::uint8_t>(c));
  std::array<std::uint8_t, 16> digest;
  unsigned n = 0;
  ASSERT_EQ(EVP_Digest(with.data(), with.size(), digest.data(), &n, EVP_md5(), nullptr), 1);
  EXPECT_TRUE(std::equal(digest.begin(), digest.end(), p->begin() + 4));
  // The Message-Authenticator is the last attribute: HMAC-MD5 with itself and the authenticator zero.
  Bytes unsigned_packet = zeroed;
  std::fill_n(unsigned_packet.end() - 16, 16, 0);
  HMAC(EVP_md5(), "testing123", 10, unsigned_packet.data(), unsigned_packet.size(), digest.data(), &n);
  EXPECT_TRUE(std::equal(digest.begin(), digest.end(), p->end() - 16));
  EXPECT_EQ((*p)[20], 44);  // Acct-Session-Id first
  EXPECT_FALSE(encode_coa({"", *Ip::parse("203.0.113.10"), "", "", "open", at(0)}, 1, secret));
}

Bytes answer(const Bytes& request, std::uint8_t code, const std::string& secret, std::uint32_t cause = 0) {
  Bytes out{code, request[1], 0, 0};
  out.insert(out.end(), request.begin() + 4, request.begin() + 20);
  if (cause) { out.insert(out.end(), {101, 6}); put_u32be(out, cause); }
  out[3] = static_cast<std::uint8_t>(out.size());
  Bytes with = out;
  with.insert(with.end(), secret.begin(), secret.end());
  unsigned n = 0;
  EVP_Digest(with.data(), with.size(), out.data() + 4, &n, EVP_md5(), nullptr);
  return out;
}

TEST(Coa, AnswersAreVerified) {
  Secret secret(to_bytes("s3"));
  auto request = *encode_coa(sample(), 9, secret);
  EXPECT_EQ(decode_coa(answer(request, 44, "s3"), request, secret)->answer, CoaAnswer::ack);
  auto nak = decode_coa(answer(request, 45, "s3", 503), request, secret);
  ASSERT_TRUE(nak);
  EXPECT_EQ(nak->error_cause, 503u);
  EXPECT_FALSE(decode_coa(answer(request, 44, "wrong"), request, secret));
  auto other = *encode_coa(sample(), 10, secret);
  EXPECT_FALSE(decode_coa(answer(other, 44, "s3"), request, secret));
  auto good = answer(request, 44, "s3");
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x10;
    EXPECT_FALSE(decode_coa(bad, request, secret)) << i;
    EXPECT_FALSE(decode_coa(ByteView(good).first(i), request, secret)) << i;
  }
}

TEST(Coa, OverUdpWithAForgedAnswerInBetween) {
  Fd server(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  ASSERT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&a), size), 0);
  ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&a), &size);
  std::thread nas([&] {
    Bytes buffer(4096);
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    for (int i = 0; i < 2; ++i) {  // the first request is lost
      auto n = ::recvfrom(server.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
      if (n <= 0) return;
      if (i == 0) continue;
      Bytes request(buffer.begin(), buffer.begin() + n);
      for (const auto& reply : {answer(request, 44, "forged"), answer(request, 45, "s3", 503)})
        ::sendto(server.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), from_size);
    }
  });
  SystemEnv system("test");
  UdpCoa coa(system.env(), Span::ms(300), 3);
  auto reply = coa.change(fmt::format("127.0.0.1:{}", ntohs(a.sin_port)), Secret(to_bytes("s3")), sample());
  nas.join();
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->answer, CoaAnswer::nak);
  EXPECT_EQ(reply->error_cause, 503u);
}

}  // namespace
}  // namespace nora::isp
