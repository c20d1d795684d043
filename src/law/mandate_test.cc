#include "law/mandate.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <set>

#include "base/files.h"
#include "law/test_mandate.h"

namespace nora::law {
namespace {

const Instant now = *Instant::parse("2026-11-26T03:00:00Z");
Ip ip(const char* t) { return *Ip::parse(t); }
Refusal ask(const Mandate& m, const char* address, std::uint16_t port, const char* probe, Instant at = now) {
  const auto p = m.permit({ip(address), port}, *m.probes().find(probe), at);
  return p ? Refusal::none : p.error();
}

TEST(Mandate, EachRuleRefusesForItsOwnReason) {
  const auto m = test_mandate(test_text(), {"203.0.113.50\n"});
  ASSERT_TRUE(m) << m.error().text();
  using enum Refusal;
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http"), none);
  EXPECT_EQ(ask(*m, "2001:db8:1fff::1", 80, "http"), none);
  EXPECT_EQ(ask(*m, "203.0.113.128", 80, "http"), out_of_range);
  EXPECT_EQ(ask(*m, "2001:db8:2000::1", 80, "http"), out_of_range);
  EXPECT_EQ(ask(*m, "203.0.113.96", 80, "http"), excluded);
  EXPECT_EQ(ask(*m, "203.0.113.111", 80, "http"), excluded);
  EXPECT_EQ(ask(*m, "203.0.113.112", 80, "http"), none);
  EXPECT_EQ(ask(*m, "203.0.113.50", 80, "http"), opted_out);
  EXPECT_EQ(ask(*m, "203.0.113.7", 81, "http"), port_not_granted);
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "dns"), port_not_granted);
  EXPECT_EQ(ask(*m, "203.0.113.7", 53, "dns"), none);
  EXPECT_EQ(ask(*m, "203.0.113.7", 53, "community"), credential_probe) << "class and port are granted";
  EXPECT_EQ(ask(*m, "198.51.100.130", 53, "community"), credential_probe);
  EXPECT_EQ(ask(*m, "203.0.113.7", 502, "modbus"), social_probe_outside_social_range);
  EXPECT_EQ(ask(*m, "198.51.100.130", 502, "modbus"), none);
  EXPECT_EQ(ask(*m, "203.0.113.7", 8080, "http-proxy"), none);
  EXPECT_EQ(ask(*m, "2001:db8:1000::1", 8080, "http-proxy"), no_listener);
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http", *Instant::parse("2026-11-24T23:59:59.999999Z")), not_yet_valid);
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http", *Instant::parse("2026-12-25T00:00:00Z")), expired);
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http", *Instant::parse("2026-12-24T23:59:59.999999Z")), none);
  const ProbeInfo foreign = *m->probes().find("http");
  EXPECT_EQ(m->permit({ip("203.0.113.7"), 80}, foreign, now).error(), probe_not_in_catalogue);
}

TEST(Mandate, ClassesProfileAndFamilies) {
  MandateText text = test_text();
  text.classes = {ProbeClass::p0, ProbeClass::p1};
  text.listeners.clear();
  text.sources = {ip("192.0.2.10")};
  EXPECT_EQ(ask(*test_mandate(text), "203.0.113.7", 8080, "mqtt"), Refusal::class_not_granted);
  EXPECT_EQ(ask(*test_mandate(text), "2001:db8:1000::1", 80, "http"), Refusal::no_source_of_family);
  const TestSigners s;
  const auto open = [&](std::array<bool, 4> classes, bool social_probes) {
    auto profile = *LawProfile::parse(test_profile, "jp");
    profile.classes = classes;
    profile.social_probes = social_probes;
    return Mandate::open(s.sign(test_text()), s.roots(), *ProbeList::parse(test_catalogue), profile, {});
  };
  const auto narrow = open({true}, false);
  EXPECT_EQ(ask(*narrow, "203.0.113.7", 80, "http"), Refusal::profile_forbids_class);
  const auto no_ics = open({true, false, true}, false);
  EXPECT_EQ(ask(*no_ics, "198.51.100.130", 502, "modbus"), Refusal::profile_forbids_class);
}

