#include "base/text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora {
namespace {

TEST(Text, SplitKeepsEmptyPieces) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
  EXPECT_EQ(split("a,", ','), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(split_names("a,,b,"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(split_names("").empty());
}

RC_GTEST_PROP(TextProperty, JoiningThePiecesGivesTheTextBack, (const std::string& text)) {
  const auto pieces = split(text, 'a');
  std::string joined(pieces[0]);
  for (std::size_t i = 1; i < pieces.size(); ++i) (joined += 'a') += pieces[i];
  RC_ASSERT(joined == text);
}

TEST(Text, ShortenedKeepsWholeCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc…");
  EXPECT_EQ(shortened("ルータ", 4), "ル…");
  EXPECT_EQ(shortened("ルータ", 2), "…");
}

TEST(Text, HexDigits) {
  EXPECT_EQ(hex_digit('0'), 0);
  EXPECT_EQ(hex_digit('f'), 15);
  EXPECT_EQ(hex_digit('A'), 10);
  for (char c : {'g', 'G', ' ', '/', ':', '@', '`'}) EXPECT_EQ(hex_digit(c), -1) << c;
}

}  // namespace
}  // namespace nora
