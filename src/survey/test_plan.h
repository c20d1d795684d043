// Test support: the demo's mandate with the shipped catalogue, and the index space made from it. Used by survey's unit tests only.
#pragma once

#include "base/files.h"
#include "law/mandate.h"
#include "survey/space.h"

namespace nora::survey {

inline law::MandateText test_mandate_text() {
  law::MandateText m;
  m.id = "test";
  m.authority = "Test Authority";
  m.legal_basis = "Test Act";
  m.law_profile = "jp";
  m.purpose = "test";
  m.contact = "test@example";
  m.not_before = *Instant::parse("2026-11-25T00:00:00Z");
  m.not_after = *Instant::parse("2026-12-25T00:00:00Z");
  m.sources = {*Ip::parse("192.0.2.10"), *Ip::parse("2001:db8:0:10::10")};
  m.listeners = {{*Ip::parse("192.0.2.10"), Proto::tcp, {8088}}};
  m.ranges = {*Prefix::parse("198.51.100.0/26"), *Prefix::parse("198.51.100.128/28"), *Prefix::parse("203.0.113.0/25"),
              *Prefix::parse("2001:db8:1000::/36")};
  m.excludes = {*Prefix::parse("203.0.113.96/28")};
  m.social_impact = {*Prefix::parse("198.51.100.128/28")};
  for (std::uint16_t p : {21, 22, 23, 80, 443, 502, 554, 8080}) m.ports.push_back({Proto::tcp, {p}});
  for (std::uint16_t p : {53, 123, 1900}) m.ports.push_back({Proto::udp, {p}});
  m.classes = {law::ProbeClass::p0, law::ProbeClass::p1, law::ProbeClass::p2, law::ProbeClass::p3};
  m.rate_total_pps = 10000;
  m.rate_per_24_pps = 1000;
  m.rate_per_target_pps = 20;
  m.probes_per_target_per_day = 500;
  return m;
}

struct TestPlan {
  SeededRandom random{3};
  SigningKey key = SigningKey::make("authority.example", random);
  std::string tsv = *read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv");
  Catalogue catalogue = *Catalogue::parse(tsv);
  law::Mandate mandate;
  Space space;
  explicit TestPlan(law::MandateText text = test_mandate_text(), const Space::Limits& limits = {},
                    const std::vector<Ip>& six = {*Ip::parse("2001:db8:1000:83::83"), *Ip::parse("2001:db8:9999::1")})
      : mandate(open(std::move(text))), space(*Space::make(mandate, catalogue, six, limits)) {}

 private:
  law::Mandate open(law::MandateText text) {
    auto probes = *law::ProbeList::parse(tsv);
    text.catalogue = probes.hash();
    auto profile = *law::LawProfile::load(std::string(NORA_SOURCE_DIR) + "/data/law", "jp");
    return *law::Mandate::open(sign_note(*law::write_mandate(text), key), {1, {key.public_key()}}, std::move(probes), std::move(profile),
                               {});
  }
};

}  // namespace nora::survey
