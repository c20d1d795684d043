#include "identify/pattern.h"

#include <gtest/gtest.h>

namespace nora::identify {
namespace {

bool hits(std::string_view ruby, std::string_view subject, std::string_view flags = "", Pattern::Mode mode = Pattern::Mode::bytes) {
  const auto pattern = Pattern::compile(ruby, flags);
  EXPECT_TRUE(pattern) << ruby << ": " << (pattern ? "" : pattern.error().what);
  Scratch scratch;
  std::vector<Slice> slices;
  return pattern && pattern->match(subject, mode, scratch, slices) == Pattern::Outcome::match;
}

TEST(Pattern, AnchorsAreLineAnchors) {
  EXPECT_TRUE(hits("^b$", "a\nb\nc"));
  EXPECT_FALSE(hits("\\Ab", "a\nb"));
  EXPECT_FALSE(hits("^b$", "a\r\nb\r\n")) << "only \\n ends a line in Ruby";
}

TEST(Pattern, DotAndFlags) {
  EXPECT_FALSE(hits("a.b", "a\nb"));
  for (const auto* flag : {"REG_DOT_NEWLINE", "REG_MULTILINE", "REG_LINE_ANY_CRLF"}) EXPECT_TRUE(hits("a.b", "a\nb", flag)) << flag;
  EXPECT_TRUE(hits("abc", "ABC", "REG_ICASE"));
  EXPECT_TRUE(hits("abc", "ABC", "IGNORECASE"));
  EXPECT_TRUE(hits("a.c", "A\nC", "REG_ICASE,REG_MULTILINE"));
  EXPECT_FALSE(Pattern::compile("a", "REG_UNKNOWN"));
}

TEST(Pattern, InlineMeansDotMatchesNewline) {
  EXPECT_EQ(to_pcre2("(?m)a.b").value(), "(?s)a.b");
  EXPECT_EQ(to_pcre2("(?mi-x:a)").value(), "(?si-x:a)");
  EXPECT_EQ(to_pcre2("\\(?m)").value(), "\\(?m)") << "an escaped bracket opens no group";
  EXPECT_EQ(to_pcre2("[(?m)]").value(), "[(?m)]");
  EXPECT_EQ(to_pcre2("(?:m)(?<m>x)(?=m)").value(), "(?:m)(?<m>x)(?=m)");
  EXPECT_TRUE(hits("(?m)a.b", "a\nb"));
}

TEST(Pattern, WhatRubyReadsOtherwiseIsRefused) {
  for (const auto* text : {"\\h+", "a{,3}", "[a[bc]]", "[a-z&&b]", "(", "", "a\\"}) EXPECT_FALSE(Pattern::compile(text, "")) << text;
  EXPECT_TRUE(Pattern::compile("[[:alpha:]]+[]a][^]a]\\[x", ""));
}

TEST(Pattern, BytesFirstUtfOnAsking) {
  EXPECT_FALSE(hits("^a.b$", "a\xc2\xb7" "b"));
  EXPECT_TRUE(hits("^a.b$", "a\xc2\xb7" "b", "", Pattern::Mode::utf));
  EXPECT_TRUE(hits("^\\x00\\xff", std::string_view("\x00\xff", 2)));
}

TEST(Pattern, CatastrophicPatternIsDecidedByRe2) {
  const auto pattern = Pattern::compile("^(a+)*(b)$", "");
  ASSERT_TRUE(pattern);
  Scratch scratch;
  std::vector<Slice> slices;
  EXPECT_EQ(pattern->match(std::string(60, 'a') + "cb", Pattern::Mode::bytes, scratch, slices), Pattern::Outcome::miss);
  EXPECT_EQ(pattern->match("x\naaab", Pattern::Mode::bytes, scratch, slices), Pattern::Outcome::match);
  ASSERT_EQ(slices.size(), 3u);
  EXPECT_EQ(slices[2].from, 5u);
  EXPECT_TRUE(slices[2].took_part);
}

TEST(Pattern, WhatNoEngineDecidesIsALimit) {
  const auto pattern = Pattern::compile("^(a|aa)+(?=b)c?\\1$", "");  // a back-reference is beyond RE2
  ASSERT_TRUE(pattern);
  Scratch scratch;
  std::vector<Slice> slices;
  EXPECT_EQ(pattern->match(std::string(200, 'a') + "b-", Pattern::Mode::bytes, scratch, slices), Pattern::Outcome::limit);
}

TEST(Pattern, WidenedForUtfTakesTheBytesOfACharacter) {
  EXPECT_EQ(widened_for_utf("^a.b$"), "^a.{1,4}b$");
  EXPECT_EQ(widened_for_utf("[^ ]{1,512}x.?\\S{3}.*[^)]+"), "[^ ]{1,}x.{0,4}\\S{3,}.*[^)]+");
  EXPECT_EQ(widened_for_utf("\\.[.][a-z]{2}(?:x|.)+"), "\\.[.][a-z]{2}(?:x|.{1,4})+");
  EXPECT_EQ(widened_for_utf("^[\\d.]+ (\\w+)$"), "^[\\d.]+ (\\w+)$") << "the same in both modes";
  EXPECT_EQ(widened_for_utf("\\x{e9}"), std::nullopt);
  EXPECT_EQ(widened_for_utf("\xc3\xa9"), std::nullopt);
}

TEST(Pattern, NestedRepeatIsSeen) {
  for (const auto* text : {"(.+)*", "^(a+)+$", "(?:[^x]+)*", "x(\\d+)*y"}) EXPECT_TRUE(has_nested_repeat(text)) << text;
  for (const auto* text : {"(?:\\.[0-9]+)*", "(a+)", "[(+)*]+", "\\(a+\\)*", "(ab+)?", "(?:, [^,]+)*"}) EXPECT_FALSE(has_nested_repeat(text)) << text;
}

TEST(Pattern, Utf8) {
  EXPECT_TRUE(is_valid_utf8("管理画面 abc"));
  EXPECT_TRUE(is_valid_utf8(""));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe3\x81", "\x80", "\xff"}) EXPECT_FALSE(is_valid_utf8(bad));
}

}  // namespace
}  // namespace nora::identify
