#include "http/router.h"

#include <gtest/gtest.h>

namespace nora::http {
namespace {

Request request(Method method, std::string path) {
  Request r;
  r.method = method;
  r.path = std::move(path);
  return r;
}

struct Fixture : testing::Test {
  Router router;
  Fixture() {
    router.get("/", [](Request&) { return Response::text("front"); });
    router.get("/{lang}/k/{code}", [](Request& r) { return Response::text("code " + std::string(r.param("code")) + " in " + std::string(r.param("lang"))); });
    router.get("/ja/k/help", [](Request&) { return Response::text("help"); });
    router.post("/{lang}/check", [](Request&) { return Response::text("checked"); });
    router.get("/api/{rest*}", [](Request& r) { return Response::text("api " + std::string(r.param("rest"))); });
  }
  Response ask(Method method, std::string path) {
    auto r = request(method, std::move(path));
    return router(r);
  }
};

TEST_F(Fixture, places_literals_and_tails) {
  EXPECT_EQ(ask(Method::get, "/").body, "front");
  EXPECT_EQ(ask(Method::get, "/en/k/AB").body, "code AB in en");
  EXPECT_EQ(ask(Method::get, "/ja/k/help").body, "help");
  EXPECT_EQ(ask(Method::get, "/api/a/b").body, "api a/b");
  EXPECT_EQ(ask(Method::head, "/").body, "front");
}

TEST_F(Fixture, wrong_path_and_wrong_method) {
  EXPECT_EQ(ask(Method::get, "/nothing").status, 404);
  EXPECT_EQ(ask(Method::get, "/ja/k/").status, 404);
  EXPECT_EQ(ask(Method::get, "/ja/k/a/b").status, 404);
  const auto r = ask(Method::get, "/ja/check");
  EXPECT_EQ(r.status, 405);
  ASSERT_FALSE(r.headers.empty());
  EXPECT_EQ(r.headers[0].second, "POST");
}

TEST(Response, redirects_stay_on_the_site) {
  for (const auto* bad : {"//evil.example", "https://evil.example", "/\\evil.example", "", "x"})
    EXPECT_EQ(Response::see_other(bad).headers[0].second, "/") << bad;
  EXPECT_EQ(Response::see_other("/ja/").headers[0].second, "/ja/");
}

}  // namespace
}  // namespace nora::http