TEST(Mandate, PermitSaysWhatItCovers) {
  const auto m = test_mandate();
  const auto p = m->permit({ip("198.51.100.130"), 502}, *m->probes().find("modbus"), now);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->dest(), ip("198.51.100.130"));
  EXPECT_EQ(p->source(), ip("192.0.2.10"));
  EXPECT_EQ(p->port().value, 502);
  EXPECT_TRUE(p->social());
  EXPECT_EQ(p->gap(), Span::seconds(10));
  EXPECT_EQ(p->expires(), now + Span::seconds(60));
  EXPECT_EQ(m->permit({ip("203.0.113.7"), 80}, *m->probes().find("http"), *Instant::parse("2026-12-24T23:59:50Z"))->expires(), m->text().not_after);
}

TEST(Mandate, DailyWindowAlsoAcrossMidnight) {
  MandateText text = test_text();
  text.window_from_min = 22 * 60;
  text.window_to_min = 6 * 60 + 1;
  const auto m = test_mandate(text);
  const auto at = [&](const char* t) { return ask(*m, "203.0.113.7", 80, "http", *Instant::parse(t)); };
  EXPECT_EQ(at("2026-11-26T21:59:59Z"), Refusal::outside_daily_window);
  EXPECT_EQ(at("2026-11-26T22:00:00Z"), Refusal::none);
  EXPECT_EQ(at("2026-11-26T06:00:59Z"), Refusal::none);
  EXPECT_EQ(at("2026-11-26T06:01:00Z"), Refusal::outside_daily_window);
  const auto p = m->permit({ip("203.0.113.7"), 80}, *m->probes().find("http"), *Instant::parse("2026-11-26T06:00:50Z"));
  EXPECT_EQ(p->expires(), *Instant::parse("2026-11-26T06:01:00Z"));
  EXPECT_EQ(m->usable(*Instant::parse("2026-11-26T12:00:00Z")).error().what, "it is outside the daily window of the mandate (22:00 to 06:01 UTC)");
}

TEST(Mandate, SignaturesAreNeededAndAlterationIsSeen) {
  const TestSigners s;
  const std::string text = *write_mandate(test_text());
  const auto open = [&](std::string_view note, const Roots& roots) {
    return Mandate::open(note, roots, *ProbeList::parse(test_catalogue), *LawProfile::parse(test_profile, "jp"), {});
  };
  EXPECT_TRUE(open(s.sign(text), s.roots()));
  EXPECT_EQ(open(text, s.roots()).error().code, Code::refused);
  EXPECT_EQ(open(sign_note(text, s.one), s.roots()).error().what, "the mandate is not signed by enough of the authority's keys: 1 of 2 needed");
  EXPECT_FALSE(open(add_signature(sign_note(text, s.one), s.one), s.roots())) << "the same signer twice is one signer";
  EXPECT_TRUE(open(sign_note(text, s.one), {1, {s.one.public_key()}}));
  SeededRandom other(99);
  const SigningKey stranger = SigningKey::make("authority2.example", other);
  EXPECT_FALSE(open(add_signature(sign_note(text, s.one), stranger), s.roots()));
  const std::string good = s.sign(text);
  const std::size_t body = text.size();
  for (std::size_t i = 0; i < body; ++i) {  // every byte of the signed text
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(open(bad, s.roots())) << i;
  }
}

