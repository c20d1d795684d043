#include "survey/visits.h"

#include <gtest/gtest.h>

#include "survey/test_plan.h"

namespace nora::survey {
namespace {

struct VisitsTest : ::testing::Test {
  TestPlan t;
  std::set<std::string> forbidden;
  std::shared_ptr<Courtesy> courtesy = std::make_shared<Courtesy>();
  Visits visits{t.mandate.probes(), courtesy,
                [this](Ip, std::uint16_t, std::string_view probe) { return !forbidden.contains(std::string(probe)); }};
  Ip device = *Ip::parse("203.0.113.7");
  Span now = Span::seconds(1000);

  static Parsed answer(std::string protocol) {
    Parsed p;
    p.protocol = std::move(protocol);
    p.bytes = {1};
    return p;
  }
  void open(std::uint16_t port, bool social = false) {
    Visit v;
    v.ip = device;
    v.port = port;
    v.social = social;
    visits.add(std::move(v));
  }
  // Talks until nothing is left; `reply(probe)` is what the device does. Returns the probes in order.
  std::vector<std::string> play(const std::function<std::optional<Parsed>(const std::string&)>& reply, int* stored = nullptr) {
    std::vector<std::string> out;
    for (int i = 0; i < 30; ++i) {
      now = now + Span::seconds(11);
      auto v = visits.next(now);
      if (!v) break;
      out.push_back(v->probe);
      auto parsed = reply(v->probe);
      visits.conversation_over(v->ip, v->social, now);
      auto verdict = visits.judge(*v, parsed ? Ended::answered : Ended::silent, parsed, now);
      if (stored) *stored += verdict.store;
    }
    return out;
  }
};

using Words = std::vector<std::string>;

TEST_F(VisitsTest, TheBytesDecideNotThePort) {
  open(80);
  int stored = 0;
  EXPECT_EQ(play([](const auto& probe) { return answer(probe == "http" ? "ssh" : "ssh"); }, &stored), (Words{"http", "listen"}));
  EXPECT_EQ(stored, 1) << "the answer to the wrong question is not stored twice";
}

TEST_F(VisitsTest, ASilentPortIsAskedALimitedNumberOfTimes) {
  open(12345);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"listen", "http", "https", "rtsp"}));
}

TEST_F(VisitsTest, ProxySoftwareIsProvedOnceAndOnlyWithAGrant) {
  auto proxy = [](const std::string& probe) -> std::optional<Parsed> {
    auto p = answer(probe == "http-relay" ? "http_proxy" : "http");
    p.proxy_suspect = true;
    return p;
  };
  open(8080);
  EXPECT_EQ(play(proxy), (Words{"http", "http-relay"}));
  forbidden.insert("http-relay");
  open(8080);
  EXPECT_EQ(play(proxy), (Words{"http"}));
}

TEST_F(VisitsTest, OneRedirectOnTheSameHost) {
  open(80);
  EXPECT_EQ(play([](const auto&) {
              auto p = answer("http");
              p.redirect = "/login.html";
              return std::optional(p);
            }),
            (Words{"http", "http"}));
}

TEST_F(VisitsTest, ASocialDeviceGetsOneConversationPerPort) {
  open(502, true);
  open(80, true);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"modbus", "http"}));
}

TEST_F(VisitsTest, OneConversationPerDeviceAtATimeWithAGap) {
  open(80);
  open(23);
  auto first = visits.next(now);
  ASSERT_TRUE(first);
  EXPECT_FALSE(visits.next(now)) << "the device is busy";
  EXPECT_FALSE(visits.next(now + Span::seconds(60))) << "still busy, however long it takes";
  now = now + Span::seconds(61);
  visits.conversation_over(device, false, now);
  EXPECT_FALSE(visits.next(now + Span::ms(199)));
  EXPECT_TRUE(visits.next(now + Span::ms(260)));
  EXPECT_FALSE(courtesy->begin(device, now + Span::ms(300))) << "another engine of this process waits too";
}

TEST_F(VisitsTest, TheSocialGapIsTenSeconds) {
  open(80, true);
  open(502, true);
  auto first = visits.next(now);
  visits.conversation_over(device, true, now);
  EXPECT_FALSE(visits.next(now + Span::ms(9990)));
  EXPECT_TRUE(visits.next(now + Span::ms(10'100)));
}

}  // namespace
}  // namespace nora::survey
