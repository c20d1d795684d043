// The staff's pages without a socket: routing, roles, the second person, escaping, leaves before disclosure.
#include "isp/pages/site.h"

#include <algorithm>
#include <regex>

#include "isp/test_party.h"

namespace nora::isp {
namespace {

using testing::TestParty;

class Nas : public CoaActor {
 public:
  Result<CoaReply> change(std::string_view, const Secret&, const CoaRequest& r) override { asked.push_back(r.filter); return CoaReply{CoaAnswer::ack, 0}; }
  std::vector<std::string> asked;
};

class Pages {
 public:
  Pages() {
    auto hostile = TestParty::item("r1", "203.0.113.10");
    hostile.product = "<script>alert(1)</script>\"'";
    EXPECT_TRUE(world.list({hostile, TestParty::item("r2", "203.0.113.11"), TestParty::item("r9", "203.0.113.99")}));
    EXPECT_TRUE(match_rows(*world.party));
    world.party.reset();
    party.with([&](auto& p) { p = std::make_unique<Party>(*open_party(world.dir.path() / "p", world.env.env())); });
    site.add_routes(router);
    sessions.add_routes(router, "/static/nora.css", "/ja/worklist");
  }
  // Logs in as a user and returns the cookie.
  std::string login(std::string_view user) {
    auto link = http::make_login_link(users, user, world.env.env());
    EXPECT_TRUE(link);
    http::Request r = request(http::Method::post, "/login");
    r.form.add("token", link->substr(link->rfind('/') + 1));
    r.form.add("csrf", csrf.token(r));
    auto response = router(r);
    EXPECT_EQ(response.status, 303);
    for (const auto& [name, value] : response.headers)
      if (name == "Set-Cookie") return value.substr(0, value.find(';'));
    ADD_FAILURE() << "no cookie";
    return {};
  }
  static http::Request request(http::Method method, std::string path) {
    http::Request r;
    r.method = method;
    auto mark = path.find('?');
    r.path = path.substr(0, mark);
    if (mark != path.npos) r.query = *http::parse_form(std::string_view(path).substr(mark + 1));
    r.peer = *Ip::parse("127.0.0.1");
    return r;
  }
  http::Response get(std::string_view cookie, std::string path) {
    auto r = request(http::Method::get, std::move(path));
    r.headers.emplace_back("cookie", cookie);
    return router(r);
  }
  http::Response post(std::string_view cookie, std::string path, std::vector<std::pair<std::string, std::string>> fields = {}, bool with_token = true) {
    auto r = request(http::Method::post, std::move(path));
    r.headers.emplace_back("cookie", cookie);
    for (auto& [n, v] : fields) r.form.add(n, v);
    if (with_token) r.form.add("csrf", csrf.token(r));
    return router(r);
  }
  std::vector<std::string> leaves() {
    std::vector<std::string> kinds;
    auto entries = law::audit_read(world.dir.path() / "p/audit", 0, 1000);
    if (!entries) entries = law::audit_read(world.dir.path() / "p/audit", 0, party.with([](auto& p) { return p->audit->state().size; }));
    if (entries)
      for (const auto& e : *entries) kinds.push_back(e.kind);
    return kinds;
  }
  TestParty world;
  Guarded<std::unique_ptr<Party>> party{nullptr};
  IspUsers users{"sqlite:" + (world.dir.path() / "p/isp.db").string()};
  http::Csrf csrf{Secret(Bytes(32, 7)), world.env.env()};
  http::Sessions sessions{users, csrf, world.env.env(), false};
  http::StaticFiles files = *http::StaticFiles::load(std::filesystem::path(NORA_SOURCE_DIR) / "web");
  Nas nas;
  Site site{{world.env.env(), party, world.messages, files, sessions, csrf, nas}};
  http::Router router;
};

TEST(IspPages, NothingWithoutLogin) {
  Pages p;
  for (auto path : {"/ja/worklist", "/en/row/r1", "/ja/isolation", "/ja/grounds"}) EXPECT_EQ(p.get("", path).status, 401) << path;
  for (auto path : {"/ja/match", "/ja/send", "/ja/row/r1/isolate", "/ja/isolation/1/approve"}) EXPECT_EQ(p.post("", path).status, 401) << path;
  EXPECT_EQ(std::ranges::count(p.leaves(), "list_view"), 0);
}

TEST(IspPages, WorklistShowsRowsEscapedAfterItsLeaf) {
  Pages p;
  auto cookie = p.login("ops1");
  for (auto lang : {"ja", "en"}) {
    auto r = p.get(cookie, fmt::format("/{}/worklist", lang));
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(r.body.find("<script"), std::string::npos);
    EXPECT_NE(r.body.find("&lt;script&gt;"), std::string::npos);
    EXPECT_NE(r.body.find("203.0.113.11:80"), std::string::npos);
    EXPECT_NE(r.body.find("L-2"), std::string::npos);
    EXPECT_EQ(r.body.find("isp."), std::string::npos) << r.body.substr(r.body.find("isp."), 60);  // every word is in the catalogue
    EXPECT_EQ(r.body.find("mail.example"), std::string::npos);
  }
  EXPECT_EQ(std::ranges::count(p.leaves(), "list_view"), 2);
  EXPECT_NE(p.get(cookie, "/en/worklist?tab=unclear").body.find("203.0.113.99"), std::string::npos);
  EXPECT_EQ(p.get(cookie, "/en/worklist?tab=unclear").body.find("203.0.113.10:80"), std::string::npos);
  EXPECT_EQ(p.get(cookie, "/en/worklist?q=L-2").body.find("203.0.113.10:80"), std::string::npos);
}

TEST(IspPages, RowShowsEvidenceAndDraft) {
  Pages p;
  auto cookie = p.login("ops1");
  auto r = p.get(cookie, "/en/row/r2");
  EXPECT_EQ(r.status, 200);
  for (auto text : {"bob@mail.example", "7KQ4-M2XD-9RTC", "contract-terms", "log", "unique", "Walled garden", "2000.0 s"}) EXPECT_NE(r.body.find(text), std::string::npos) << text;
  EXPECT_EQ(r.body.find("isp."), std::string::npos) << r.body.substr(r.body.find("isp."), 60);
  EXPECT_EQ(std::ranges::count(p.leaves(), "row_view"), 1);
  EXPECT_EQ(p.get(cookie, "/en/row/none").status, 404);
  // Without the role there is no draft, so no mail address.
  EXPECT_EQ(p.get(p.login("ops2"), "/en/row/r2").body.find("bob@mail.example"), std::string::npos);
}

TEST(IspPages, SecondPersonApprovesOnThePage) {
  Pages p;
  auto ops1 = p.login("ops1"), ops2 = p.login("ops2"), both = p.login("both");
  EXPECT_EQ(p.post(ops2, "/ja/row/r1/isolate", {{"scope", "block-in"}, {"reason", "x"}, {"hours", "24"}}).status, 403);  // no operator
  EXPECT_EQ(p.post(ops1, "/ja/row/r1/isolate", {{"scope", "block-in"}, {"reason", "x"}, {"hours", "24"}}, false).status, 403);  // no token
  EXPECT_EQ(p.post(both, "/ja/row/r1/isolate", {{"scope", "block-in"}, {"reason", "attacks"}, {"hours", "24"}}).status, 303);
  EXPECT_EQ(p.post(both, "/ja/isolation/1/approve").status, 403);  // own request
  EXPECT_EQ(p.post(ops1, "/ja/isolation/1/approve").status, 403);  // no approver
  EXPECT_TRUE(p.nas.asked.empty());
  EXPECT_EQ(p.post(ops2, "/ja/isolation/1/approve").status, 303);
  EXPECT_EQ(p.nas.asked, (std::vector<std::string>{"block-in:80"}));
  auto page = p.get(ops1, "/en/isolation").body;
  EXPECT_NE(page.find("both"), std::string::npos);
  EXPECT_EQ(page.find("isp."), std::string::npos) << page.substr(page.find("isp."), 60);
  EXPECT_EQ(p.post(ops1, "/ja/isolation/1/release", {{"reason", "fixed"}}).status, 303);
  EXPECT_EQ(p.nas.asked.back(), "open");
}

TEST(IspPages, LinkWorksOnce) {
  Pages p;
  auto link = http::make_login_link(p.users, "ops1", p.world.env.env());
  ASSERT_TRUE(link);
  auto use = [&] {
    auto r = Pages::request(http::Method::post, "/login");
    r.form.add("token", link->substr(link->rfind('/') + 1));
    r.form.add("csrf", p.csrf.token(r));
    return p.router(r).status;
  };
  EXPECT_EQ(use(), 303);
  EXPECT_EQ(use(), 403);
}

}  // namespace
}  // namespace nora::isp
