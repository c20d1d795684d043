#include "base/json.h"

#include <gtest/gtest.h>

namespace nora::json {
namespace {

TEST(Json, FieldsNameWhatIsWrong) {
  const auto o = parse_object(R"({"a":1,"s":"x","t":"2026-11-25T00:00:00Z","ip":"203.0.113.7","b":true,"bad":"2026"})");
  ASSERT_TRUE(o.has_value());
  EXPECT_EQ(*get_int(*o, "a"), 1);
  EXPECT_EQ(get_instant(*o, "t")->date(), "2026-11-25");
  EXPECT_EQ(get_ip(*o, "ip")->text(), "203.0.113.7");
  EXPECT_TRUE(*get_bool(*o, "b"));
  EXPECT_NE(get_string(*o, "a").error().what.find("\"a\" is not a string"), std::string::npos);
  EXPECT_NE(get_string(*o, "none").error().what.find("missing"), std::string::npos);
  EXPECT_FALSE(get_instant(*o, "bad").has_value());
  EXPECT_EQ(string_or(*o, "none", "d"), "d");
}

TEST(Json, RefusesBrokenAndDeep) {
  EXPECT_FALSE(parse("{").has_value());
  EXPECT_FALSE(parse_object("[]").has_value());
  EXPECT_FALSE(parse(std::string(100, '[') + std::string(100, ']')).has_value());
}

}  // namespace
}  // namespace nora::json
