// Time of the desk's pages over a large store. Run: ninja desk_bench && bin/desk_bench [devices] (default 100,000; one finding and one case each).
// Budgets of screens.md section 3 are for 10 M hosts on a server store; this shows what the embedded store does and which page grows.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "desk/testing/test_center.h"

int main(int argc, char** argv) {
  using namespace nora;
  const std::int64_t devices = argc > 1 ? std::atoll(argv[1]) : 100'000;
  auto center = desk::testing::TestCenter::make({NORA_SOURCE_DIR, {}, desk::default_suppress_below, {}, 0});
  if (!center) return 1;
  auto& db = center->registry().db();
  const auto now = center->clock().now();
  auto identity = db.one("SELECT identity FROM device LIMIT 1");
  if (!identity) return 1;
  auto begin = std::chrono::steady_clock::now();
  store::Rows device, place, finding, cases_rows;
  for (std::int64_t i = 0; i < devices; ++i) {
    const std::int64_t id = 1'000'000 + i;
    const auto ip = Ip::v4(0x0a000000u + static_cast<std::uint32_t>(i));
    const auto product = i % 9 == 0 ? std::string() : fmt::format("P-{}", i * i % 997);
    device.push_back({id, fmt::format("k{}", i), "Vendor", product, "", "IP Camera", 0.9, identity->str(), product.empty() ? fmt::format("c-{:010x}", i % 50) : "", "r", now, now, 0});
    place.push_back({id, id, ip, 80, 6, now, now, Bytes(32, 1), 1});
    finding.push_back({id, fmt::format("f{}", i), id, "telnet-login", std::string(1, static_cast<char>('A' + i % 4)), 2, "vulnerable", ip, 80, 6, now, 0, now, now, i % 5 == 0 ? "fixed" : "open", "[]", nullptr, "general",
                       "telnet-login", 0, "full/0", 1, 2, id});
    cases_rows.push_back({id, ip.text(), id, i % 2 ? "hikari" : "sakura", "list", i % 3 ? "S4_NOTIFIED" : "S2_ROUTED", now, now, Bytes{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i >> 16), 7},
                          "a", "b", i % 3 ? store::Value(now) : store::Value(), i % 5 ? store::Value() : store::Value(now)});
  }
  Status done = db.insert_many("device", {"id", "stable_key", "vendor", "product", "firmware", "type", "product_confidence", "identity", "cluster", "rules_version", "first_seen", "last_seen", "merged_into"}, device);
  if (done) done = db.insert_many("device_endpoint", {"id", "device", "ip", "port", "proto", "from_at", "to_at", "reply_hash", "observation"}, place);
  if (done)
    done = db.insert_many("finding", {"id", "finding_key", "device", "rule", "pattern", "severity", "rsit", "ip", "port", "proto", "at", "at_error", "first_seen", "last_seen", "state", "evidence", "amplification", "advice",
                                      "finding_class", "social", "segment", "observation", "seen_segments", "case_id"}, finding);
  if (done) done = db.insert_many("cases", {"id", "line_key", "device", "isp", "track", "state", "state_at", "first_seen", "code_hash", "word1", "word2", "notified_at", "fixed_at"}, cases_rows);
  if (done) done = db.write("UPDATE device SET priority = id * 7919 % 101 WHERE id >= 1000000");
  if (done) done = db.write("UPDATE finding SET priority = id * 7919 % 101 WHERE id >= 1000000 AND state = 'open'");
  if (!done) {
    fmt::print("{}\n", done.error().text());
    return 1;
  }
  fmt::print("{} devices filled in {:.1f} s\n", devices, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  auto analyst = center->login("analyst1"), ops = center->login("ops1");
  for (const std::string path : {"/", "/findings", "/findings?pattern=A&state=open", "/findings?q=P-12", "/devices", "/devices?unknown=1", "/devices?isp=hikari", "/devices?vendor=Vendor&product=P-4", "/cases", "/cases?stage=notified",
                                 "/cases?isp=sakura", "/findings?sort=priority", "/findings?sort=priority&after=60.1000777", "/devices?sort=priority&after=60.1000777", "/cases?sort=priority", "/devices?cve=CVE-2026-90001", "/clusters", "/cluster/c-0000000001", "/host/10.0.3.9", "/device/1000777", "/case/1000777", "/lists", "/runs"}) {
    std::vector<double> ms;
    for (int i = 0; i < 7; ++i) {
      auto t0 = std::chrono::steady_clock::now();
      auto answer = center->get("/en" + path, path.starts_with("/list") ? ops : analyst);
      ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - t0).count());
      if (answer.status != 200) fmt::print("{} gives {}\n", path, answer.status);
    }
    std::sort(ms.begin(), ms.end());
    fmt::print("{:<40} median {:7.1f} ms  worst {:7.1f} ms\n", path, ms[ms.size() / 2], ms.back());
  }
  return 0;
}
