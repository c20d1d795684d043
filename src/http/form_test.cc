#include "http/form.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nora::http {
namespace {

TEST(Form, reads_names_and_values_in_order) {
  const auto f = parse_form("a=1&b=%E3%82%AB+x&a=2&empty=&flag");
  ASSERT_TRUE(f);
  EXPECT_EQ(f->get("a"), "1");
  EXPECT_EQ(f->get("b"), "カ x");
  EXPECT_EQ(f->all("a"), (std::vector<std::string>{"1", "2"}));
  EXPECT_TRUE(f->has("flag"));
  EXPECT_EQ(f->get("missing"), "");
}

TEST(Form, refuses_what_no_browser_sends) {
  for (const auto* bad : {"a=%", "a=%4", "a=%zz", "a=%00", "a=%ff", "a=%c0%80", "a=%ed%a0%80"}) EXPECT_FALSE(parse_form(bad)) << bad;
  std::string many;
  for (int i = 0; i < 201; ++i) many += "a=1&";
  EXPECT_FALSE(parse_form(many));
  EXPECT_FALSE(parse_form("a=" + std::string(max_field_bytes + 1, 'x')));
}

TEST(Form, any_text_survives_encode_and_parse) {
  rc::check([] {
    Fields in;
    const auto count = *rc::gen::inRange(0, 6);
    for (int i = 0; i < count; ++i) {
      auto name = *rc::gen::string<std::string>();
      auto value = *rc::gen::string<std::string>();
      for (auto* s : {&name, &value})
        for (char& c : *s) c = static_cast<char>(1 + static_cast<unsigned char>(c) % 127);  // ASCII without NUL
      in.add("n" + name, value);
    }
    const auto out = parse_form(encode_form(in));
    RC_ASSERT(out.has_value());
    RC_ASSERT(*out == in);
  });
}

TEST(Path, decodes_and_refuses_tricks) {
  EXPECT_EQ(*parse_path("/ja/k/7KQ4"), "/ja/k/7KQ4");
  EXPECT_EQ(*parse_path("/%E3%82%AB"), "/カ");
  for (const auto* bad : {"", "x", "/a/../b", "/..", "/%2e%2e/x", "/a%2fb", "/a%5Cb", "/a\\b", "/%00", "/a%0d%0ab", "/%ff", "/./a"}) EXPECT_FALSE(parse_path(bad)) << bad;
}

TEST(Cookie, finds_the_exact_name) {
  EXPECT_EQ(cookie_value("a=1; nora=xyz; nora2=no", "nora"), "xyz");
  EXPECT_EQ(cookie_value("xnora=1", "nora"), "");
  EXPECT_EQ(cookie_value("nora", "nora"), "");
}

}  // namespace
}  // namespace nora::http