TEST(Mandate, CatalogueProfileAndOptOutArePinned) {
  const TestSigners s;
  MandateText text = test_text();
  const std::string list = "203.0.113.9\n";
  text.opt_out = sha256(as_bytes(list));
  const auto open = [&](std::string_view catalogue, std::string_view profile, const std::vector<std::string>& lists) {
    return Mandate::open(s.sign(text), s.roots(), *ProbeList::parse(catalogue), *LawProfile::parse(test_profile, profile), lists);
  };
  EXPECT_TRUE(open(test_catalogue, "jp", {"203.0.113.8\n", list}));
  EXPECT_FALSE(open(std::string(test_catalogue) + "#\n", "jp", {list}));
  EXPECT_FALSE(open(test_catalogue, "xx", {list}));
  EXPECT_EQ(open(test_catalogue, "jp", {}).error().what, "the opt-out list that the mandate names is missing or altered");
  EXPECT_FALSE(open(test_catalogue, "jp", {"203.0.113.8\n"}));
}

TEST(Mandate, LoadsFromFilesAndTakesAnOptOutWhileRunning) {
  namespace fs = std::filesystem;
  const fs::path dir = fs::path(testing::TempDir()) / "nora_mandate_test";
  fs::remove_all(dir);
  fs::create_directories(dir / "law");
  const TestSigners s;
  MandateText text = test_text();
  const std::string signed_list = "203.0.113.9\n";
  text.opt_out = sha256(as_bytes(signed_list));
  const auto put = [&](const char* name, std::string_view content) { ASSERT_TRUE(replace_file(dir / name, content)); };
  put("mandate", s.sign(text));
  put("roots", write_roots(s.roots()));
  put("catalogue", test_catalogue);
  put("opt-out", signed_list);
  put("more", "");
  MandateFiles files{dir / "mandate", dir / "roots", dir / "law", dir / "catalogue", {dir / "opt-out", dir / "more"}};
  const auto none = Mandate::load(files);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::refused);
  EXPECT_NE(none.error().what.find("there is no law profile \"jp\""), std::string::npos);
  put("law/jp.toml", test_profile);
  EXPECT_FALSE(Mandate::load(files)) << "a list of facilities that is lost is not an empty list";
  put("law/jp-facilities.txt", "203.0.113.77\n");
  auto m = Mandate::load(files);
  ASSERT_TRUE(m) << m.error().text();
  EXPECT_FALSE(*m->refresh_opt_out());
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http"), Refusal::none);
  EXPECT_EQ(ask(*m, "203.0.113.77", 80, "http"), Refusal::excluded);
  put("more", "203.0.113.7\n");
  EXPECT_TRUE(*m->refresh_opt_out());
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http"), Refusal::opted_out);
  put("opt-out", "");  // the signed list stays in force
  put("more", "");
  EXPECT_TRUE(*m->refresh_opt_out());
  EXPECT_EQ(ask(*m, "203.0.113.9", 80, "http"), Refusal::opted_out);
  EXPECT_EQ(ask(*m, "203.0.113.7", 80, "http"), Refusal::none);
  put("more", "nonsense\n");
  EXPECT_FALSE(m->refresh_opt_out());
  fs::remove(dir / "more");
  EXPECT_FALSE(m->refresh_opt_out());
  EXPECT_EQ(ask(*m, "203.0.113.9", 80, "http"), Refusal::opted_out);
  fs::remove_all(dir);
}

