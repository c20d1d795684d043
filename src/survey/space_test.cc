#include "survey/space.h"

#include <gtest/gtest.h>

#include <set>

#include "survey/plan.h"
#include "survey/targets6.h"
#include "survey/test_plan.h"

namespace nora::survey {
namespace {

TEST(Space, AProbeThatCarriesACredentialIsNeverPlanned) {
  auto text = test_mandate_text();
  text.ports.push_back({Proto::udp, {161}});
  std::sort(text.ports.begin(), text.ports.end());
  TestPlan t(text);
  const auto* probe = t.mandate.probes().find("snmp-public");
  ASSERT_TRUE(probe && probe->credential);
  bool engine = false;
  for (const auto* slot : t.space.slots()) {
    EXPECT_NE(slot->probe, "snmp-public");
    engine = engine || slot->probe == "snmpv3-engine";
  }
  EXPECT_TRUE(engine) << "the port is granted, and the question without a credential is asked";
  auto permit = t.mandate.permit({*Ip::parse("203.0.113.7"), 161}, *probe, t.mandate.text().not_before + Span::seconds(1));
  ASSERT_FALSE(permit);
  EXPECT_EQ(permit.error(), law::Refusal::credential_probe);
}

TEST(Targets6, AddressesAndTheRoutersOfDelegatedPrefixes) {
  auto list = parse_targets6("2001:db8::7  # a visitor\r\n\n# all\n2001:db8:1000::/54 delegated 56\n2001:db8:1000:200::1\n");
  ASSERT_TRUE(list) << list.error().text();
  std::vector<std::string> texts;
  for (auto ip : *list) texts.push_back(ip.text());
  EXPECT_EQ(texts, (std::vector<std::string>{"2001:db8::7", "2001:db8:1000::1", "2001:db8:1000:100::1", "2001:db8:1000:200::1", "2001:db8:1000:300::1"})) << "each once";
  EXPECT_EQ(parse_targets6("2001:db8::/40 delegated 56\n")->size(), 65'536u);
  EXPECT_EQ(parse_targets6("2001:db8::/48 delegated 48\n")->front().text(), "2001:db8::1");
  EXPECT_EQ(parse_targets6("2001:db8::/62 delegated 64\n")->back().text(), "2001:db8:0:3::1");
  for (const char* bad : {"2001:db8::/32\n", "2001:db8::/32 delegated 56\n", "2001:db8::/48 delegated 40\n", "2001:db8::/48 delegated 65\n", "2001::/16 delegated 32\n",
                          "203.0.113.0/24 delegated 32\n", "2001:db8::1/48 delegated 56\n", "2001:db8::/48 delegated x\n", "2001:db8::/56 delegated\n", "nonsense\n"}) {
    auto r = parse_targets6(std::string("2001:db8::1\n") + bad);
    ASSERT_FALSE(r) << bad;
    EXPECT_NE(r.error().what.find("line 2"), std::string::npos) << bad << r.error().what;
  }
}

TEST(Space, ExactlyWhatTheMandateOpens) {
  TestPlan t;
  auto now = *Instant::parse("2026-11-26T00:00:00Z");
  std::set<std::tuple<Ip, std::string, std::uint16_t>> planned;
  for (std::uint64_t i = 0; i < t.space.size(); ++i) {
    auto p = t.space.at(i);
    ASSERT_TRUE(planned.emplace(p.ip, p.slot->probe, p.slot->port).second) << "index " << i << " repeats a probe";
    const auto* probe = t.mandate.probes().find(p.slot->probe);
    ASSERT_TRUE(t.mandate.permit({p.ip, p.slot->port}, *probe, now))
        << p.ip.text() << " " << p.slot->probe << ": the sender would refuse it";
    auto back = t.space.find(p.ip, p.slot->probe, p.slot->proto, p.slot->port);
    ASSERT_TRUE(back);
    ASSERT_EQ(*back, i);
    ASSERT_EQ(t.space.from_record_address(t.space.record_address(p.ip)), p.ip);
  }
  // Naive oracle: every address of the ranges, every probe that has a permit.
  std::size_t expected = 0;
  for (auto prefix : t.mandate.text().ranges) {
    if (!prefix.is_v4()) continue;
    for (std::uint64_t i = 0; i < prefix.size(); ++i) {
      auto ip = prefix.base().plus(i);
      for (const auto& probe : t.mandate.probes().all()) {
        const auto* request = t.catalogue.find(probe.id);
        if (probe.id != "syn" && probe.id != "syn-control" && !request->raw) continue;
        for (const auto& grant : t.mandate.text().ports) {
          bool control_port = grant.port.value == 502;
          if (probe.id == "syn" && control_port) continue;
          if (probe.id == "syn-control" && !control_port) continue;
          if (probe.proto == Proto::udp && std::find(probe.ports.begin(), probe.ports.end(), grant.port.value) == probe.ports.end())
            continue;
          if (grant.proto == probe.proto && t.mandate.permit({ip, grant.port.value}, probe, now)) {
            ++expected;
            EXPECT_TRUE(planned.contains({ip, probe.id, grant.port.value})) << ip.text() << " " << probe.id << " " << grant.port.value;
          }
        }
      }
    }
  }
  EXPECT_EQ(t.space.size(), expected + 7 + 5) << "and one IPv6 target with 7 TCP ports and 5 UDP probes";
  EXPECT_FALSE(t.space.has_target(*Ip::parse("203.0.113.96"))) << "excluded";
  EXPECT_FALSE(t.space.has_target(*Ip::parse("203.0.113.128"))) << "outside";
  EXPECT_FALSE(t.space.has_target(*Ip::parse("2001:db8:9999::1"))) << "outside";
  EXPECT_FALSE(t.space.find(*Ip::parse("203.0.113.7"), {}, Proto::tcp, 502)) << "control ports only where control probes are allowed";
  EXPECT_TRUE(t.space.find(*Ip::parse("198.51.100.130"), "syn-control", Proto::tcp, 502));
}

TEST(Space, OneAddressForACheck) {
  TestPlan t(test_mandate_text(), {.ports = {}, .only = {*Ip::parse("203.0.113.77")}});
  EXPECT_EQ(t.space.targets(), 1u);
  EXPECT_EQ(t.space.size(), 12u);
  auto outside = Space::make(t.mandate, t.catalogue, {}, {.ports = {}, .only = {*Ip::parse("203.0.113.200")}});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, Code::refused);
}

TEST(Plan, RoundTrip) {
  TestPlan t;
  FakeEnv fake;
  PlanOptions o;
  o.targets6 = {*Ip::parse("2001:db8:1000:83::83")};
  auto plan = make_plan(t.mandate, t.catalogue, o, fake.env());
  ASSERT_TRUE(plan) << plan.error().text();
  auto back = Plan::parse(plan->text());
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->text(), plan->text());
  EXPECT_EQ(back->space.size(), plan->space.size());
  for (std::uint64_t i = 0; i < plan->space.size(); i += 97) {
    EXPECT_EQ(back->space.at(i).ip, plan->space.at(i).ip);
    EXPECT_EQ(*back->space.at(i).slot, *plan->space.at(i).slot);
  }
  for (auto broken : {"{}", "{\"nora_plan\":2}", "x"}) EXPECT_FALSE(Plan::parse(broken));
}

}  // namespace
}  // namespace nora::survey
