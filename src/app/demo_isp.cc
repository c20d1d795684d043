// The ISPs' part: their directories (before the loop: the center's routes name their keys), then steps 9 and 10: import of their own
// logs, grounds, matching, mail; and the return. Each command runs in the namespace and on the files of its own ISP.
#include <fmt/core.h>

#include <thread>

#include "app/demo.h"
#include "app/demo_mail.h"
#include "base/files.h"
#include "neighbourhood/plan.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;
namespace plan = neighbourhood::plan;

// The clock of a session's border must lie further from a finding than every uncertainty (isp/README.md: resolution 1 s + guard 5 s +
// clock error 1 s): the hand-over waits until the survey is this long ago.
constexpr double handover_gap_s = 10;

std::string dir(const DemoSession& s, std::string_view isp) { return s.dir(isp).string(); }

Result<std::vector<json::Object>> ndjson(std::string_view text) {
  std::vector<json::Object> out;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) continue;
    NORA_TRY(auto o, json::parse_object(line));
    out.push_back(std::move(o));
  }
  return out;
}

std::string state_counts(const std::map<std::string, int>& states) {
  std::string out;
  for (const auto& [state, n] : states) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", n, state);
  return out;
}

Result<std::map<std::string, int>> row_states(DemoSession& s, const std::string& isp) {
  NORA_TRY(auto text, s.nora(isp, {"isp", "rows", "--dir", dir(s, isp)}));
  NORA_TRY(auto rows, ndjson(text));
  std::map<std::string, int> out;
  for (const auto& r : rows) ++out[json::string_or(r, "state")];
  return out;
}

Status import_logs(DemoSession& s, const std::string& isp) {
  std::vector<std::string> args = {"isp", "import", "--dir", dir(s, isp)};
  auto& side = s.world().isp();
  if (isp == "hikari") {
    for (const auto& file : fs::directory_iterator(side.radius_detail())) args.push_back(file.path().string());
  } else {
    args.push_back(side.kea_log().string());
    args.push_back(side.mape_rules().string());
  }
  args.push_back(side.customers(isp).string());
  NORA_TRY([[maybe_unused]] auto out, s.nora(isp, args));
  return {};
}

Status approve_all(DemoSession& s, const std::string& isp) {
  NORA_TRY(auto text, s.nora(isp, {"isp", "rows", "--dir", dir(s, isp)}));
  NORA_TRY(auto rows, ndjson(text));
  std::set<std::string> classes;
  for (const auto& r : rows) classes.insert(json::string_or(r, "class"));
  for (const auto& c : classes) {
    NORA_TRY([[maybe_unused]] auto ok, s.nora(isp, {"isp", "ground", "approve", "--dir", dir(s, isp), "--class", c, "--ground", "contract-terms", "--reference",
                                                    "terms of service, article 12: notices about the customer's own equipment", "--version", "2026-04", "--by", "compliance1"}));
  }
  return {};
}

}  // namespace

// Called by demo_mandate: makes both ISPs' directories and writes the center's routes with their keys.
Status demo_make_isps(DemoSession& s) {
  std::string routes;
  struct Side { std::string_view id, ja, en, mail, prefix4, prefix6; };
  for (const auto& i : {Side{"hikari", "ひかりインターネット", "Hikari Internet", plan::hikari_mail, plan::hikari_range, plan::hikari_range6},
                        Side{"sakura", "さくらネット", "Sakura Net", plan::sakura_mail, plan::sakura_range, plan::sakura_range6}}) {
    std::string isp(i.id);
    NORA_CHECK(replace_file(s.dir(isp) / "coa.secret", neighbourhood::coa_secret, 0600));
    std::vector<std::string> args = {"isp", "init", "--dir", dir(s, isp), "--isp", isp, "--center", (s.dir("center") / "center.key.pub").string(), "--name-ja", std::string(i.ja),
                                     "--name-en", std::string(i.en), "--phone", "0120-000-000", "--page", fmt::format("http://www.{}.example/iot", isp), "--portal",
                                     "http://portal.nora.example/", "--mail-from", fmt::format("iot-madoguchi@{}.example", isp), "--smtp", fmt::format("smtp://{}:25", i.mail), "--json"};
    if (isp == "hikari") {
      args.emplace_back("--nas");
      args.push_back(fmt::format("*={}:{}={}", plan::hikari_nas, neighbourhood::coa_port, (s.dir(isp) / "coa.secret").string()));
    }
    NORA_TRY(auto out, s.nora(isp, args));
    NORA_TRY(auto made, json::parse_object(out));
    NORA_TRY(auto key, json::get_string(made, "key"));
    const auto* door = s.door("isp-" + isp);
    for (auto [user, role] : {std::pair{"ops1", "operator"}, {"ops2", "approver"}}) {
      NORA_TRY(auto link, s.nora(isp, {"isp", "user", "add", user, "--role", role, "--dir", dir(s, isp), "--url", door ? door->url().substr(0, door->url().size() - 1) : "http://127.0.0.1", "--json"}));
      NORA_TRY(auto l, json::parse_object(link));
      s.remember_link(fmt::format("{} ({} at {})", json::string_or(l, "link"), role, i.en));
    }
    routes += fmt::format("[[isp]]\nid = \"{}\"\nname = \"{}\"\ntrack = \"list\"\nkey = \"{}\"\n", isp, i.en, key);
    for (auto prefix : {i.prefix4, i.prefix6})
      routes += fmt::format("[[isp.prefix]]\nprefix = \"{}\"\nfrom = 2026-01-01T00:00:00Z\nlease_hours = 24\n", prefix);
    if (isp == "sakura") routes += fmt::format("[[isp.prefix]]\nprefix = \"{}/32\"\nfrom = 2026-01-01T00:00:00Z\nlease_hours = 24\nshared = true\n", plan::mape_shared);
    routes += "\n";
  }
  routes += fmt::format("[[isp]]\nid = \"kinmirai\"\nname = \"Kinmirai Building\"\ntrack = \"on-site\"\n[[isp.prefix]]\nprefix = \"{}\"\nfrom = 2026-01-01T00:00:00Z\nlease_hours = 8760\n", plan::biz_range);
  return replace_file(s.dir("center") / "routes.toml", routes);
}

