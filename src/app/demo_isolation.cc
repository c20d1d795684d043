// Step 13, at Hikari: the line of the router whose telnet stays open. The narrowest act first, each by two persons, each proven by packets: what must be
// closed is closed, what must stay open is open, and at the end everything is as before.
#include <fmt/core.h>

#include "app/demo.h"
#include "neighbourhood/plan.h"

namespace nora::app {
namespace {

constexpr std::string_view home = "hk-telnet", own = "203.0.113.10", address = "203.0.113.10:23", neighbour = "203.0.113.25:80", elsewhere = "198.51.100.130:80";
constexpr int port = 23;

bool answers(DemoSession& s, std::string_view from, std::string_view target, std::string_view text = {}) {
  auto page = s.visit(std::string(from), "GET", target, "/", {}, 2);
  return page && page->starts_with("HTTP/1.1") && page->find(text) != std::string::npos;
}
bool opens(DemoSession& s, std::string_view from, std::string_view target) {
  auto done = s.visit(std::string(from), "OPEN", target, "/", {}, 2);
  return done && *done == "open\n";
}

// Who reaches what, as packets tell.
struct Reach {
  bool from_outside, near, outward, portal;
  static Reach now(DemoSession& s) {
    return {opens(s, "biz-plc", address), answers(s, "biz-plc", neighbour), answers(s, home, elsewhere, "FX5U-32M"),
            answers(s, home, fmt::format("{}:80", neighbourhood::plan::portal_v4))};
  }
  std::string text() const { return fmt::format("from outside {}, neighbour {}, outward {}, portal {}", from_outside, near, outward, portal); }
  bool operator==(const Reach&) const = default;
};

Status expect(DemoSession& s, std::string_view when, const Reach& wanted) {
  auto seen = Reach::now(s);
  if (seen != wanted) return fail(Code::failed, fmt::format("{}: {} (wanted: {})", when, seen.text(), wanted.text()));
  return {};
}

}  // namespace

void demo_isolation(DemoSession& s) {
  s.step(13, "Isolation", [&]() -> Result<std::string> {
    auto dir = s.dir("hikari").string();
    auto isolate = [&](std::vector<std::string> more) {
      std::vector<std::string> a = {"isp", "isolate"};
      a.insert(a.end(), more.begin(), more.end());
      a.insert(a.end(), {"--dir", dir, "--json"});
      return a;
    };
    NORA_TRY(auto rows, s.nora("hikari", {"isp", "rows", "--dir", dir}));
    std::string row;
    for (std::size_t at = 0; at < rows.size();) {
      auto end = std::min(rows.find('\n', at), rows.size());
      NORA_TRY(auto o, json::parse_object(std::string_view(rows).substr(at, end - at)));
      at = end + 1;
      if (json::string_or(o, "ip") == own && json::int_or(o, "port", 0) == port && !json::string_or(o, "line").empty()) row = json::string_or(o, "row");
    }
    if (row.empty()) return fail(Code::failed, "the router's row has no line");
    NORA_CHECK(expect(s, "before", {true, true, true, true}));

    // A walled garden is not the first step.
    NORA_TRY(auto early, s.nora_any("hikari", isolate({"request", "--row", row, "--scope", "walled-garden", "--reason", "attacks continue", "--hours", "24", "--by", "ops1"})));
    if (early.code == 0) return fail(Code::failed, "the walled garden was accepted before the narrower step");

    auto run = [&](std::string_view scope) -> Result<std::string> {
      NORA_TRY(auto asked, s.nora("hikari", isolate({"request", "--row", row, "--scope", std::string(scope), "--reason", "the open telnet of this line is being used against others", "--hours", "24", "--by", "ops1"})));
      NORA_TRY(auto o, json::parse_object(asked));
      auto id = std::to_string(json::int_or(o, "id", 0));
      NORA_TRY(auto same, s.nora_any("hikari", isolate({"approve", "--id", id, "--by", "ops1"})));
      if (same.code == 0) return fail(Code::failed, "one person asked and approved");
      NORA_TRY(auto hasty, s.nora_any("hikari", isolate({"apply", "--id", id, "--by", "ops1"})));
      if (hasty.code == 0) return fail(Code::failed, "applied without approval");
      NORA_TRY([[maybe_unused]] auto approved, s.nora("hikari", isolate({"approve", "--id", id, "--by", "ops2"})));
      NORA_TRY([[maybe_unused]] auto applied, s.nora("hikari", isolate({"apply", "--id", id, "--by", "ops1"})));
      return id;
    };
    NORA_TRY([[maybe_unused]] auto narrow, run("block-in"));
    NORA_CHECK(expect(s, "with the port blocked inbound", {false, true, true, true}));
    NORA_TRY(auto wide, run("walled-garden"));
    NORA_CHECK(expect(s, "in the walled garden", {false, true, false, true}));
    NORA_TRY([[maybe_unused]] auto released, s.nora("hikari", isolate({"release", "--id", wide, "--by", "ops1", "--reason", "the router was replaced"})));
    NORA_CHECK(expect(s, "after the release", {true, true, true, true}));
    s.measured["isolated_and_released"] = 1;
    return std::string("the port inbound, then the walled garden, then released; two persons each time; proven by packets");
  });
}

}  // namespace nora::app
