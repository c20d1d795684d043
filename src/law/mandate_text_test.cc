#include "law/mandate_text.h"

#include <gtest/gtest.h>

#include "law/test_mandate.h"

namespace nora::law {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(MandateText, WritesAndReadsTheSame) {
  const auto text = write_mandate(test_text());
  ASSERT_TRUE(text) << text.error().text();
  const auto back = parse_mandate(*text);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(*back, test_text());
  EXPECT_TRUE(text->starts_with("nora-mandate: 1\nid: demo-2026-11\n"));
  EXPECT_NE(text->find("daily-window: 00:00-24:00\nsource: 192.0.2.10\nsource: 2001:db8:0:10::10\nlistener: 192.0.2.10 tcp 8088\nrange: 198.51.100.0/26\n"), text->npos);
  EXPECT_TRUE(text->ends_with("probes-per-target-per-day: 500\nopt-out: none\n"));
}

TEST(MandateText, EveryDepartureFromTheCanonicalTextIsRefusedWithItsLine) {
  const std::string good = *write_mandate(test_text());
  const std::pair<const char*, const char*> changes[] = {
      {"nora-mandate: 1", "nora-mandate: 2"},
      {"id: demo", "id: Demo"},
      {"id: demo-2026-11\n", ""},
      {"id: demo-2026-11\n", "id: demo-2026-11\nid: demo-2026-11\n"},
      {"id: demo-2026-11\n", "id: demo-2026-11\nnote: x\n"},
      {"authority: Example", "authority:  Example"},
      {"authority: Example Communications Authority", "authority: "},
      {"purpose: find", "purpose: f\tnd"},
      {"purpose: find", "purpose: \xc0\xaf"},
      {"2026-11-25T00:00:00Z", "2026-11-25T09:00:00+09:00"},
      {"2026-11-25T00:00:00Z", "2026-12-25T00:00:00Z"},
      {"00:00-24:00", "00:00-00:00"},
      {"00:00-24:00", "0:00-24:00"},
      {"source: 192.0.2.10", "source: 192.0.2.010"},
      {"source: 2001:db8:0:10::10", "source: 2001:DB8:0:10::10"},
      {"source: 192.0.2.10\nsource: 2001:db8:0:10::10", "source: 2001:db8:0:10::10\nsource: 192.0.2.10"},
      {"listener: 192.0.2.10 tcp 8088", "listener: 192.0.2.11 tcp 8088"},
      {"listener: 192.0.2.10 tcp 8088", "listener: 192.0.2.10 udp 8088"},
      {"listener: 192.0.2.10 tcp 8088\n", ""},  // P3 without a listener
      {"range: 198.51.100.0/26", "range: 198.51.100.1/26"},
      {"range: 203.0.113.0/25\n", "range: 203.0.113.0/25\nrange: 203.0.113.0/25\n"},
      {"range: 198.51.100.0/26\nrange: 198.51.100.128/28", "range: 198.51.100.128/28\nrange: 198.51.100.0/26"},
      {"exclude: 203.0.113.96/28", "exclude: 203.0.113.96/33"},
      {"social-impact: 198.51.100.128/28", "social-impact: 198.51.100.128/27"},
      {"port: tcp 80\n", "port: tcp 080\n"},
      {"port: udp 53\n", "port: udp 53\nport: udp 0\n"},
      {"port: tcp 23\nport: tcp 80", "port: tcp 80\nport: tcp 23"},
      {"probe-class: P0 P1", "probe-class: P1 P0"},
      {"probe-class: P0 P1 P2 P3", "probe-class: P0 P1 P2 P4"},
      {"rate-total-pps: 10000", "rate-total-pps: 0"},
      {"rate-total-pps: 10000", "rate-total-pps: +10000"},
      {"opt-out: none", "opt-out: None"},
      {"opt-out: none\n", "opt-out: none"},
      {"opt-out: none\n", "opt-out: none\n\n"},
      {"contact: survey", "contact: survey\r"},
  };
  for (const auto& [from, to] : changes) {
    const auto r = parse_mandate(replaced(good, from, to));
    EXPECT_FALSE(r) << from << " -> " << to;
    if (!r) { EXPECT_FALSE(r.error().what.empty()); }
  }
  EXPECT_EQ(parse_mandate(replaced(good, "id: demo-2026-11\n", "id: demo-2026-11\nnote: x\n")).error().what, "line 3: \"authority: \" was expected here");
  EXPECT_EQ(parse_mandate(replaced(good, "port: tcp 80\n", "port: tcp 080\n")).error().what.substr(0, 8), "line 23:");
}

TEST(MandateText, RootsAndOptOutLists) {
  const TestSigners signers;
  const Roots roots = signers.roots();
  const auto back = parse_roots(write_roots(roots));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->threshold, 2);
  EXPECT_EQ(back->signers, roots.signers);
  const std::string key = roots.signers[0].text();
  for (const std::string& bad : std::vector<std::string>{"", "threshold: 1\n", "threshold: 2\nsigner: " + key + "\n", "threshold: 0\nsigner: " + key + "\n", "signer: " + key + "\n",
                                 "threshold: 1\nsigner: " + key + "\nsigner: " + key + "\n", "threshold: 1\nsigner: x\n", "threshold: 1\nsinger: " + key + "\n"})
    EXPECT_FALSE(parse_roots(bad)) << bad;
  const auto list = parse_opt_out("# asked on the phone\n203.0.113.9 # by mail\n\n2001:db8:1000::/48\r\n203.0.113.9\n");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 2u);
  EXPECT_EQ(parse_opt_out("203.0.113.9\nnonsense\n").error().what.substr(0, 7), "line 2:");
}

TEST(MandateText, DailyWindowMayCrossMidnight) {
  MandateText m = test_text();
  m.window_from_min = 22 * 60;
  m.window_to_min = 6 * 60;
  EXPECT_EQ(*parse_mandate(*write_mandate(m)), m);
}

}  // namespace
}  // namespace nora::law
