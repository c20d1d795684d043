#include "survey/visits.h"

#include <gtest/gtest.h>

#include <random>

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

TEST_F(VisitsTest, APageIsAskedForItsIconAndItsSummaryAndNothingElseIsStored) {
  auto device = [](const std::string& probe) -> std::optional<Parsed> {
    if (probe == "favicon") return answer("favicon");
    if (probe != "http") return answer("");  // no HNAP here
    auto p = answer("http");
    p.add("http.status", "401");
    return p;
  };
  int stored = 0;
  open(80);
  EXPECT_EQ(play(device, &stored), (Words{"http", "hnap", "favicon"}));
  EXPECT_EQ(stored, 2);
  open(443);
  EXPECT_EQ(play([](const std::string&) {
              auto p = answer("https");
              p.add("http.status", "200");
              return std::optional(p);
            }),
            (Words{"https", "favicon-tls"}));
  open(80);
  EXPECT_EQ(play([](const std::string&) {
              auto p = answer("http");
              p.add("http.status", "404");
              return std::optional(p);
            }),
            (Words{"http"}))
      << "no page, no icon";
}

TEST_F(VisitsTest, AGatewayIsAskedForItsMappingsWhereThatIsGranted) {
  auto gateway = [](const std::string& probe) -> std::optional<Parsed> {
    auto p = answer(probe == "igd" ? "igd" : "upnp");
    p.control_path = "/ctl/IPConn";
    p.control_service = 2;
    return p;
  };
  auto described = [&] {
    Visit v;
    v.ip = device;
    v.port = 5000;
    v.probe = "upnp";
    v.path = v.key_path = "/rootDesc.xml";
    visits.add(std::move(v));
  };
  described();
  now = now + Span::seconds(11);
  auto first = visits.next(now);
  ASSERT_TRUE(first);
  visits.conversation_over(device, false, now);
  EXPECT_FALSE(visits.judge(*first, Ended::answered, gateway("upnp"), now).finished);
  now = now + Span::seconds(1);
  auto second = visits.next(now);
  ASSERT_TRUE(second);
  const auto spec = visits.spec_of(*second, *Ip::parse("192.0.2.10"));
  EXPECT_EQ(spec.probe, "igd");
  EXPECT_EQ(spec.path, "/ctl/IPConn");
  EXPECT_EQ(spec.service, "WANIPConnection:2");
  visits.conversation_over(device, false, now);
  EXPECT_TRUE(visits.judge(*second, Ended::answered, gateway("igd"), now).finished);
  forbidden.insert("igd");
  described();
  EXPECT_EQ(play(gateway), (Words{"upnp"}));
}

TEST_F(VisitsTest, ThePortGivesTheFirstGuessAndItsOtherTenantsTheNext) {
  open(5555);
  EXPECT_EQ(play([](const std::string& probe) { return probe == "cwmp" ? std::optional(answer("cwmp")) : std::nullopt; }), (Words{"adb", "cwmp"}));
  open(1080);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"socks5", "socks4-relay", "listen", "http"}));
  open(25);
  EXPECT_EQ(play([](const auto&) { return std::optional(answer("smtp")); }), (Words{"listen"}));
  open(445);
  EXPECT_EQ(play([](const auto&) { return std::optional(answer("smb")); }), (Words{"smb"}));
}

TEST_F(VisitsTest, OnlyRealteksPortIsAskedForADescriptionThatNobodyNamed) {
  open(5000);
  EXPECT_EQ(play([](const auto&) { return std::optional(answer("http")); }), (Words{"http"}));
  open(52869);
  EXPECT_EQ(play([](const std::string& probe) { return std::optional(answer(probe == "upnp" ? "upnp" : "http")); }), (Words{"upnp"}));
}

TEST_F(VisitsTest, ARecordersOwnPortIsListenedToAndNoMore) {
  open(34567);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"dvr"}));
}

TEST_F(VisitsTest, AGenericAnswerLeadsToTheProtocolsOwnQuestion) {
  open(12345);
  EXPECT_EQ(play([](const std::string& probe) { return probe == "listen" ? std::nullopt : std::optional(answer("redis")); }), (Words{"listen", "http", "redis"}));
}

TEST_F(VisitsTest, AControllersSecondPlaceIsTriedOnceWithTheLongGap) {
  open(102, true);
  EXPECT_EQ(play([](const std::string& probe) { return std::optional(answer(probe == "s7" ? "iso-tsap" : "s7")); }), (Words{"s7", "s7-200"}));
  open(102, true);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"s7"}));
  forbidden.insert("s7");
  open(102, true);
  EXPECT_EQ(play([](const auto&) { return std::nullopt; }), (Words{"listen"})) << "without the grant nothing is said to it";
}

TEST_F(VisitsTest, WhateverAnswersAPortGetsABoundedNumberOfConversations) {
  std::mt19937 random(5);
  const char* words[] = {"", "tcp", "http", "https", "ssh", "rtsp", "upnp", "redis", "tls", "mqtt", "iso-tsap", "favicon", "igd", "ipp"};
  for (int i = 0; i < 500; ++i) {
    open(static_cast<std::uint16_t>(i % 3 == 0 ? 80 : i % 3 == 1 ? 631 : 1 + random() % 65535));
    auto asked = play([&](const auto&) -> std::optional<Parsed> {
      auto p = answer(words[random() % std::size(words)]);
      p.add("http.status", "200");
      p.redirect = random() % 2 ? "/x" : "";
      p.printer_suspect = p.proxy_suspect = random() % 2;
      p.control_path = "/c";
      p.control_service = 1;
      return random() % 4 ? std::optional(p) : std::nullopt;
    });
    ASSERT_LE(asked.size(), static_cast<std::size_t>(max_conversations_per_port));
    ASSERT_EQ(visits.waiting(), 0u);
  }
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
