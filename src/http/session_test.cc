#include "http/session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "http/static_files.h"

namespace nora::http {
namespace {

class MemoryUsers : public UserStore {
 public:
  std::map<std::string, User, std::less<>> users{{"ops1", {"ops1", "Operator 1", {"operator"}}}};
  std::map<Hash, std::pair<std::string, Instant>> links;
  std::map<Hash, SessionRow> rows;
  Result<User> user(std::string_view id) override {
    const auto it = users.find(id);
    if (it == users.end()) return fail(Code::not_found, "no such user");
    return it->second;
  }
  Status put_link(std::string_view user, const Hash& hash, Instant end) override { links[hash] = {std::string(user), end}; return {}; }
  Result<std::string> take_link(const Hash& hash, Instant now) override {
    const auto it = links.find(hash);
    if (it == links.end() || it->second.second <= now) return fail(Code::not_found, "no such link");
    auto who = it->second.first;
    links.erase(it);
    return who;
  }
  Status put_session(const SessionRow& row) override { rows[row.token_hash] = row; return {}; }
  Result<SessionRow> session(const Hash& hash) override {
    const auto it = rows.find(hash);
    if (it == rows.end()) return fail(Code::not_found, "no such session");
    return it->second;
  }
  Status drop_session(const Hash& hash) override { rows.erase(hash); return {}; }
};

struct SessionTest : testing::Test {
  FakeEnv fake;
  MemoryUsers users;
  Csrf csrf{Secret(Bytes(32, 7)), fake.env()};
  Sessions sessions{users, csrf, fake.env(), false};
  Router router;
  SessionTest() {
    sessions.add_routes(router, "/static/nora.css", "/desk");
    router.get("/desk", sessions.require("operator,approver", [](Request&, const User& u) { return Response::text("hello " + u.name); }));
    router.post("/act", sessions.require("operator", [](Request&, const User&) { return Response::text("done"); }));
    router.get("/audit", sessions.require("auditor", [](Request&, const User&) { return Response::text("audit"); }));
  }
  Request request(Method method, std::string path, std::string peer = "127.0.0.1") {
    Request r;
    r.method = method;
    r.path = std::move(path);
    r.peer = *Ip::parse(peer);
    r.headers = {{"host", "desk.example"}};
    if (!cookie.empty()) r.headers.emplace_back("cookie", cookie);
    return r;
  }
  Response login(const std::string& link) {
    auto post = request(Method::post, "/login");
    post.form.add("token", link.substr(7));
    post.form.add("csrf", csrf.token(post));
    auto answer = router(post);
    for (const auto& [name, value] : answer.headers)
      if (name == "Set-Cookie") cookie = value.substr(0, value.find(';'));
    return answer;
  }
  std::string cookie;
};

TEST_F(SessionTest, link_works_once_and_gives_roles) {
  auto nobody = request(Method::get, "/desk");
  EXPECT_EQ(router(nobody).status, 401);
  const auto link = make_login_link(users, "ops1", fake.env());
  ASSERT_TRUE(link);
  auto look = request(Method::get, *link);
  EXPECT_EQ(router(look).status, 200);  // a preview does not use it up
  EXPECT_EQ(login(*link).status, 303);
  auto desk = request(Method::get, "/desk");
  EXPECT_EQ(router(desk).body, "hello Operator 1");
  auto audit = request(Method::get, "/audit");
  EXPECT_EQ(router(audit).status, 403);
  cookie.clear();
  EXPECT_EQ(login(*link).status, 403);
  EXPECT_FALSE(make_login_link(users, "nobody", fake.env()));
}

TEST_F(SessionTest, cookie_is_closed_to_scripts_and_other_sites) {
  const auto answer = login(*make_login_link(users, "ops1", fake.env()));
  std::string set;
  for (const auto& [name, value] : answer.headers)
    if (name == "Set-Cookie") set = value;
  for (const auto* part : {"HttpOnly", "SameSite=Strict", "Path=/"}) EXPECT_NE(set.find(part), std::string::npos) << part;
  Sessions secure(users, csrf, fake.env(), true);
  Router other;
  secure.add_routes(other, "/static/nora.css");
  cookie.clear();
  auto post = request(Method::post, "/login");
  post.form.add("token", make_login_link(users, "ops1", fake.env())->substr(7));
  post.form.add("csrf", csrf.token(post));
  const auto second = other(post);
  ASSERT_EQ(second.status, 303);
  EXPECT_TRUE(second.headers[1].second.starts_with("__Host-nora="));
  EXPECT_NE(second.headers[1].second.find("; Secure"), std::string::npos);
}

TEST_F(SessionTest, links_and_sessions_end) {
  const auto late = *make_login_link(users, "ops1", fake.env());
  fake.clock.sleep(login_link_life);
  EXPECT_EQ(login(late).status, 403);
  ASSERT_EQ(login(*make_login_link(users, "ops1", fake.env())).status, 303);
  fake.clock.sleep(session_life);
  auto desk = request(Method::get, "/desk");
  EXPECT_EQ(router(desk).status, 401);
}

TEST_F(SessionTest, posts_need_the_token_of_this_page) {
  ASSERT_EQ(login(*make_login_link(users, "ops1", fake.env())).status, 303);
  auto without = request(Method::post, "/act");
  EXPECT_EQ(router(without).status, 403);
  auto good = request(Method::post, "/act");
  good.form.add("csrf", csrf.token(good));
  EXPECT_EQ(router(good).body, "done");
  auto cross = good;
  cross.headers.emplace_back("origin", "https://evil.example");
  EXPECT_EQ(router(cross).status, 403);
  auto fetch = good;
  fetch.headers.emplace_back("sec-fetch-site", "cross-site");
  EXPECT_EQ(router(fetch).status, 403);
  auto own = good;
  own.headers.emplace_back("origin", "http://desk.example");
  EXPECT_EQ(router(own).body, "done");
}

TEST_F(SessionTest, csrf_is_bound_to_peer_time_and_session) {
  auto here = request(Method::post, "/x");
  const auto token = csrf.token(here);
  EXPECT_NE(token, csrf.token(here));  // differs in each page
  here.form.add("csrf", token);
  EXPECT_TRUE(csrf.ok(here));
  auto there = request(Method::post, "/x", "203.0.113.9");
  there.form.add("csrf", token);
  EXPECT_FALSE(csrf.ok(there));
  auto other_session = here;
  other_session.headers.emplace_back("cookie", "nora=abc");
  EXPECT_FALSE(csrf.ok(other_session));
  auto bent = here;
  bent.form = {};
  bent.form.add("csrf", (token[0] == 'A' ? "B" : "A") + token.substr(1));
  EXPECT_FALSE(csrf.ok(bent));
  fake.clock.sleep(csrf_life + Span::seconds(1));
  EXPECT_FALSE(csrf.ok(here));
}

TEST(KeyFile, made_once_and_refused_when_open) {
  const std::filesystem::path file = testing::TempDir() + "nora_http_key_test";
  std::filesystem::remove(file);
  FakeEnv fake;
  const auto first = load_or_make_key(file, fake.random);
  ASSERT_TRUE(first);
  const auto second = load_or_make_key(file, fake.random);
  ASSERT_TRUE(second);
  EXPECT_EQ(to_hex(first->reveal()), to_hex(second->reveal()));
  ::chmod(file.c_str(), 0644);
  EXPECT_FALSE(load_or_make_key(file, fake.random));
  std::filesystem::remove(file);
}

TEST(StaticFiles, etag_and_versioned_address) {
  const auto files = StaticFiles::load(NORA_SOURCE_DIR "/web");
  ASSERT_TRUE(files);
  Router router;
  files->add_routes(router);
  Request r;
  r.path = "/static/nora.css";
  const auto plain = router(r);
  ASSERT_EQ(plain.status, 200);
  EXPECT_EQ(plain.content_type, "text/css; charset=utf-8");
  r.headers.emplace_back("if-none-match", plain.headers[0].second);
  EXPECT_EQ(router(r).status, 304);
  Request missing;
  missing.path = "/static/passwd";
  EXPECT_EQ(router(missing).status, 404);
  EXPECT_TRUE(files->href("nora.css").starts_with("/static/nora.css?v="));
}

}  // namespace
}  // namespace nora::http