TEST(Mandate, TheProfilesHoursAndFacilitiesBindEveryMandate) {
  auto profile = *LawProfile::parse(test_profile, "jp", "198.51.100.0/24  # a hospital, a waterworks in it\n203.0.113.40/30\n2001:db8:1000::/36\n");
  const auto m = test_mandate(test_text(), {}, profile);
  ASSERT_TRUE(m) << m.error().text();
  EXPECT_EQ(ask(*m, "203.0.113.40", 80, "http"), Refusal::excluded);
  EXPECT_EQ(ask(*m, "203.0.113.43", 80, "http"), Refusal::excluded);
  EXPECT_EQ(ask(*m, "203.0.113.44", 80, "http"), Refusal::none);
  EXPECT_EQ(ask(*m, "198.51.100.130", 502, "modbus"), Refusal::none) << "the mandate names this place as social-impact";
  EXPECT_EQ(ask(*m, "198.51.100.9", 80, "http"), Refusal::excluded);
  EXPECT_EQ(ask(*m, "2001:db8:1000::1", 80, "http"), Refusal::excluded);
  EXPECT_FALSE(m->in_range(ip("203.0.113.41")));
  // The planner leaves the same places out.
  EXPECT_FALSE(net::AddressSet::make(m->closed()).contains(ip("198.51.100.130")));
  EXPECT_TRUE(net::AddressSet::make(m->closed()).contains(ip("198.51.100.9")));

  profile.hours_from_min = 22 * 60;
  profile.hours_to_min = 4 * 60;
  const auto night = test_mandate(test_text(), {}, profile);
  const auto at = [](const char* time) { return *Instant::parse(std::string("2026-11-26T") + time); };
  EXPECT_EQ(ask(*night, "203.0.113.7", 80, "http", at("03:59:59Z")), Refusal::none);
  EXPECT_EQ(ask(*night, "203.0.113.7", 80, "http", at("04:00:00Z")), Refusal::outside_daily_window);
  EXPECT_EQ(ask(*night, "203.0.113.7", 80, "http", at("22:00:00Z")), Refusal::none);
  const auto permit = night->permit({ip("203.0.113.7"), 80}, *night->probes().find("http"), at("03:59:59Z"));
  ASSERT_TRUE(permit);
  EXPECT_LE(permit->expires(), at("04:00:00Z"));
  const auto closed = night->usable(at("12:00:00Z"));
  ASSERT_FALSE(closed);
  EXPECT_NE(closed.error().what.find("law profile"), std::string::npos);
}

TEST(LawProfile, EveryFieldIsNeededAndReadExactly) {
  const auto jp = LawProfile::parse(test_profile, "jp");
  ASSERT_TRUE(jp) << jp.error().text();
  EXPECT_TRUE(jp->allows(GroundKind::consent));
  EXPECT_FALSE(jp->allows(GroundKind::statute));
  EXPECT_EQ(jp->retention.replies, 30);
  EXPECT_EQ(jp->retention.findings, 180);
  EXPECT_EQ(jp->retention.sightings, 90);
  const auto with = [](std::string_view old, std::string_view now_) {
    std::string text(test_profile);
    text.replace(text.find(old), old.size(), now_);
    return LawProfile::parse(text, "jp");
  };
  for (const auto* line : {"title = \"Testland\"\n", "lookup_grounds = [\"consent\"]\n", "survey_hours = \"00:00-24:00\"\n", "replies = 30\n", "findings = 180\n", "sightings = 90\n",
                           "control_system_probes = true\n", "credential_probes = false\n"})
    EXPECT_FALSE(with(line, "")) << line;
  EXPECT_FALSE(with("\"consent\"", "\"curiosity\""));
  EXPECT_FALSE(with("00:00-24:00", "06:00-06:00"));
  EXPECT_FALSE(with("replies = 30", "replies = 0"));
  EXPECT_FALSE(with("replies = 30", "replies = 99999"));
  EXPECT_FALSE(LawProfile::parse(test_profile, "jp", "203.0.113.0/24\nnonsense\n"));
}

TEST(LawProfile, TheShippedOnesAreReadableAndLoginsStayOff) {
  const auto jp = LawProfile::load(NORA_SOURCE_DIR "/data/law", "jp");
  ASSERT_TRUE(jp) << jp.error().text();
  EXPECT_TRUE(jp->classes[0]);
  EXPECT_FALSE(LawProfile::load(NORA_SOURCE_DIR "/data/law", "../law/jp"));
  EXPECT_FALSE(LawProfile::load(NORA_SOURCE_DIR "/data/law", "atlantis"));
  std::string logins(test_profile);
  logins.replace(logins.rfind("false"), 5, "true");
  EXPECT_FALSE(LawProfile::parse(logins, "jp"));
}

