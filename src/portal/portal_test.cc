// The pages over a real socket against a center on a real Unix socket.
#include "portal/portal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "http/gzip.h"
#include "http/server.h"
#include "http/test_client.h"
#include "portal/test_center.h"

namespace nora::portal {
namespace {

using http::Fields;
using http::TestAnswer;
using http::TestClient;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct PortalTest : testing::Test {
  std::filesystem::path dir = testing::TempDir() + "nora_portal_test";
  SystemEnv system{"portal_test"};
  Env env = system.env();
  TestCenter::Script script;
  std::unique_ptr<TestCenter> fake_center;
  Messages messages = *Messages::load(NORA_SOURCE_DIR "/data/messages");
  http::StaticFiles files = *http::StaticFiles::load(NORA_SOURCE_DIR "/web");
  http::Csrf csrf{Secret(Bytes(32, 1)), env};
  std::unique_ptr<SocketCenter> center;
  std::unique_ptr<Records> records;
  SigningKey key = SigningKey::make("portal", env.random);  // the audit log refers to it
  std::unique_ptr<law::Audit> audit;
  std::unique_ptr<Portal> portal;
  http::Router router;
  std::unique_ptr<http::Server> server;
  std::string code;

  PortalTest() {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    script.codes = TestCenter::make_codes(4, 42);
    script.finding = TestCenter::camera();
    script.line_gap_ms = 60;
    code = script.codes[0];
    fake_center = std::make_unique<TestCenter>(dir / "center.sock", script);
    center = std::make_unique<SocketCenter>(dir / "center.sock");
    records = *Records::open("sqlite:" + (dir / "portal.db").string(), Secret(Bytes(32, 2)), env);
    auto opened = law::Audit::open(dir / "audit", "portal", key, env);
    EXPECT_TRUE(opened) << opened.error().text();
    audit = std::make_unique<law::Audit>(std::move(*opened));
    portal = std::make_unique<Portal>(Portal::Parts{env, messages, files, csrf, *center, *records, *audit, {"0120-000-000", {"192.0.2.10", "2001:db8:0:10::10"}, "survey@authority.example"}});
    portal->add_routes(router);
    http::ServerOptions options;
    options.listen = {"127.0.0.1:0"};
    options.handler_threads = 16;
    server = *http::Server::start(env, options, [this](http::Request& r) { return router(r); });
  }
  ~PortalTest() override {
    server->stop();
    std::filesystem::remove_all(dir);
  }
  TestClient from(std::string own = "127.0.0.1") { return TestClient(server->addresses()[0], std::move(own)); }
  Fields check_fields(const TestClient& client, bool consent = true, bool with_code = true) {
    Fields f;
    f.add("csrf", TestClient::csrf(client.get("/en/").body));
    if (with_code) f.add("code", code);
    if (consent) f.add("consent", "yes");
    return f;
  }
  std::vector<law::AuditEntry> leaves() { return *law::audit_read(dir / "audit", 0, audit->state().size); }
};

std::string without_nonces(std::string page) {
  for (std::size_t at = 0; (at = page.find("name=\"csrf\" value=\"", at)) != std::string::npos;) {
    at += 19;
    page.erase(at, page.find('"', at) - at);
  }
  return page;
}

TEST_F(PortalTest, every_page_in_three_languages_without_cookie_script_or_foreign_address) {
  const auto client = from();
  for (const auto* lang : {"ja", "easy", "en"})
    for (const auto& path : {std::string("/"), "/k/" + code, std::string("/how"), std::string("/access")}) {
      const auto a = client.get("/" + std::string(lang) + path);
      ASSERT_EQ(a.status, 200) << lang << path;
      EXPECT_FALSE(a.headers.contains("set-cookie"));
      EXPECT_EQ(a.headers.at("referrer-policy"), "no-referrer");
      EXPECT_EQ(a.body.find("<script"), std::string::npos);
      EXPECT_EQ(a.body.find("style="), std::string::npos);
      EXPECT_EQ(a.body.find("://"), std::string::npos) << lang << path;  // nothing from elsewhere, not even a link
      EXPECT_EQ(a.body.find("portal."), std::string::npos) << lang << path << ": a text is missing";
      EXPECT_EQ(a.body.find("《"), std::string::npos);
      EXPECT_EQ(a.body.find("**"), std::string::npos);
      EXPECT_LT(http::gzip(a.body).size() + http::gzip(*read_file(NORA_SOURCE_DIR "/web/nora.css")).size(), 15u * 1024) << path;
      std::size_t headings = 0;
      for (std::size_t at = 0; (at = a.body.find("<h1", at)) != std::string::npos; ++at) ++headings;
      EXPECT_EQ(headings, 1u) << path;
    }
}

TEST_F(PortalTest, the_notice_page_says_what_was_seen_and_what_to_do) {
  const auto page = from().get("/en/k/" + code).body;
  for (const auto* part : {"Example Works Camera EC-200", "high (96%)", "25 November 2026, 03:12 JST", "2026-11-24 18:12 UTC", "Example Net Hikari", "紫陽花", "灯台", "Port 554",
                           "C Mischief", "I did the steps", "I unplugged it", "It is not my device", "It did not work", "0120-000-000", "How did you find out?",
                           "Who knows that it is me?", "What if I do nothing?", "No cookies", "status bad"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_NE(page.find(code), std::string::npos);
  EXPECT_NE(page.find("<ol class=\"steps\">"), std::string::npos) << "advice.general.step1 is missing";
}

TEST_F(PortalTest, the_state_of_the_case_is_said) {
  const std::pair<const char*, const char*> said[] = {{"S9I_ISOLATED", "blocked part of this connection"}, {"X_DISPUTED", "A person is looking at it"},
                                                      {"S6U_USER_SAYS_FIXED", "not confirmed from outside yet"}, {"S7_FIXED", "Confirmed: it is fixed"}};
  for (const auto& [state, words] : said) {
    script.state = state;
    fake_center->set(script);
    EXPECT_NE(from().get("/en/k/" + code).body.find(words), std::string::npos) << state;
  }
}

TEST_F(PortalTest, a_flaw_in_use_is_said_in_plain_words) {
  const auto page = [&](const char* lang) { return from().get("/" + std::string(lang) + "/k/" + code).body; };
  EXPECT_EQ(page("en").find("Attackers are using"), std::string::npos) << "nothing known, nothing said";
  script.finding.flaw_ids = {"CVE-2026-90001"};
  const std::tuple<const char*, const char*, const char*, const char*> said[] = {
      {"by_version", "Public records say that your version has it.", "お使いの版にもこの弱点があります", "記録"},
      {"version_unknown", "We cannot see your version, so yours is possibly affected.", "お使いの版は外から見えないため", "バージョンは"},
      {"possible", "We cannot tell from outside whether yours has it.", "外からは分かりません", "あるかも しれません"}};
  for (const auto& [word, en, ja, easy] : said) {
    script.finding.flaw = word;
    fake_center->set(script);
    EXPECT_NE(page("en").find("Attackers are using a known flaw in this product."), std::string::npos) << word;
    for (const auto& [lang, words] : {std::pair("en", en), {"ja", ja}, {"easy", easy}}) {
      const auto text = page(lang);
      EXPECT_NE(text.find(words), std::string::npos) << lang << word;
      const auto fold = text.find("<details><summary>", text.find("aria-label=\"" + messages.get(*parse_lang(lang), "portal.flaw.title").substr(0, 6)));
      EXPECT_GT(text.find("CVE-"), fold) << "the ids stand behind the fold only";
      EXPECT_EQ(text.find("portal."), std::string::npos);
    }
  }
  EXPECT_EQ(page("en").find("ended support"), std::string::npos);
  script.finding.support_ended = true;
  fake_center->set(script);
  EXPECT_NE(page("en").find("The maker has ended support"), std::string::npos);
  script.finding.support_end = "2024-03-31";
  fake_center->set(script);
  EXPECT_NE(page("en").find("ended support for this product on 2024-03-31"), std::string::npos);
  script.state = "S7_FIXED";
  script.finding.state = "fixed";
  fake_center->set(script);
  EXPECT_EQ(page("en").find("Attackers are using"), std::string::npos) << "the page of what is fixed frightens nobody";
}

TEST_F(PortalTest, hostile_words_from_a_device_do_nothing) {
  script.finding.product = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>";
  script.finding.vendor = "'\"--></title><svg onload=alert(2)>";
  script.finding.type = "javascript:alert(3)";
  script.finding.rule = "../../etc/passwd";
  fake_center->set(script);
  for (const auto* path : {"/ja/k/", "/easy/k/", "/en/k/"}) {
    const auto page = from().get(path + code).body;
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find("<img"), std::string::npos);
    EXPECT_EQ(page.find("<svg onload"), std::string::npos);
    EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
  }
}

TEST_F(PortalTest, wrong_unknown_and_mistyped_codes_answer_the_same_in_bytes_and_time) {
  const auto unknown = TestCenter::make_codes(6, 777)[5];
  std::vector<std::string> bodies;
  std::vector<long> times;
  for (const auto& typed : {unknown, std::string("7KQ4-M2XD-9RTX"), std::string("xx"), std::string("AAAA-AAAA-AAAA")}) {
    long least = 1'000'000;  // the smaller of two: a busy machine adds time, never takes it away
    for (int i = 0; i < 2; ++i) {
      const auto begin = steady_clock::now();
      const auto a = from().get("/ja/k/" + typed);
      least = std::min<long>(least, std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count());
      EXPECT_EQ(a.status, 404);
      bodies.push_back(without_nonces(a.body));
    }
    times.push_back(least);
  }
  for (const auto& b : bodies) EXPECT_EQ(b, bodies[0]);
  for (const auto t : times) EXPECT_GE(t, 249);
  EXPECT_LT(*std::max_element(times.begin(), times.end()) - *std::min_element(times.begin(), times.end()), 120);
}

TEST_F(PortalTest, codes_are_read_as_people_type_them_and_lead_to_the_notice) {
  const auto client = from();
  std::string typed;
  for (char c : code)
    if (c != '-') typed += c == '0' ? 'o' : c == '1' ? 'l' : static_cast<char>(std::tolower(c));
  Fields f;
  f.add("csrf", TestClient::csrf(client.get("/easy/").body));
  f.add("code", " " + typed + " ");
  const auto a = client.post("/easy/code", f);
  EXPECT_EQ(a.status, 303);
  EXPECT_EQ(a.headers.at("location"), "/easy/k/" + code);
  EXPECT_EQ(client.get("/k/" + code).headers.at("location"), "/ja/k/" + code);
  EXPECT_EQ(client.get("/k/" + code, "Accept-Language: en-US,en\r\n").headers.at("location"), "/en/k/" + code);
}

TEST_F(PortalTest, ten_failures_a_minute_then_even_a_right_code_must_wait) {
  const auto guesser = from("127.0.0.66");
  for (int i = 0; i < code_failures_per_minute; ++i) EXPECT_EQ(guesser.get("/ja/k/AAAA-AAAA-AAA" + std::to_string(i)).status, 404);
  const auto notices = fake_center->seen().notices;
  EXPECT_EQ(guesser.get("/ja/k/" + code).status, 429);
  EXPECT_EQ(fake_center->seen().notices, notices);  // not even asked
  for (int i = 0; i < 20; ++i) EXPECT_EQ(from("127.0.0.67").get("/ja/k/" + code).status, 200);  // right codes do not count
}

TEST_F(PortalTest, the_check_goes_to_the_peer_and_only_to_the_peer) {
  const auto client = from("127.0.0.77");
  auto fields = check_fields(client);
  fields.add("ip", "198.51.100.9");
  fields.add("target", "198.51.100.9");
  fields.add("address", "198.51.100.9");
  const auto a = client.post("/en/check?ip=198.51.100.9", fields,
                             "X-Forwarded-For: 198.51.100.9\r\nForwarded: for=198.51.100.9\r\nX-Real-IP: 198.51.100.9\r\nX-Forwarded-For: ::ffff:198.51.100.9\r\n"
                             "X-Client-IP: 0177.1\r\nTrue-Client-IP: 198.51.100.9.\r\nCF-Connecting-IP: 198.51.100.9\r\n",
                             10'000);
  ASSERT_EQ(a.status, 200);
  EXPECT_EQ(fake_center->seen().checked, std::vector<std::string>{"127.0.0.77"});
  EXPECT_EQ(fake_center->seen().consents, std::vector<std::string>{"consent-2026-1"});
  EXPECT_EQ(a.body.find("198.51.100.9"), std::string::npos);
}

TEST_F(PortalTest, no_consent_or_foreign_form_means_no_check) {
  const auto client = from();
  EXPECT_EQ(client.post("/ja/check", check_fields(client, false)).status, 400);
  Fields forged;
  forged.add("consent", "yes");
  forged.add("csrf", TestClient::csrf(from("127.0.0.5").get("/ja/").body));  // a token that another visitor got
  EXPECT_EQ(client.post("/ja/check", forged).status, 403);
  EXPECT_EQ(client.post("/ja/check", check_fields(client), "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(client.post("/ja/check", check_fields(client), "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_TRUE(fake_center->seen().checked.empty());
  EXPECT_EQ(audit->state().size, 0u);
}

TEST_F(PortalTest, red_then_unplugged_then_green_with_a_leaf_before_each) {
  const auto client = from("127.0.0.78");
  const auto red = client.post("/en/check", check_fields(client), {}, 10'000).body;
  EXPECT_NE(red.find("data-verdict=\"red\""), std::string::npos);
  EXPECT_NE(red.find("Your IoT is in a dangerous state"), std::string::npos);
  EXPECT_NE(red.find("What we did not check"), std::string::npos);
  EXPECT_TRUE(red.ends_with("</html>\n"));
  Fields tell;
  tell.add("csrf", TestClient::csrf(client.get("/en/k/" + code).body));
  tell.add("what", "unplugged");
  EXPECT_EQ(client.post("/en/k/" + code + "/tell", tell).status, 200);
  EXPECT_EQ(fake_center->seen().told, std::vector<std::string>{code + " unplugged"});
  const auto green = client.post("/en/check", check_fields(client), {}, 10'000).body;
  EXPECT_NE(green.find("data-verdict=\"green\""), std::string::npos);
  EXPECT_NE(green.find("It is fixed"), std::string::npos);
  const auto all = leaves();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].kind, "check_consent");
  EXPECT_EQ(all[1].kind, "owner_told");
  for (const auto& leaf : all) {  // no code, no address in the log
    EXPECT_EQ(json::text(leaf.data).find(code), std::string::npos);
    EXPECT_EQ(json::text(leaf.data).find("127.0.0.78"), std::string::npos);
  }
}

TEST_F(PortalTest, lines_arrive_as_they_finish) {
  script.line_gap_ms = 250;
  fake_center->set(script);
  const auto client = from();
  const auto body = http::encode_form(check_fields(client));
  const auto fd = client.connect();
  const auto begin = steady_clock::now();
  ASSERT_TRUE(write_all(fd.get(), as_bytes("POST /en/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
                                           std::to_string(body.size()) + "\r\n\r\n" + body)));
  const std::vector<std::string> marks{"checking …", "Line confirmed", "Port 554", "Port 80", "Other doors checked", "data-verdict=\"red\""};
  std::string raw;
  std::vector<long> at_ms;
  while (at_ms.size() < marks.size()) {
    char buffer[8192];
    const auto n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0);
    raw.append(buffer, static_cast<std::size_t>(n));
    while (at_ms.size() < marks.size() && raw.find(marks[at_ms.size()]) != std::string::npos)
      at_ms.push_back(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count());
  }
  EXPECT_LT(at_ms[1], 2000);                     // the promise for the first line
  EXPECT_GE(at_ms[2] - at_ms[1], 200);
  EXPECT_GE(at_ms[3] - at_ms[2], 200);
  EXPECT_GE(at_ms.back() - at_ms.front(), 1000);
}

TEST_F(PortalTest, a_center_that_misbehaves_gives_an_honest_answer) {
  const auto client = from();
  for (const auto* how : {"hang_up", "nonsense"}) {
    script.break_after = how;
    fake_center->set(script);
    const auto a = client.post("/en/check", check_fields(client), {}, 10'000);
    EXPECT_NE(a.body.find("data-verdict=\"unknown\""), std::string::npos) << how << ": …" << a.body.substr(a.body.size() - std::min<std::size_t>(a.body.size(), 1500));
    EXPECT_NE(a.body.find("does not mean that the line is safe"), std::string::npos);
    EXPECT_EQ(a.body.find("<script"), std::string::npos);
    EXPECT_TRUE(a.body.ends_with("</html>\n"));
  }
  script.break_after = "";
  for (const auto* verdict : {"not_ours", "busy"}) {
    script.refuse = verdict;
    fake_center->set(script);
    EXPECT_NE(client.post("/en/check", check_fields(client), {}, 10'000).body.find("data-verdict=\"" + std::string(verdict) + "\""), std::string::npos);
  }
  script.refuse = "unknown";
  script.refuse_what = "shared_address";
  fake_center->set(script);
  EXPECT_NE(client.post("/en/check", check_fields(client), {}, 10'000).body.find("shared with other customers"), std::string::npos);
  const auto fields = check_fields(client, true, false);
  fake_center.reset();
  EXPECT_EQ(client.get("/en/k/" + code).status, 503);
  EXPECT_NE(client.post("/en/check", fields, {}, 10'000).body.find("data-verdict=\"unknown\""), std::string::npos);
}

TEST_F(PortalTest, one_check_at_a_time_per_line) {
  script.line_gap_ms = 300;
  fake_center->set(script);
  const auto client = from("127.0.0.79");
  const auto fields = check_fields(client);
  std::thread first([&] { client.post("/en/check", fields, {}, 10'000); });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(client.post("/en/check", fields).status, 429);
  first.join();
  EXPECT_EQ(fake_center->seen().checked.size(), 1u);
  EXPECT_EQ(client.post("/en/check", fields, {}, 10'000).status, 200);
}

TEST_F(PortalTest, reloads_and_odd_addresses_find_a_way) {
  const auto client = from();
  for (const auto* path : {"/ja/code", "/ja/check", "/ja"}) EXPECT_EQ(client.get(path).status, 303) << path;
  EXPECT_EQ(client.get("/ja/k/" + code + "/tell").headers.at("location"), "/ja/k/" + code);
  EXPECT_EQ(client.get("/fr/").status, 404);
  EXPECT_EQ(client.get("/").headers.at("location"), "/ja/");
  EXPECT_EQ(client.get("/", "Accept-Language: en\r\n").headers.at("location"), "/en/");
  const auto css = client.get(files.href("nora.css"));
  EXPECT_EQ(css.status, 200);
  EXPECT_NE(css.headers.at("cache-control").find("immutable"), std::string::npos);
}

}  // namespace
}  // namespace nora::portal
