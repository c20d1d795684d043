// The desk's pages over a filled store: they exist in each language, stay inside their budgets, refuse whom they must, write their leaf first,
// and no text of a device becomes markup.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <regex>
#include <set>

#include "base/files.h"
#include "cases/metrics.h"
#include "desk/testing/html_check.h"
#include "desk/queries.h"
#include "desk/testing/test_center.h"
#include "http/gzip.h"
#include "store/testing/private_postgres.h"

namespace nora::desk::testing {
namespace {

const std::filesystem::path source = NORA_SOURCE_DIR;

// One center for all tests that only read.
TestCenter& shared() {
  static auto center = TestCenter::make({source, {}, default_suppress_below, {}, 0});
  return *center;
}
http::Fields fields(std::initializer_list<std::pair<std::string, std::string>> list) {
  http::Fields f;
  for (auto [n, v] : list) f.add(n, v);
  return f;
}
std::string cookie_for(TestCenter& center, const std::string& path) {
  static std::map<std::pair<std::string, std::string>, std::string> kept;  // by folder: an address in memory is used again
  std::string user = path.starts_with("/list") || path.starts_with("/audit") || path.starts_with("/users") ? "ops1" : "analyst1";
  auto& cookie = kept[{center.dir().string(), user}];
  if (cookie.empty()) cookie = center.login(user);
  return cookie;
}

TEST(DeskPages, EachExistsInEachLanguageAndIsWellFormed) {
  auto& center = shared();
  for (const char* lang : {"ja", "en", "easy"})
    for (const auto& path : center.staff_paths()) {
      auto answer = center.get(std::string("/") + lang + path, cookie_for(center, path));
      EXPECT_EQ(answer.status, 200) << lang << path << answer.body.substr(0, 400);
      EXPECT_EQ(html_problem(answer.body), "") << lang << path;
      EXPECT_NE(answer.body.find("<h1"), std::string::npos) << path;
      // A text that is missing shows its id; portal's and others' ids too.
      std::smatch missing;
      EXPECT_FALSE(std::regex_search(answer.body, missing, std::regex(R"(>[^<]*\b(desk|exposure|advice)\.[a-z_A-Z0-9.]+[^<]*<)"))) << path << ": " << (missing.empty() ? "" : missing[0].str());
      EXPECT_FALSE(std::regex_search(answer.body, missing, std::regex(R"(>[^<]*\{[a-z]+\})"))) << path << ": " << (missing.empty() ? "" : missing[0].str());
    }
}

// The same pages, rows and budgets on the server store.
TEST(DeskPages, WorkOnPostgresToo) {
  const char* root = std::getenv("NORA_STANDINS");
  auto server = store::testing::PrivatePostgres::start(root != nullptr ? root : NORA_SOURCE_DIR "/build/standins/root");
  ASSERT_TRUE(server.has_value()) << server.error().text();
  auto url = server->new_database("nora_desk");
  ASSERT_TRUE(url.has_value()) << url.error().text();
  auto center = TestCenter::make({source, {}, default_suppress_below, *url, 120});
  ASSERT_TRUE(center);
  for (const auto& path : center->staff_paths()) {
    auto cookie = cookie_for(*center, path);
    center->take_query_count();
    auto answer = center->get("/en" + path, cookie);
    EXPECT_EQ(answer.status, 200) << path << answer.body.substr(0, 400);
    EXPECT_EQ(html_problem(answer.body), "") << path;
    EXPECT_LE(center->take_query_count(), max_queries_per_page) << path;
  }
  auto analyst = center->login("analyst1");
  for (auto api : {"/api/findings?pattern=A&q=EC&ip=203.0.113.0/25", "/api/devices?isp=hikari&pattern=B", "/api/cases?stage=notified", "/api/clusters", "/api/sightings", "/api/overview", "/api/vulns?device=1", "/api/vulns?cve=CVE-2026-90001&limit=5", "/api/cases?sort=priority&after=50.3&limit=9"})
    EXPECT_EQ(center->get(api, analyst).status, 200) << api;
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/propose", fields({{"vendor", "V"}, {"product", "P"}, {"sure", "1"}}), analyst).status, 303);
  EXPECT_EQ(center->get("/en/cluster/c-0123456789", analyst).status, 200);
  analyst.clear();
  center.reset();  // before its server
}

TEST(DeskPages, AtMostTenQueriesEach) {
  auto& center = shared();
  for (const auto& path : center.staff_paths()) {
    auto cookie = cookie_for(center, path);
    center.take_query_count();
    EXPECT_EQ(center.get("/en" + path, cookie).status, 200);
    auto count = center.take_query_count();
    EXPECT_LE(count, max_queries_per_page) << path;
    EXPECT_GE(count, path == "/definitions" || path == "/law" || path == "/audit" ? 0 : 1) << path << ": the counter counts nothing";
  }
}

TEST(DeskPages, WeighLittle) {
  auto& center = shared();
  for (const auto& path : center.staff_paths()) {
    auto page = center.get("/ja" + path, cookie_for(center, path)).body;
    EXPECT_LE(http::gzip(page).size(), path == "/" || path == "/definitions" ? 15u * 1024 : 40u * 1024) << path;
  }
}

TEST(DeskPages, StrangersSeeTheOverviewAndNothingElse) {
  auto& center = shared();
  EXPECT_EQ(center.get("/").status, 303);
  EXPECT_EQ(center.get("/xx/").status, 404);
  for (const auto& path : center.staff_paths()) {
    auto answer = center.get("/en" + path);
    bool open = path == "/" || path == "/definitions";
    EXPECT_EQ(answer.status, open ? 200 : 401) << path;
    EXPECT_TRUE(open || answer.body.find("203.0.113.") == std::string::npos) << path;
  }
  for (auto api : {"/api/findings", "/api/devices", "/api/cases", "/api/clusters", "/api/sightings", "/api/vulns?cve=CVE-2026-90001"}) EXPECT_EQ(center.get(api).status, 401) << api;
  EXPECT_EQ(center.get("/en/", "nora=AAAA").status, 200);
}

TEST(DeskPages, RolesAreKept) {
  auto& center = shared();
  auto auditor = center.login("auditor1"), analyst = center.login("analyst1");
  EXPECT_EQ(center.get("/en/audit", auditor).status, 200);
  EXPECT_EQ(center.get("/en/findings", auditor).status, 403);
  EXPECT_EQ(center.get("/en/lists", analyst).status, 403);
  EXPECT_EQ(center.get("/en/users", analyst).status, 403);
  EXPECT_EQ(center.post("/en/cluster/c-0123456789/propose", fields({{"product", "x"}}), center.login("ops1")).status, 403);
}

TEST(DeskPages, ALoginLinkWorksOnceAndADisabledUserIsOut) {
  auto center = TestCenter::make({source, {}, 10, {}, 0});
  auto path = center->login_path("ops1");
  auto token = path.substr(7);
  EXPECT_EQ(center->get(path).status, 200);  // looking at the link does not use it up
  EXPECT_EQ(center->post("/login", fields({{"token", token}}), "").status, 303);
  EXPECT_EQ(center->post("/login", fields({{"token", token}}), "").status, 403);
  auto cookie = center->login("analyst1");
  EXPECT_EQ(center->get("/en/findings", cookie).status, 200);
  EXPECT_TRUE(center->registry().db().write("UPDATE staff SET disabled = 1 WHERE id = 'analyst1'"));
  EXPECT_EQ(center->get("/en/findings", cookie).status, 401);
}

TEST(DeskPages, SmallCountsAreHiddenFromThePublicOnly) {
  auto& center = shared();
  auto stranger = center.get("/en/").body, staff = center.get("/en/", center.login("analyst1")).body;
  EXPECT_NE(stranger.find("&lt;10"), std::string::npos);
  EXPECT_EQ(staff.find("&lt;10"), std::string::npos);
  EXPECT_EQ(stranger.find("/findings?"), std::string::npos);
  auto open = json::parse_object(center.get("/api/overview").body), closed = json::parse_object(center.get("/api/overview", center.login("analyst1")).body);
  ASSERT_TRUE(open && closed);
  EXPECT_FALSE(json::bool_or(*open, "exact", true));
  EXPECT_TRUE(json::bool_or(*closed, "exact", false));
  // The numbers of a breakdown that are shown can not give the hidden ones away: none or at least two are hidden.
  for (auto name : {"by_pattern", "by_isp", "by_product"}) {
    int hidden = 0, others = 0;
    for (const auto list = *json::get_array(*open, name); const auto& row : list) {
      const auto& value = row.as_object().at("value");
      if (value.is_null()) {
        ++hidden;
      } else if (value.as_int64() > 0) {
        ++others;
        EXPECT_GE(value.as_int64(), 10);
      }
    }
    EXPECT_TRUE(hidden != 1 || others == 0) << name;
    for (const auto list = *json::get_array(*closed, name); const auto& row : list) EXPECT_FALSE(row.as_object().at("value").is_null());
  }
}

TEST(DeskPages, EveryNumberOpensAsManyRows) {
  auto& center = shared();
  auto cookie = center.login("analyst1");
  auto overview = json::parse_object(center.get("/api/overview", cookie).body);
  ASSERT_TRUE(overview);
  auto rows_behind = [&](std::string rows) {
    EXPECT_TRUE(rows.starts_with("/en/")) << rows;
    auto body = center.get("/api" + rows.substr(3), cookie).body;
    return static_cast<std::int64_t>(std::count(body.begin(), body.end(), '\n'));
  };
  int numbers = 0;
  for (auto part : {"by_pattern", "funnel", "by_isp"})
    for (const auto list = *json::get_array(*overview, part); const auto& item : list) {
      auto rows = *json::get_string(item.as_object(), "rows");
      EXPECT_EQ(rows_behind(rows), item.as_object().at("value").as_int64()) << part << rows;
      ++numbers;
    }
  EXPECT_GE(numbers, 13);
  // Open devices of a product: the devices with an open finding.
  for (const auto list = *json::get_array(*overview, "by_product"); const auto& item : list) {
    auto body = center.get("/api" + json::get_string(item.as_object(), "rows")->substr(3), cookie).body;
    std::int64_t open = 0;
    for (std::size_t at = 0; at < body.size();) {
      auto end = body.find('\n', at);
      open += json::int_or(*json::parse_object(body.substr(at, end - at)), "open_findings", 0) > 0;
      at = end + 1;
    }
    EXPECT_EQ(open, item.as_object().at("value").as_int64()) << json::text(item);
  }
}

TEST(DeskPages, TheHeadlineComesFromTheData) {
  auto center = TestCenter::make({source, {}, 0, {}, 0});
  auto text = [&] { return json::string_or(*json::parse_object(center->get("/api/overview").body), "headline"); };
  EXPECT_NE(text().find("fell"), std::string::npos) << text();
  ASSERT_TRUE(center->registry().db().write("UPDATE metric_snapshot SET value = 400 WHERE survey = 'full' AND label = 'C'"));
  ASSERT_TRUE(center->registry().db().write("UPDATE metric_snapshot SET value = 100 WHERE survey = 'again' AND label = 'C'"));
  EXPECT_EQ(text(), "Cameras and controllers open to everybody fell to a quarter: 400 → 100.");
  ASSERT_TRUE(center->registry().db().write("UPDATE metric_snapshot SET value = 600 WHERE survey = 'again' AND label = 'C'"));
  EXPECT_NE(text().find("rose by 50 %: 400 → 600"), std::string::npos) << text();
  ASSERT_TRUE(center->registry().db().write("DELETE FROM metric_snapshot"));
  EXPECT_NE(text().find("open findings on"), std::string::npos) << text();
  ASSERT_TRUE(center->registry().db().write("DELETE FROM survey"));
  EXPECT_EQ(text(), "No survey has run yet.");
}

// A store that takes long to read is read by one reader for many: for a while the numbers stay, then they are new.
TEST(DeskPages, CostlyNumbersAreKeptForAWhile) {
  auto center = TestCenter::make({source, {}, 0, {}, 0});
  auto open = [&] { return json::get_array(*json::parse_object(center->get("/api/overview").body), "numbers")->at(0).as_object().at("value").as_int64(); };
  auto first = open();
  ASSERT_TRUE(center->registry().db().write("UPDATE finding SET state = 'open'"));
  auto second = open();
  EXPECT_NE(first, second);  // read in no time: always new
  center->reading_takes(Span::seconds(1));
  EXPECT_EQ(open(), second);
  ASSERT_TRUE(center->registry().db().write("UPDATE finding SET state = 'fixed'"));
  EXPECT_EQ(open(), second);
  center->clock().set(center->clock().now() + Span::seconds(3600));
  EXPECT_EQ(open(), 0);
}

TEST(DeskPages, ALeafStandsBeforeEveryDisclosureAndWithoutLogNothingIsShown) {
  auto center = TestCenter::make({source, {}, 10, {}, 0});
  auto operator_cookie = center->login("ops1"), analyst = center->login("analyst1");
  auto before = center->leaves().size();
  EXPECT_EQ(center->get("/en/list/center-hikari-1", operator_cookie).status, 200);
  auto leaves = center->leaves();
  ASSERT_EQ(leaves.size(), before + 1);
  EXPECT_EQ(leaves.back().kind, "desk_view");
  auto said = json::text(leaves.back().data);
  for (auto word : {"center-hikari-1", "ops1", "\"list\""}) EXPECT_NE(said.find(word), std::string::npos) << said;
  center->break_audit(true);
  for (const auto& path : center->staff_paths()) {
    auto answer = center->get("/en" + path, cookie_for(*center, path));
    EXPECT_TRUE(answer.status != 200 || answer.body.find("203.0.113.1<") == std::string::npos) << path;
  }
  EXPECT_EQ(center->get("/en/list/center-hikari-1", operator_cookie).status, 403);
  EXPECT_EQ(center->get("/en/host/203.0.113.1", analyst).status, 403);
  EXPECT_EQ(center->get("/en/findings?format=csv", analyst).status, 403);
  EXPECT_EQ(center->get("/api/findings", analyst).status, 403);
}

TEST(DeskPages, TwoPeopleNameACluster) {
  auto center = TestCenter::make({source, {}, 10, {}, 0});
  auto one = center->login("analyst1"), two = center->login("analyst2");
  auto name = fields({{"vendor", "Muster"}, {"product", "DVR <family>"}, {"type", "DVR"}});
  auto preview = center->post("/en/cluster/c-0123456789/propose", name, one);
  EXPECT_EQ(preview.status, 200);
  EXPECT_EQ(html_problem(preview.body), "");
  EXPECT_TRUE(cluster_names(center->registry())->empty());
  name.add("sure", "1");
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/propose", name, one, false).status, 403);  // no CSRF token
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/propose", name, one).status, 303);
  auto names = *cluster_names(center->registry());
  ASSERT_EQ(names.size(), 1u);
  auto accept = fields({{"proposal", std::to_string(names[0].id)}});
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/accept", accept, one).status, 403);  // the same person
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/accept", accept, two).status, 303);
  names = *cluster_names(center->registry());
  EXPECT_EQ(names[0].accepted_by, "analyst2");
  EXPECT_NE(center->get("/en/devices?vendor=Muster&product=DVR%20%3Cfamily%3E", one).body.find("/en/device/"), std::string::npos);
  auto kinds = std::multiset<std::string>{};
  for (const auto& leaf : center->leaves()) kinds.insert(leaf.kind);
  EXPECT_EQ(kinds.count("cluster_propose"), 1u);
  EXPECT_EQ(kinds.count("cluster_accept"), 1u);
  EXPECT_EQ(center->post("/en/cluster/c-0123456789/undo", {}, one).status, 303);
  EXPECT_NE((*cluster_names(center->registry()))[0].undone_at.us, 0);
}

TEST(DeskPages, TheOnSiteCaseIsWorkedOnByTwoPeopleAndPrinted) {
  auto center = TestCenter::make({source, {}, 10, {}, 0});
  auto one = center->login("analyst1"), two = center->login("boss1");
  auto base = fmt::format("/en/onsite/{}", center->onsite_case);
  auto page = center->get(base, one).body;
  EXPECT_NE(page.find("Kinmirai Building"), std::string::npos);
  std::smatch clue;
  ASSERT_TRUE(std::regex_search(page, clue, std::regex(R"re(name="clue" value="([0-9]+)")re")));
  EXPECT_EQ(center->post(base + "/party", fields({{"role", "boss"}, {"name", "x"}}), one).status, 400);
  EXPECT_EQ(center->post(base + "/party", fields({{"role", "maintainer"}, {"name", ""}}), one).status, 400);
  EXPECT_EQ(center->post(base + "/party", fields({{"role", "maintainer"}, {"name", "Tamagawa \"Service\""}, {"contact", "+81-3-0000-0001"}, {"clue", clue[1]}}), one).status, 303);
  page = center->get(base, two).body;
  std::smatch party;
  ASSERT_TRUE(std::regex_search(page, party, std::regex(R"re(name="party" value="([0-9]+)")re")));
  EXPECT_EQ(center->get(base + "/form", one).body.find("Tamagawa"), std::string::npos);  // not before the second person
  EXPECT_EQ(center->post(base + "/confirm", fields({{"party", party[1]}}), one).status, 403);
  EXPECT_EQ(center->post(base + "/confirm", fields({{"party", party[1]}}), two).status, 303);
  EXPECT_EQ(center->post(base + "/visit", fields({{"planned_for", "2026-12-01"}, {"visitor", "Sato"}, {"action", "close port 502"}, {"free_of_charge_told", "1"}, {"notes", "gate <2>"}}), one).status, 303);
  auto form = center->get(base + "/form", one).body;
  for (auto words : {"Tamagawa &quot;Service&quot;", "2026-12-01", "close port 502", "gate &lt;2&gt;", "☑", "☐"}) EXPECT_NE(form.find(words), std::string::npos) << words;
  EXPECT_EQ(html_problem(form), "");
  // The contacts are not in the center's store.
  auto bytes = read_file(center->dir() / "center.db");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->find("Tamagawa"), std::string::npos);
}

TEST(DeskPages, PagesOfRowsFollowTheKey) {
  auto center = TestCenter::make({source, {}, 10, {}, 140});
  auto cookie = center->login("analyst1");
  std::set<std::string> seen;
  std::string target = "/en/devices?q=EC";
  int pages = 0;
  while (!target.empty() && ++pages < 10) {
    auto body = center->get(target, cookie).body;
    std::regex device(R"(/en/device/([0-9]+))");
    for (std::sregex_iterator it(body.begin(), body.end(), device), end; it != end; ++it) EXPECT_TRUE(seen.insert((*it)[1]).second) << "twice: " << (*it)[1];
    std::smatch next;
    target = std::regex_search(body, next, std::regex(R"re(rel="next" href="([^"]+)")re")) ? next[1].str() : "";
    for (std::size_t at; (at = target.find("&amp;")) != target.npos;) target.replace(at, 5, "&");
  }
  EXPECT_EQ(pages, 2);
  auto all = center->get("/en/devices?q=EC&format=csv", cookie).body;
  EXPECT_EQ(seen.size() + 1, static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n')));
  // The API walks the same way.
  std::size_t api = 0;
  for (std::string after; api < 1000;) {
    auto body = center->get("/api/devices?q=EC&limit=50" + after, cookie).body;
    api += static_cast<std::size_t>(std::count(body.begin(), body.end(), '\n'));
    auto next = body.rfind("{\"next\":");
    if (next == body.npos) break;
    --api;
    after = "&after=" + body.substr(next + 8, body.find('}', next) - next - 8);
  }
  EXPECT_EQ(api, seen.size());
}

TEST(DeskPages, BadFiltersAreNamed) {
  auto& center = shared();
  auto cookie = center.login("analyst1");
  for (auto query : {"ip=1.2.3", "pattern=E", "pattern=AB", "after=-1", "after=x", "severity=awful"}) {
    auto answer = center.get(std::string("/en/findings?") + query, cookie);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(html_problem(answer.body), "");
  }
  EXPECT_EQ(center.get("/en/cases?stage=nothing", cookie).status, 400);
  EXPECT_EQ(center.get("/api/findings?limit=0", cookie).status, 400);
  EXPECT_EQ(center.get("/api/findings?limit=100000000000000000000", cookie).status, 400);
  for (auto path : {"/en/host/300.1.1.1", "/en/device/999999", "/en/device/x", "/en/case/999999", "/en/cluster/c-none", "/en/onsite/1", "/en/run/none"})
    EXPECT_EQ(center.get(path, cookie).status, 404) << path;
}

TEST(DeskPages, HostileBannersDoNothingAnywhere) {
  auto payloads = hostile_payloads(source / "src/desk/testdata/hostile.txt");
  ASSERT_GT(payloads.size(), 60u);
  auto center = TestCenter::make({source, payloads, 0, {}, 0});
  ASSERT_TRUE(center);
  int walked = 0;
  for (const auto& path : center->staff_paths()) {
    auto answer = center->get("/en" + path, cookie_for(*center, path));
    EXPECT_TRUE(answer.status == 200 || path.starts_with("/device/")) << path << " " << answer.status;
    EXPECT_EQ(html_problem(answer.body), "") << path;
    ++walked;
  }
  EXPECT_GT(walked, 140);
  auto cookie = center->login("analyst1");
  // CSV: every record has the columns of the header, no cell begins a formula.
  for (auto path : {"/en/findings?format=csv", "/en/devices?format=csv", "/en/cases?format=csv", "/en/overview.csv"}) {
    auto csv = center->get(path, cookie).body;
    std::vector<std::vector<std::string>> records{{""}};
    bool quoted = false;
    for (std::size_t i = 0; i < csv.size(); ++i) {
      char c = csv[i];
      if (quoted) {
        if (c == '"' && i + 1 < csv.size() && csv[i + 1] == '"') records.back().back() += csv[++i];
        else if (c == '"') quoted = false;
        else records.back().back() += c;
      } else if (c == '"' && records.back().back().empty()) {
        quoted = true;
      } else if (c == ',') {
        records.back().emplace_back();
      } else if (c == '\n') {
        records.emplace_back(std::vector<std::string>{""});
      } else if (c != '\r') {
        records.back().back() += c;
      }
    }
    EXPECT_FALSE(quoted) << path;
    records.pop_back();
    ASSERT_GT(records.size(), 12u) << path;
    for (const auto& record : records) {
      EXPECT_EQ(record.size(), records[0].size()) << path;
      for (const auto& cell : record)
        EXPECT_TRUE(cell.empty() || std::string("=+-@\t\r").find(cell[0]) == std::string::npos) << path << ": " << cell;
    }
  }
  // NDJSON: every line is one object, no raw control byte.
  for (auto path : {"/api/findings", "/api/devices", "/api/cases", "/api/clusters"}) {
    auto body = center->get(path, cookie).body;
    int lines = 0;
    for (std::size_t at = 0; at < body.size(); ++lines) {
      auto end = body.find('\n', at);
      ASSERT_NE(end, body.npos);
      EXPECT_TRUE(json::parse_object(body.substr(at, end - at))) << path << ": " << body.substr(at, 200);
      at = end + 1;
    }
    EXPECT_TRUE(path == std::string("/api/clusters") || lines > 70) << path;
  }
}

TEST(DeskPages, TheHtmlCheckItselfFindsWhatIsWrong) {
  EXPECT_EQ(html_problem("<!doctype html><p class=\"a\">x</p>"), "");
  for (auto bad : {"<script>x</script>", "<p onclick=\"x\">y</p>", "<p>", "</p>", "<a href=\"javascript:x\">y</a>", "<a href=\"//192.0.2.200/\">y</a>", "<p style=\"x\">y</p>", "a > b", "<p class=x>y</p>", "x\x1b[2J"})
    EXPECT_NE(html_problem(bad), "") << bad;
}

TEST(DeskPages, MatchedPartsAreMarked) {
  auto& center = shared();
  auto page = center.get("/en/host/203.0.113.1", center.login("analyst1")).body;
  EXPECT_NE(page.find("smpl-httpd/<mark>1.8</mark>"), std::string::npos);
  for (auto words : {"demo-2026-11", "Example survey act, article 18", "12:aabbccdd", "13:eeff0011", "attack seen", "never"})
    EXPECT_TRUE(page.find(words) != page.npos || (words == std::string("never") && page.find("Never") != page.npos)) << words;
}

TEST(DeskPages, VulnerabilitiesAreSaidWithTheirReasons) {
  auto& center = shared();
  auto cookie = center.login("analyst1");
  for (const auto& path : {std::string("/en/host/203.0.113.1"), fmt::format("/en/device/{}", center.camera), fmt::format("/en/case/{}", center.list_case)}) {
    auto page = center.get(path, cookie).body;
    for (auto words : {"Known vulnerabilities", "CVE-2026-90001", "affected according to NVD", "possibly affected (version unknown)", "possibly affected (a component)", "used in attacks (KEV)",
                       "used by ransomware", "support has ended", "EPSS 91.2%", "Sources: NVD, CISA KEV", "99 · now", "Exposed: D", "×4", "Used by ransomware (KEV, since 2026-02-20)",
                       "higher than 99.5% of all", "Support has ended (2024-03-31)", "Affected by version", "/en/devices?cve=CVE-2026-90001", "https://advisories.example/2026/1"})
      EXPECT_NE(page.find(words), std::string::npos) << path << ": " << words;
    EXPECT_EQ(page.find("href=\"https://advisories"), std::string::npos) << "links of sources are text";
    EXPECT_EQ(page.find("vulnerable to"), std::string::npos);
  }
  auto japanese = center.get("/ja/host/203.0.113.1", cookie).body;
  for (auto words : {"既知の脆弱性", "NVDによれば該当", "該当の可能性（版が不明）", "99 · 今すぐ対処"}) EXPECT_NE(japanese.find(words), std::string::npos) << words;
  auto easy = center.get("/easy/host/203.0.113.1", cookie).body;
  EXPECT_NE(easy.find("あてはまる かもしれません（バージョンが わかりません）"), std::string::npos);
  // A device without a product is not compared, and that is said.
  EXPECT_NE(center.get("/en/host/203.0.113.5", cookie).body.find("not known well enough"), std::string::npos);
}

TEST(DeskPages, RowsCanBeReadInTheOrderOfUrgency) {
  auto center = TestCenter::make({source, {}, 10, {}, 140});
  auto cookie = center->login("analyst1");
  for (auto list : {"findings", "devices", "cases"}) {
    std::int64_t last = 101, rows = 0;
    std::set<std::int64_t> ids;
    for (std::string after; rows < 2000;) {
      auto body = center->get(fmt::format("/api/{}?sort=priority&limit=50{}", list, after), cookie).body;
      after.clear();
      for (std::size_t at = 0; at < body.size();) {
        auto end = body.find('\n', at);
        auto row = json::parse_object(body.substr(at, end - at));
        at = end + 1;
        ASSERT_TRUE(row);
        if (row->contains("next")) {
          after = "&after=" + json::string_or(*row, "next");
          continue;
        }
        ++rows;
        EXPECT_TRUE(ids.insert(json::int_or(*row, "id", 0)).second) << list << ": twice";
        EXPECT_LE(json::int_or(*row, "priority", -1), last) << list;
        last = json::int_or(*row, "priority", -1);
      }
      if (after.empty()) break;
    }
    auto all = center->get(fmt::format("/en/{}?sort=priority&format=csv", list), cookie).body;
    EXPECT_EQ(rows + 1, std::count(all.begin(), all.end(), '\n')) << list;
    auto page = center->get(fmt::format("/en/{}?sort=priority", list), cookie).body;
    std::smatch next;
    ASSERT_TRUE(std::regex_search(page, next, std::regex(R"re(rel="next" href="[^"]*after=([0-9]+\.[0-9]+)")re"))) << list;
    EXPECT_EQ(center->get(fmt::format("/en/{}?sort=priority&after={}", list, next[1].str()), cookie).status, 200);
    for (auto bad : {"sort=size", "sort=priority&after=5", "after=5.5", "sort=priority&after=x.1"}) EXPECT_EQ(center->get(fmt::format("/en/{}?{}", list, bad), cookie).status, 400) << bad;
  }
  for (auto bad : {"", "?device=x", "?device=0", "?device=1&cve=CVE-2026-90001"}) EXPECT_EQ(center->get(fmt::format("/api/vulns{}", bad), cookie).status, 400) << bad;
  EXPECT_EQ(center->get("/api/vulns?device=1").status, 401);
  const auto rows_of = [&](const std::string& query) { auto body = center->get("/api/vulns" + query, cookie).body; return std::count(body.begin(), body.end(), '\n'); };
  EXPECT_EQ(rows_of(fmt::format("?device={}", center->camera)), 3);
  EXPECT_GT(rows_of("?cve=CVE-2026-90001"), 100);
  EXPECT_EQ(rows_of("?cve=CVE-2026-90001&limit=10"), 11);
}

// docs/api.md names every field that a row has, and every field it names for rows is there.
TEST(DeskApi, TheDocumentNamesEveryField) {
  auto text = read_file(source / "docs/api.md");
  ASSERT_TRUE(text);
  auto& center = shared();
  auto cookie = center.login("analyst1");
  for (auto [api, head] : {std::pair("/api/findings", "**finding**"), {"/api/devices", "**device**"}, {"/api/cases", "**case**"}, {"/api/sightings", "**sighting**"}, {"/api/clusters", "**cluster**"}, {"/api/vulns?device=1", "**vulnerability**"}}) {
    auto begin = text->find(head);
    ASSERT_NE(begin, std::string::npos) << head;
    auto said = text->substr(begin, text->find("\n\n", begin) - begin);
    auto body = center.get(api, cookie).body;
    auto row = json::parse_object(body.substr(0, body.find('\n')));
    ASSERT_TRUE(row) << api << body.substr(0, 200);
    EXPECT_GE(row->size(), 3u);
    for (const auto& field : *row) EXPECT_TRUE(std::regex_search(said, std::regex("\\b" + std::string(field.key()) + "\\b"))) << api << " " << std::string(field.key());
  }
  auto overview = json::parse_object(center.get("/api/overview").body);
  ASSERT_TRUE(overview);
  for (const auto& field : *overview) EXPECT_NE(text->find(std::string(field.key())), std::string::npos) << std::string(field.key());
}

TEST(DeskMessages, BothLanguagesHaveEveryText) {
  auto messages = Messages::load(source / "data/messages");
  ASSERT_TRUE(messages);
  std::set<std::string> ids[3];
  for (auto lang : all_langs)
    for (const auto& id : messages->ids(lang)) if (id.starts_with("desk.")) ids[static_cast<int>(lang)].insert(id);
  EXPECT_EQ(ids[static_cast<int>(Lang::ja)], ids[static_cast<int>(Lang::en)]);
  for (const auto& id : ids[static_cast<int>(Lang::easy)]) EXPECT_TRUE(ids[static_cast<int>(Lang::ja)].contains(id)) << id;
  // The same places in each language.
  auto places = [](const std::string& text) {
    std::multiset<std::string> out;
    std::regex place(R"(\{[a-z0-9]+\})");
    for (std::sregex_iterator it(text.begin(), text.end(), place), end; it != end; ++it) out.insert(it->str());
    return out;
  };
  for (const auto& id : ids[static_cast<int>(Lang::en)]) EXPECT_EQ(places(messages->get(Lang::en, id)), places(messages->get(Lang::ja, id))) << id;
  // Every text is asked for somewhere, and every text that is asked for is there.
  std::string code;
  for (const auto& entry : std::filesystem::directory_iterator(source / "src/desk"))
    if (entry.path().extension() == ".cc" && entry.path().string().find("_test") == std::string::npos) code += *read_file(entry.path());
  std::regex asked(R"re("(desk\.[A-Za-z0-9_.-]*[A-Za-z0-9_])")re");
  for (std::sregex_iterator it(code.begin(), code.end(), asked), end; it != end; ++it)
    EXPECT_TRUE(ids[static_cast<int>(Lang::en)].contains((*it)[1]) || code.find("\"" + (*it)[1].str() + "\" +") != code.npos) << (*it)[1];
}

}  // namespace
}  // namespace nora::desk::testing