// A random mandate (up to 64 prefixes, with /0, /31, /32 and IPv6) against a judge that walks the lists one by one.
RC_GTEST_PROP(Mandate, PermitsAsTheNaiveOracleSays, ()) {
  const auto prefix = [] {
    const bool v4 = *rc::gen::inRange(0, 4) != 0;
    if (v4) return Prefix::of(Ip::v4(*rc::gen::element(0u, 0x80000000u, 0xffffff00u, 0xc6336400u, 0xcb007100u) + *rc::gen::inRange(0u, 512u)),
                              *rc::gen::element(0, 1, 8, 22, 24, 25, 28, 30, 31, 32));
    std::array<std::uint8_t, 16> b{0x20, 0x01, 0x0d, 0xb8};
    b[5] = *rc::gen::inRange<std::uint8_t>(0, 3);
    b[15] = *rc::gen::inRange<std::uint8_t>(0, 8);
    return Prefix::of(Ip::v6(b), *rc::gen::element(32, 36, 48, 64, 126, 127, 128));
  };
  const auto some = [&](int least, int most) {
    std::set<Prefix> out;
    const int n = *rc::gen::inRange(least, most);
    for (int i = 0; i < n; ++i) out.insert(prefix());
    return std::vector<Prefix>(out.begin(), out.end());
  };
  MandateText text = test_text();
  text.ranges = some(1, 20);
  text.excludes = some(0, 10);
  text.social_impact.clear();
  for (const auto& r : text.ranges)
    if (*rc::gen::inRange(0, 3) == 0) text.social_impact.push_back(r);
  text.window_from_min = *rc::gen::inRange(0, 1440);
  text.window_to_min = *rc::gen::inRange(1, 1441);
  RC_PRE(text.window_from_min != text.window_to_min);
  const auto opted = some(0, 10);
  std::string list;
  for (const auto& p : opted) list += p.text() + "\n";
  const auto m = test_mandate(text, {list});
  RC_ASSERT(m.has_value());
  const auto in = [](const std::vector<Prefix>& v, Ip a) {
    for (const auto& p : v) if (p.contains(a)) return true;
    return false;
  };
  for (int i = 0; i < 60; ++i) {
    const Prefix near = *rc::gen::inRange(0, 2) ? prefix() : text.ranges[*rc::gen::inRange<std::size_t>(0, text.ranges.size())];
    const Ip target = *rc::gen::inRange(0, 2) ? near.base().plus(*rc::gen::inRange(0u, 300u)) : near.last().plus(*rc::gen::inRange(0u, 2u));
    const auto port = *rc::gen::element<std::uint16_t>(22, 23, 53, 80, 502, 8080);
    const ProbeInfo& probe = m->probes().all()[*rc::gen::inRange<std::size_t>(0, m->probes().all().size())];
    const Instant at = now + Span::minutes(*rc::gen::inRange(0, 1440));
    const std::int64_t minute = at.us / 60'000'000 % 1440;
    const int f = text.window_from_min, t = text.window_to_min;
    const bool open = f < t ? f <= minute && minute < t : minute >= f || minute < t;
    bool granted = false;
    for (const auto& g : text.ports) granted = granted || (g.proto == probe.proto && g.port.value == port);
    const bool expected = open && granted && !probe.credential && in(text.ranges, target) && !in(text.excludes, target) && !in(opted, target) &&
                          (!probe.social || in(text.social_impact, target)) && (probe.probe_class != ProbeClass::p3 || target.is_v4());
    const auto permit = m->permit({target, port}, probe, at);
    RC_ASSERT(permit.has_value() == expected);
    if (permit) RC_ASSERT(permit->dest() == target && permit->port().value == port && permit->source().is_v4() == target.is_v4());
  }
}

}  // namespace
}  // namespace nora::law