void demo_isp(DemoSession& s) {
  s.step(9, "ISP", [&]() -> Result<std::string> {
    // The world goes on: an address changes hands between survey and matching.
    if (auto since = s.seconds() - (s.measured.contains("survey_end") ? s.measured["survey_end"].as_double() : 0.0); since < handover_gap_s)
      std::this_thread::sleep_for(std::chrono::duration<double>(handover_gap_s - since));
    NORA_CHECK(s.world().isp().account(neighbourhood::after_survey(), s.env().clock.now().us / 1'000'000));
    std::string told;
    for (std::string isp : {"hikari", "sakura"}) {
      NORA_CHECK(import_logs(s, isp));
      // Without a ground nothing is looked up.
      NORA_TRY(auto none, s.nora(isp, {"isp", "match", "--dir", dir(s, isp), "--json"}));
      NORA_TRY(auto counted, json::parse_object(none));
      if (json::int_or(counted, "looked_up", -1) != 0) return fail(Code::failed, "a line was looked up without a ground: " + none);
      NORA_CHECK(approve_all(s, isp));
      NORA_TRY([[maybe_unused]] auto out, s.nora(isp, {"isp", "match", "--dir", dir(s, isp), "--json"}));
      NORA_TRY(auto states, row_states(s, isp));
      if (states["matched"] == 0) return fail(Code::failed, fmt::format("{} matched nothing: {}", isp, state_counts(states)));
      told += fmt::format("{}{}: {}", told.empty() ? "" : "; ", isp, state_counts(states));
    }
    // The shared address without a port has no owner (MAP-E).
    auto now = s.env().clock.now();
    NORA_TRY(auto shared, s.nora("sakura", {"isp", "match", "--dir", dir(s, "sakura"), "--in", "-"},
                                 json::text(json::Object{{"ip", plan::mape_shared}, {"proto", "tcp"}, {"at", (now - Span::seconds(20)).text()}, {"at_error_ms", 1000}}) + "\n"));
    if (shared.find("shared_no_port") == std::string::npos) return fail(Code::failed, "the shared address without a port: " + shared);
    return "no ground, no lookup; then " + told + "; the shared address without a port: shared_no_port";
  });

  s.step(10, "Warn", [&]() -> Result<std::string> {
    std::size_t sent = 0;
    for (std::string isp : {"hikari", "sakura"}) {
      NORA_TRY([[maybe_unused]] auto out, s.nora(isp, {"isp", "notice", "send", "--dir", dir(s, isp), "--json"}));
      NORA_TRY(auto first, read_spool(s.world().isp().mail(isp)));
      NORA_TRY([[maybe_unused]] auto again, s.nora(isp, {"isp", "notice", "send", "--dir", dir(s, isp), "--json"}));
      NORA_TRY(auto second, read_spool(s.world().isp().mail(isp)));
      if (second.size() != first.size()) return fail(Code::failed, fmt::format("a second run sent {} mails more", second.size() - first.size()));
      std::set<std::string> people;
      for (const auto& m : first) {
        if (!people.insert(m.to).second) return fail(Code::failed, "two mails to one line");
        if (m.codes.size() != 1) return fail(Code::failed, fmt::format("a mail with {} notice codes", m.codes.size()));
      }
      sent += first.size();
      if (isp == "hikari")
        for (const auto& l : neighbourhood::lines_of(isp))
          for (const auto& m : first)
            if (m.to == l.mail && l.key == "hk1077@hikari.example") {
              const auto& code = m.codes.front();
              s.measured["play_code"] = code.size() == 12 ? fmt::format("{}-{}-{}", code.substr(0, 4), code.substr(4, 4), code.substr(8, 4)) : code;
              s.measured["play_home"] = "hk-camera";
            }
    }
    if (sent == 0) return fail(Code::failed, "no mail arrived");
    return fmt::format("{} mails over SMTP, one per line, each with its code; a second run sent none", sent);
  });

  s.step(10, "Return", [&]() -> Result<std::string> {
    for (std::string isp : {"hikari", "sakura"}) {
      auto file = (s.dir(isp) / "return.nora-return").string();
      NORA_TRY([[maybe_unused]] auto made, s.nora(isp, {"isp", "return", "--dir", dir(s, isp), "--out", file}));
      NORA_TRY([[maybe_unused]] auto taken, s.nora("center", {"list", "return", "import", "--dir", dir(s, "center"), "--store", s.store(), "--isp", isp, file}));
      // No name and no mail address leaves the ISP, sealed or not.
      NORA_TRY(auto bytes, read_file(file));
      for (const auto& l : neighbourhood::lines_of(isp))
        if (bytes.find(l.mail) != std::string::npos || bytes.find(l.name) != std::string::npos) return fail(Code::failed, "a person stands in the return");
    }
    return std::string("states without names went back to the center");
  });
}

}  // namespace nora::app
