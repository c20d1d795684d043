// Test support: a complete signed mandate in memory, as the demo has it. Used by tests and benches of law, survey and app only.
#pragma once

#include "base/env.h"
#include "law/mandate.h"

namespace nora::law {

inline constexpr std::string_view test_catalogue =
    "id\tproto\tports\tclass\tsocial\trequest\tdescription\n"
    "tcp-syn\ttcp\t-\tP0\t0\t-\tSYN\n"
    "http\ttcp\t80,8080\tP1\t0\t-\tGET /\n"
    "mqtt\ttcp\t1883\tP2\t0\t-\tCONNECT\n"
    "http-proxy\ttcp\t8080\tP3\t0\t-\trelay to our own listener\n"
    "modbus\ttcp\t502\tP2\t1\t-\tFC43\n"
    "dns\tudp\t53\tP1\t0\t00\tquery\n"
    "community\tudp\t53\tP1\t0\t00\ta word that works as a password\tany-port credential\n";

inline constexpr std::string_view test_profile =
    "title = \"Testland\"\nprobe_classes = [\"P0\",\"P1\",\"P2\",\"P3\"]\ncontrol_system_probes = true\ncredential_probes = false\n"
    "lookup_grounds = [\"consent\"]\nsurvey_hours = \"00:00-24:00\"\n[retention_days]\nreplies = 30\nfindings = 180\nsightings = 90\n";

inline MandateText test_text() {
  MandateText m;
  m.id = "demo-2026-11";
  m.authority = "Example Communications Authority";
  m.legal_basis = "Example survey act, article 18";
  m.law_profile = "jp";
  m.purpose = "find stray IoT devices and have their owners told";
  m.contact = "survey@authority.example +81-120-000-000";
  m.not_before = *Instant::parse("2026-11-25T00:00:00Z");
  m.not_after = *Instant::parse("2026-12-25T00:00:00Z");
  m.sources = {*Ip::parse("192.0.2.10"), *Ip::parse("2001:db8:0:10::10")};
  m.listeners = {{*Ip::parse("192.0.2.10"), Proto::tcp, {8088}}};
  m.ranges = {*Prefix::parse("198.51.100.0/26"), *Prefix::parse("198.51.100.128/28"), *Prefix::parse("203.0.113.0/25"), *Prefix::parse("2001:db8:1000::/36")};
  m.excludes = {*Prefix::parse("203.0.113.96/28")};
  m.social_impact = {*Prefix::parse("198.51.100.128/28")};
  m.ports = {{Proto::tcp, {23}}, {Proto::tcp, {80}}, {Proto::tcp, {502}}, {Proto::tcp, {8080}}, {Proto::udp, {53}}};
  m.classes = {ProbeClass::p0, ProbeClass::p1, ProbeClass::p2, ProbeClass::p3};
  m.catalogue = sha256(as_bytes(test_catalogue));
  m.rate_total_pps = 10000;
  m.rate_per_24_pps = 1000;
  m.rate_per_target_pps = 20;
  m.probes_per_target_per_day = 500;
  return m;
}

struct TestSigners {
  SeededRandom random{7};
  SigningKey one = SigningKey::make("authority1.example", random);
  SigningKey two = SigningKey::make("authority2.example", random);
  Roots roots() const { return {2, {one.public_key(), two.public_key()}}; }
  std::string sign(std::string_view text) const { return add_signature(sign_note(text, one), two); }
  std::string sign(const MandateText& text) const { return sign(*write_mandate(text)); }
};

inline Result<Mandate> test_mandate(const MandateText& text = test_text(), const std::vector<std::string>& opt_out = {},
                                    const LawProfile& profile = *LawProfile::parse(test_profile, "jp")) {
  const TestSigners signers;
  return Mandate::open(signers.sign(text), signers.roots(), *ProbeList::parse(test_catalogue), profile, opt_out);
}

}  // namespace nora::law
