// "Was it you?" for a survey of 10 million records: how long until the answer. Run: ninja whodid_bench && bin/whodid_bench [folder].
// Must: under one minute. The survey is written first (200 MB), read once cold as far as the machine allows, then again.
#include <chrono>
#include <cstdio>

#include "survey/test_spool.h"

int main(int argc, char** argv) {
  using namespace nora;
  using namespace nora::survey;
  auto text = test_mandate_text();
  text.ranges = {*Prefix::parse("10.0.0.0/10")};
  text.excludes.clear();
  text.social_impact.clear();
  text.ports = {{Proto::tcp, {23}}, {Proto::tcp, {80}}, {Proto::tcp, {443}}};
  TestSpool s(std::filesystem::path(argc > 1 ? argv[1] : "/tmp") / "nora_whodid_bench", text, 80'000);
  const auto now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  double t = now();
  const Instant begin = s.fake.clock.now();
  std::uint64_t records = 0;
  std::int64_t n = 0;
  for (; records < 10'000'000; ++n) {
    s.send(n, Span{100});
    records += s.to(n) - s.from(n);
  }
  std::printf("%llu records in %lld segments, written in %.1f s\n", static_cast<unsigned long long>(records), static_cast<long long>(n), now() - t);
  const auto victim = s.plan.space.at(s.permutation.at(5'000'000));
  for (const auto& [what, ip, at, window] : {std::tuple{"sent, window 10 min", victim.ip, begin + Span::seconds(500), Span::minutes(10)},
                                             std::tuple{"sent, whole survey", victim.ip, begin + Span::seconds(500), Span::hours(2)},
                                             std::tuple{"outside", *Ip::parse("192.0.2.1"), begin + Span::seconds(500), Span::hours(2)}}) {
    t = now();
    const auto a = s.ask({ip, std::nullopt, at, window});
    if (!a) return std::fprintf(stderr, "%s\n", a.error().text().c_str()), 1;
    std::size_t proven = 0;
    for (const auto& e : a->segments) proven += e.state == FileState::proven;
    std::printf("%-20s %s, %zu probes, %zu segments verified by hash, in %.2f s\n", what, std::string(name(a->verdict)).c_str(), a->probes.size(), proven, now() - t);
  }
  return 0;
}
