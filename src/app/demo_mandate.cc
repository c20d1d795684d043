// Step 1: the parties make their keys, the authority signs the mandate, and everything that must be refused is refused. Then the wall
// goes up, and the witness behind it.
#include <fmt/core.h>

#include "app/demo.h"
#include "base/files.h"
#include "base/json.h"
#include "neighbourhood/network.h"
#include "neighbourhood/plan.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;
namespace plan = neighbourhood::plan;

constexpr std::string_view tcp_ports[] = {"21", "22", "23", "53", "80", "443", "502", "554", "631", "1080", "1883", "5000", "5900", "8080", "9030"};
constexpr std::string_view udp_ports[] = {"53", "123", "161", "1900", "5351", "5683"};

std::vector<std::string> new_mandate(const DemoSession& s, const fs::path& out, std::string_view profile) {
  std::vector<std::string> a = {"mandate", "new", "--out", out.string(), "--id", "demo-2026", "--authority", "Example Communications Authority",
                                "--legal-basis", "Example survey act, article 18", "--purpose", "find stray IoT devices and have their owners told",
                                "--contact", "survey@authority.example +81-120-000-000", "--law-profile", std::string(profile), "--days", "7",
                                "--rate-total", "4000", "--rate-per-24", "1500", "--rate-per-target", "60", "--probes-per-day", "5000"};
  auto add = [&](std::string_view option, std::string value) {
    a.emplace_back(option);
    a.push_back(std::move(value));
  };
  (void)s;
  add("--source", std::string(plan::scan_v4));
  add("--source", std::string(plan::scan_v6));
  add("--listener", fmt::format("{} tcp {}", plan::scan_v4, plan::relay_listener_port));
  for (auto range : {plan::hikari_range, plan::sakura_range, plan::biz_range, plan::hikari_range6, plan::sakura_range6}) add("--range", std::string(range));
  add("--exclude", std::string(plan::excluded_range));
  add("--social-impact", std::string(plan::biz_range));
  for (auto port : tcp_ports) add("--port", fmt::format("tcp/{}", port));
  for (auto port : udp_ports) add("--port", fmt::format("udp/{}", port));
  a.emplace_back("--probe-class");
  for (auto c : {"P0", "P1", "P2", "P3"}) a.emplace_back(c);
  return a;
}

Status must_refuse(DemoSession& s, std::string_view what, std::vector<std::string> args, std::string& told) {
  NORA_TRY(auto done, s.nora_any("center", std::move(args)));
  if (done.code != 4) return fail(Code::failed, fmt::format("{} was not refused: exit {}, {}", what, done.code, done.err));
  told += fmt::format("{}{}", told.empty() ? "" : ", ", what);
  return {};
}

}  // namespace

void demo_mandate(DemoSession& s) {
  auto mandate = (s.dir("authority") / "mandate.txt").string(), roots = (s.dir("authority") / "roots.txt").string();
  bool signed_now = s.step(1, "Mandate", [&]() -> Result<std::string> {
    for (auto [name, file] : {std::pair{"authority1.example", "authority/one.key"}, {"authority2.example", "authority/two.key"}, {"center", "center/center.key"}}) {
      NORA_TRY([[maybe_unused]] auto made, s.nora("center", {"mandate", "keygen", "--name", name, "--out", (s.state() / file).string()}));
    }
    NORA_TRY([[maybe_unused]] auto r, s.nora("center", {"mandate", "roots", "--threshold", "2", "--out", roots, (s.state() / "authority/one.key.pub").string(),
                                                        (s.state() / "authority/two.key.pub").string()}));
    NORA_TRY([[maybe_unused]] auto n, s.nora("center", new_mandate(s, mandate, "jp")));
    std::string refused;
    auto check = [&](std::string file, std::vector<std::string> more = {}) {
      std::vector<std::string> a = {"mandate", "check", file, "--roots", roots};
      a.insert(a.end(), more.begin(), more.end());
      return a;
    };
    NORA_CHECK(must_refuse(s, "unsigned", check(mandate), refused));
    auto sign = [&](const std::string& file, std::string_view key) { return s.nora("center", {"mandate", "sign", "--key", (s.state() / "authority" / key).string(), file}); };
    NORA_TRY([[maybe_unused]] auto s1, sign(mandate, "one.key"));
    NORA_CHECK(must_refuse(s, "half signed", check(mandate), refused));
    NORA_TRY([[maybe_unused]] auto s2, sign(mandate, "two.key"));
    NORA_TRY([[maybe_unused]] auto good, s.nora("center", check(mandate, {"--target", "203.0.113.77", "--port", "554"})));
    NORA_CHECK(must_refuse(s, "expired", check(mandate, {"--at", "2099-01-01T00:00:00Z"}), refused));
    NORA_CHECK(must_refuse(s, "excluded range", check(mandate, {"--target", "203.0.113.98", "--port", "23"}), refused));
    NORA_CHECK(must_refuse(s, "wrong range", check(mandate, {"--target", "203.0.113.200", "--port", "23"}), refused));
    NORA_TRY(auto text, read_file(mandate));
    auto altered = (s.dir("authority") / "altered.txt").string();
    auto at = text.find("range: 203.0.113.0/25");
    if (at == std::string::npos) return fail(Code::failed, "the mandate does not name Hikari's range");
    text.replace(at, 21, "range: 203.0.113.0/24");
    NORA_CHECK(replace_file(altered, text));
    NORA_CHECK(must_refuse(s, "altered", check(altered), refused));
    auto lawless = (s.dir("authority") / "lawless.txt").string();
    NORA_TRY([[maybe_unused]] auto l, s.nora("center", new_mandate(s, lawless, "xx")));
    NORA_TRY([[maybe_unused]] auto l1, sign(lawless, "one.key"));
    NORA_TRY([[maybe_unused]] auto l2, sign(lawless, "two.key"));
    NORA_CHECK(must_refuse(s, "no law profile", check(lawless), refused));
    return fmt::format("signed by two; refused with exit 4: {}", refused);
  });
  if (!signed_now) return;

  s.step(1, "Parties", [&]() -> Result<std::string> {
    NORA_CHECK(demo_make_isps(s));
    NORA_CHECK(s.world().isp().account(neighbourhood::history(), s.env().clock.now().us / 1'000'000));
    return std::string("two ISPs with keys of their own; their accounting and leases are already there");
  });

  s.step(1, "Wall", [&]() -> Result<std::string> {
    auto status = s.state() / "wall.json";
    NORA_CHECK(s.serve("wall", "wall", {"nora-wall", "--mandate", mandate, "--roots", roots, "--iface", "inside", "--status", status.string()}));
    NORA_CHECK(s.wait_file(status, "wall"));
    NORA_CHECK(s.serve("wire-count", "core", {"nora-neighbour", "wire-count", "wall0", mandate, (s.state() / "wire.json").string()}));
    NORA_CHECK(s.wait_file(s.state() / "wire.json", "wire-count"));
    NORA_TRY(auto text, read_file(status));
    NORA_TRY(auto wall, json::parse_object(text));
    return fmt::format("{} filter at the far end of the sender's cable, made from the mandate by its own parser; a counter of its own behind it", json::string_or(wall, "kind"));
  });
}

}  // namespace nora::app
