#include "isp/test_world.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::brief;
using testing::Detail;
using testing::World;

TEST(Match, QuestionOfTheContract) {
  auto q = parse_question(R"({"ip":"203.0.113.10","port":80,"proto":"udp","at":"2026-11-23T12:00:00.5Z","at_error_ms":250})");
  ASSERT_TRUE(q);
  EXPECT_EQ(q->where.port.value, 80);
  EXPECT_EQ(q->where.proto, Proto::udp);
  EXPECT_EQ(q->at_error, Span::ms(250));
  q = parse_question(R"({"ip":"203.0.113.10","at":"2026-11-23T12:00:00Z"})");
  ASSERT_TRUE(q);
  EXPECT_FALSE(q->has_port);
  for (auto bad : {R"({"ip":"203.0.113.10"})", R"({"at":"2026-11-23T12:00:00Z"})", R"({"ip":"203.0.113.10","at":"2026-11-23T12:00:00"})",
                   R"({"ip":"203.0.113.10","at":"2026-11-23T12:00:00Z","port":70000})", R"({"ip":"x","at":"2026-11-23T12:00:00Z"})", "", "[]"})
    EXPECT_FALSE(parse_question(bad)) << bad;
}

TEST(Match, AnswerCarriesReproducibleEvidence) {
  World w({Detail{}.text()});
  auto a = w.ask("203.0.113.10", at(100));
  ASSERT_TRUE(a.unique);
  auto o = to_json(a);
  EXPECT_EQ(o.at("status").as_string(), "unique");
  EXPECT_EQ(o.at("line").as_string(), "alice@hikari.example");
  EXPECT_EQ(o.at("margin_s").as_int64(), 100);
  auto record = std::string(o.at("record").as_string());
  auto text = *read_file(w.dir.path() / "log1");
  EXPECT_EQ(record, fmt::format("{}:0:{}", (w.dir.path() / "log1").string(), to_hex(sha256(as_bytes(std::string_view(text).substr(0, text.size() - 1))))));
}

TEST(Match, OnlyUniqueNamesALine) {
  World w({Detail{}.text()});
  auto o = to_json(w.ask("203.0.113.10", at(1)));
  EXPECT_TRUE(o.at("line").is_null());
  EXPECT_EQ(o.at("status").as_string(), "near_boundary");
  EXPECT_TRUE(to_json(w.ask("203.0.113.44", at(1))).at("line").is_null());
}

TEST(Match, TwoLogKeysOfOneLineAreOneLine) {
  World w({Detail{}.text(), Detail{.session = "B", .user = "alice2@hikari.example"}.text(), "line,keys\nL-7,alice@hikari.example alice2@hikari.example\n"});
  EXPECT_EQ(brief(w.ask("203.0.113.10", at(100))), "unique L-7");
}

}  // namespace
}  // namespace nora::isp
