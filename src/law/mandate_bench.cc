// Cost of a permit, of the check of the final bytes, and of an audit leaf. Run: ninja law_bench && bin/law_bench (a Release build for figures).
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "law/audit.h"
#include "law/budget.h"
#include "law/send.h"
#include "law/test_mandate.h"

namespace {
using namespace nora;
using namespace nora::law;

// CPU time: other processes on the machine do not count.
template <class F>
double cpu_ns_each(int n, F&& f) {
  const std::clock_t t0 = std::clock();
  for (int i = 0; i < n; ++i) f(i);
  return static_cast<double>(std::clock() - t0) * 1e9 / CLOCKS_PER_SEC / n;
}
template <class F>
double ns_each(int n, F&& f) {
  const auto t0 = std::chrono::steady_clock::now();
  for (int i = 0; i < n; ++i) f(i);
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t0).count() / n;
}
}  // namespace

int main() {
  // A mandate of 4096 ranges and an opt-out list of 50,000 addresses.
  MandateText text = test_text();
  text.ranges.clear();
  text.social_impact.clear();
  for (std::uint32_t i = 0; i < 4096; ++i) text.ranges.push_back(*Prefix::make(Ip::v4(0x0a000000u + i * 4096), 21));
  SeededRandom random(1);
  std::string list;
  for (int i = 0; i < 50'000; ++i) list += Ip::v4(0x0a000000u + static_cast<std::uint32_t>(random.below(1u << 24))).text() + "\n";
  const auto m = test_mandate(text, {list});
  if (!m) return std::printf("%s\n", m.error().text().c_str()), 1;
  const auto& probe = *m->probes().find("http");
  const Instant now = *Instant::parse("2026-11-26T03:00:00Z");
  std::vector<Ip> targets;
  std::vector<Ip> inside;  // as a plan has them
  for (int i = 0; i < 4096; ++i) targets.push_back(Ip::v4(0x0a000000u + static_cast<std::uint32_t>(random.below(1u << 24))));
  while (inside.size() < 4096) {
    const Ip ip = Ip::v4(0x0a000000u + static_cast<std::uint32_t>(random.below(1u << 24)));
    if (m->in_range(ip)) inside.push_back(ip);
  }
  long granted = 0;
  const double permit = cpu_ns_each(5'000'000, [&](int i) { granted += m->permit({targets[static_cast<std::size_t>(i) & 4095], 80}, probe, now).has_value(); });
  long all = 0;
  const double planned = cpu_ns_each(5'000'000, [&](int i) { all += m->permit({inside[static_cast<std::size_t>(i) & 4095], 80}, probe, now).has_value(); });
  Target good{Ip::v4(0), 80};
  for (const Ip& ip : targets)
    if (m->permit({ip, 80}, probe, now)) good.ip = ip;
  const auto p = m->permit(good, probe, now);
  std::array<std::uint8_t, 1514> frame{};
  const std::size_t n = net::build_tcp(frame, {}, {.source = p->source(), .dest = p->dest(), .source_port = 40000, .dest_port = 80});
  long right = 0;
  const double check = cpu_ns_each(5'000'000, [&](int) { right += check_frame(*p, ByteView(frame).first(n), now) == Refusal::none; });
  // Targets all over the range, each in its turn, as the sender takes them: 64 are asked for in advance, then judged and counted.
  text.rate_total_pps = text.rate_per_24_pps = 4'000'000u;
  text.rate_per_target_pps = 1000;
  text.probes_per_target_per_day = 60'000;
  Budget budget(text);
  std::vector<Ip> spread;
  while (spread.size() < 1u << 20) {
    const Ip ip = Ip::v4(0x0a000000u + static_cast<std::uint32_t>(random.below(1u << 24)));
    if (m->in_range(ip)) spread.push_back(ip);
  }
  long go = 0;
  const auto round = [&](int i) {
    if (i % 64 == 0)
      for (int k = 0; k < 64; ++k) {
        const Ip ip = spread[static_cast<std::size_t>(i + k) & 0xfffff];
        m->prefetch(ip);
        budget.prefetch(ip);
      }
    if (auto one = m->permit({spread[static_cast<std::size_t>(i) & 0xfffff], 80}, probe, now)) go += budget.take(*one, now + Span{i}).go();
  };
  for (int i = 0; i < 1 << 20; ++i) round(i);  // the pages of the counts are there once each target was asked
  const double take = cpu_ns_each(5'000'000, round);
  const auto dir = std::filesystem::temp_directory_path() / "nora_law_bench";
  std::filesystem::remove_all(dir);
  SystemEnv system("law_bench");
  const SigningKey key = SigningKey::make("bench.example", random);
  auto log = Audit::open(dir, "bench", key, system.env());
  const double leaf = ns_each(200, [&](int i) { (void)log->append("lookup", {{"n", i}}); });
  std::vector<json::Object> many(1000, json::Object{{"n", 1}});
  const double batch = ns_each(10, [&](int) { (void)log->append_all("lookup", many); });
  std::filesystem::remove_all(dir);
  std::printf("permit %.1f ns for targets of a plan (%ld granted), %.1f ns for any (%ld granted), check_frame %.1f ns (%ld), permit and budget over 2^20 targets %.1f ns (%ld), audit leaf %.2f ms, in batches of 1000 %.3f ms\n", planned, all, permit, granted,
              check, right, take, go, leaf / 1e6, batch / 1e9);
}
