// Steps 2 to 8 at the survey center: survey, registry, identification, exposure, sighting, cases, lists. The ISPs' directories are made
// first, because the routes name their keys.
#include <fmt/core.h>

#include <thread>

#include "app/demo.h"
#include "base/files.h"
#include "neighbourhood/plan.h"
#include "store/db.h"

namespace nora::app {
namespace {

namespace plan = neighbourhood::plan;

constexpr double lease_age_s = 9;  // more than the uncertainty of a match (7 s, see demo_isp.cc)

Result<std::int64_t> count(DemoSession& s, std::string_view sql) {
  NORA_TRY(auto db, store::Db::open(s.store()));
  NORA_TRY(auto value, db->one(sql));
  return value.is_null() ? 0 : value.integer();
}

// The last line of a command's NDJSON.
Result<json::Object> last_object(std::string_view out) {
  while (out.ends_with('\n')) out.remove_suffix(1);
  auto at = out.rfind('\n');
  return json::parse_object(at == out.npos ? out : out.substr(at + 1));
}

std::vector<std::string> mandate_options(const DemoSession& s) {
  return {"--mandate", (s.dir("authority") / "mandate.txt").string(), "--roots", (s.dir("authority") / "roots.txt").string()};
}

std::vector<std::string> with(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Waits until the pipeline of `nora serve` has taken in everything that is stored, and a query gives what is wanted.
Status wait_for(DemoSession& s, std::string_view sql, std::int64_t at_least, std::string_view what, double deadline_s = 30) {
  NORA_TRY(auto db, store::Db::open(s.store()));
  auto until = s.seconds() + deadline_s;
  std::int64_t seen = 0;
  while (s.seconds() < until && !demo_interrupted()) {
    NORA_TRY(auto value, db->one(sql));
    seen = value.is_null() ? 0 : value.integer();
    if (seen >= at_least) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return fail(Code::failed, fmt::format("{}: {} instead of at least {}", what, seen, at_least));
}

std::vector<std::string> scan_options(const DemoSession& s) {
  return with(mandate_options(s), {"--iface", "eth0", "--store", s.store(), "--audit", (s.dir("center") / "audit").string(), "--key", (s.dir("center") / "center.key").string(),
                                   "--party", "center", "--wall-status", (s.state() / "wall.json").string()});
}

}  // namespace

Status demo_start_services(DemoSession& s) {
  auto center = s.dir("center");
  auto socket = (s.state() / "portal.sock").string();
  NORA_CHECK(s.serve("serve", "center", with({"nora", "serve", "--listen", s.door("desk") ? "fd:10" : "127.0.0.1:8600", "--store", s.store(), "--dir", center.string(), "--portal-socket", socket, "--checks-per-hour", "60", "--suppress-below", "0"},
                                             mandate_options(s)),
                     s.door("desk") ? std::vector<std::pair<int, int>>{{s.door("desk")->fd, 10}} : std::vector<std::pair<int, int>>{}));
  NORA_CHECK(s.wait_file(socket, "serve"));
  NORA_CHECK(s.serve("portal", "portal", {"nora", "portal", "--listen", fmt::format("{}:80", plan::portal_v4), "--center", socket, "--store",
                                          "sqlite:" + (s.dir("portal") / "portal.db").string(), "--key-dir", s.dir("portal").string(), "--scan-address", std::string(plan::scan_v4),
                                          "--scan-address", std::string(plan::scan_v6), "--phone", "0120-000-000", "--contact", "survey@authority.example"}));
  NORA_CHECK(s.wait_socket("portal", "tcp/80"));
  NORA_CHECK(s.serve("node", "scan", with({"nora", "scan", "node", "--dir", (s.state() / "spool/node").string(), "--name", "node1", "--targets6", (center / "targets6.txt").string()}, scan_options(s))));
  for (std::string isp : {"hikari", "sakura"})
    if (const auto* door = s.door("isp-" + isp))
      NORA_CHECK(s.serve("isp-" + isp, isp, {"nora", "isp", "serve", "--dir", s.dir(isp).string(), "--listen", "fd:10"}, {{door->fd, 10}}));
  for (const auto& d : neighbourhood::devices)
    if (const auto* door = s.door(fmt::format("line-{}", d.id)))
      NORA_CHECK(s.serve(door->name, std::string(d.id), {"nora-neighbour", "relay", "10", fmt::format("{}:80", plan::portal_v4)}, {{door->fd, 10}}));
  return {};
}

void demo_survey(DemoSession& s) {
  std::string v6;
  for (const auto& d : neighbourhood::devices)
    if (!d.v6.empty()) v6 += std::string(d.v6) + "\n";
  s.step(2, "Survey", [&]() -> Result<std::string> {
    // IPv6 cannot be swept: the addresses to ask come from a list (here: what a hit list would hold).
    NORA_CHECK(replace_file(s.dir("center") / "targets6.txt", v6));
    // A lease that began a moment ago is near its border for every finding: the customers of Sakura have theirs for a while.
    if (auto age = s.seconds() - s.measured["world_up"].as_double(); age < lease_age_s) std::this_thread::sleep_for(std::chrono::duration<double>(lease_age_s - age));
    NORA_TRY(auto out, s.nora("scan", with({"scan", "run", "--dir", (s.state() / "spool/full").string(), "--targets6", (s.dir("center") / "targets6.txt").string(), "--json"}, scan_options(s)),
                              {}, std::chrono::seconds(180)));
    s.measured["survey_end"] = s.seconds();
    NORA_TRY(auto summary, last_object(out));
    return fmt::format("{} probes sent, {} answers, {} refused; every frame under a permit", json::int_or(summary, "sent", 0), json::int_or(summary, "unique", 0),
                       json::int_or(summary, "refused", 0));
  });
  bool served = s.step(3, "Services", [&]() -> Result<std::string> {
    // The reverse name of the controller, by a real lookup; the center itself reaches nobody, so the operator hands it over.
    NORA_TRY(auto name, neighbourhood::run({.argv = {"getent", "hosts", "198.51.100.130"}, .netns = "core"}));
    auto words = name.out.find_first_of(" \t");
    auto begin = name.out.find_first_not_of(" \t", words);
    if (begin == std::string::npos) return fail(Code::failed, "no reverse name: " + name.out + name.err);
    NORA_CHECK(replace_file(s.dir("center") / "rdns.tsv", name.out.substr(0, words) + "\t" + name.out.substr(begin, name.out.find_first_of(" \t\n", begin) - begin) + "\n"));
    NORA_CHECK(demo_start_services(s));
    return std::string("center, portal, scan node, each its own process, keys and store");
  });
  if (!served) return;
  s.step(3, "Registry", [&]() -> Result<std::string> {
    NORA_TRY(auto observations, count(s, "SELECT COUNT(*) FROM observation"));
    NORA_TRY(auto replies, count(s, "SELECT COUNT(*) FROM reply"));
    if (observations == 0 || replies == 0 || replies > observations) return fail(Code::failed, fmt::format("{} observations of {} replies", observations, replies));
    return fmt::format("{} observations, {} distinct replies", observations, replies);
  });
  s.step(4, "Identify", [&]() -> Result<std::string> {
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM device WHERE merged_into = 0 AND product <> ''", 18, "named devices"));
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM device WHERE merged_into = 0 AND cluster <> '' AND product = ''", 4, "devices in a cluster"));
    NORA_TRY(auto clusters, count(s, "SELECT COUNT(DISTINCT cluster) FROM device WHERE merged_into = 0 AND cluster <> '' AND product = ''"));
    s.measured["clusters"] = clusters;
    NORA_TRY(auto named, count(s, "SELECT COUNT(*) FROM device WHERE merged_into = 0 AND product <> ''"));
    if (clusters != 1) return fail(Code::failed, fmt::format("the unknown devices form {} clusters", clusters));
    return fmt::format("{} devices named; the unknown ones form {} cluster", named, clusters);
  });
  s.step(5, "Expose", [&]() -> Result<std::string> {
    NORA_CHECK(wait_for(s, "SELECT COUNT(DISTINCT pattern) FROM finding", 4, "patterns"));
    std::string told;
    for (std::string p : {"A", "B", "C", "D"}) {
      NORA_TRY(auto n, count(s, fmt::format("SELECT COUNT(*) FROM finding WHERE pattern = '{}'", p)));
      told += fmt::format("{}{} {}", told.empty() ? "" : ", ", p, n);
    }
    return "findings by pattern: " + told;
  });
}

void demo_sighting(DemoSession& s) {
  s.step(6, "Sighting", [&]() -> Result<std::string> {
    NORA_CHECK(s.serve("sensor", "darknet", {"nora", "sense", "live", "--iface", "eth0", "--darknet", std::string(plan::darknet_range), "--seconds", "4", "--sensor", "darknet:demo", "--store", s.store()}));
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    NORA_CHECK(s.world().attack(40));
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM sighting", 1, "sightings"));
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM sighting_join WHERE device <> 0", 1, "joined sightings"));
    NORA_TRY(auto db, store::Db::open(s.store()));
    NORA_TRY(auto rows, db->query("SELECT s.ip, s.kind, s.packets, j.because FROM sighting s JOIN sighting_join j ON j.sighting = s.id"));
    if (rows.size() != 1) return fail(Code::failed, fmt::format("{} sightings joined", rows.size()));
    return fmt::format("a device on the line {} attacked ({}, {} packets): {}", rows[0][0].ip().text(), rows[0][1].str(), rows[0][2].integer(), rows[0][3].str());
  });
}

void demo_cases(DemoSession& s) {
  s.step(7, "Cases", [&]() -> Result<std::string> {
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM cases", 1, "cases"));
    NORA_CHECK(wait_for(s, "SELECT CASE WHEN (SELECT COUNT(*) FROM finding WHERE case_id = 0 AND severity > 0) = 0 THEN 1 ELSE 0 END", 1, "findings with a case"));
    NORA_TRY(auto before, count(s, "SELECT COUNT(*) FROM cases"));
    return fmt::format("{} cases, each finding in one", before);
  });
  s.step(8, "Lists", [&]() -> Result<std::string> {
    std::string told;
    for (std::string isp : {"hikari", "sakura"}) {
      NORA_TRY(auto out, s.nora("center", {"list", "make", "--dir", s.dir("center").string(), "--store", s.store(), "--isp", isp, "--json"}));
      NORA_TRY(auto made, last_object(out));
      auto file = json::string_or(made, "file");
      if (file.empty()) return fail(Code::failed, fmt::format("nothing to list for {}: {}", isp, out));
      std::filesystem::path path = file.starts_with('/') ? std::filesystem::path(file) : s.dir("center") / "lists" / file;
      std::string other = isp == "hikari" ? "sakura" : "hikari";
      auto refuse = [&](const std::string& who, const std::filesystem::path& what, std::string_view how) -> Status {
        NORA_TRY(auto done, s.nora_any(who, {"isp", "list", "open", "--dir", s.dir(who).string(), what.string()}));
        return done.code != 0 ? Status{} : fail(Code::failed, fmt::format("a list {} was opened", how));
      };
      NORA_CHECK(refuse(other, path, "for another ISP"));
      NORA_TRY(auto bytes, read_file(path));
      auto altered = s.state() / "altered.list";
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
      NORA_CHECK(replace_file(altered, bytes));
      NORA_CHECK(refuse(isp, altered, "with a changed byte"));
      NORA_TRY(auto opened, s.nora(isp, {"isp", "list", "open", "--dir", s.dir(isp).string(), path.string(), "--json"}));
      NORA_TRY(auto o, last_object(opened));
      NORA_CHECK(refuse(isp, path, "twice"));
      told += fmt::format("{}{} {} rows", told.empty() ? "" : ", ", isp, json::int_or(o, "rows", 0));
    }
    return "signed and sealed: " + told + "; foreign, altered and replayed ones refused";
  });
}

// Between 13 and 14: the same survey once more. What is still open is the same finding in the same case; what was closed is gone.
void demo_again(DemoSession& s) {
  s.step(7, "Again", [&]() -> Result<std::string> {
    NORA_TRY(auto cases_before, count(s, "SELECT COUNT(*) FROM cases"));
    NORA_TRY(auto findings_before, count(s, "SELECT COUNT(*) FROM finding"));
    NORA_TRY(auto devices_before, count(s, "SELECT COUNT(*) FROM device WHERE merged_into = 0"));
    NORA_TRY(auto out, s.nora("scan", with({"scan", "run", "--kind", "remeasure", "--dir", (s.state() / "spool/again").string(), "--targets6", (s.dir("center") / "targets6.txt").string(), "--json"},
                                           scan_options(s)),
                              {}, std::chrono::seconds(180)));
    NORA_TRY(auto summary, last_object(out));
    NORA_CHECK(wait_for(s, "SELECT COUNT(*) FROM finding WHERE state = 'open' AND seen_segments > 1", 10, "findings seen again"));
    NORA_TRY(auto cases_after, count(s, "SELECT COUNT(*) FROM cases"));
    NORA_TRY(auto findings_after, count(s, "SELECT COUNT(*) FROM finding"));
    NORA_TRY(auto devices_after, count(s, "SELECT COUNT(*) FROM device WHERE merged_into = 0"));
    NORA_TRY(auto fixed, count(s, "SELECT COUNT(*) FROM finding WHERE state = 'fixed'"));
    if (cases_after != cases_before) return fail(Code::failed, fmt::format("{} cases before, {} after: a finding seen again opened a second case", cases_before, cases_after));
    if (devices_after != devices_before || findings_after != findings_before)
      return fail(Code::failed, fmt::format("devices {} -> {}, findings {} -> {}", devices_before, devices_after, findings_before, findings_after));
    return fmt::format("{} probes again: the same {} findings in the same {} cases, {} of them fixed", json::int_or(summary, "sent", 0), findings_after, cases_after, fixed);
  });
}

}  // namespace nora::app
