#include "base/escape.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <regex>

namespace nora {
namespace {

// Payloads that did harm somewhere: markup, terminal escapes, spreadsheet formulas, bidi, overlong forms, header injection.
const std::vector<std::string> evil = {
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "&lt;", "\x1b]52;c;aGk=\x07", "\x1b[2J", "\r\nBcc: all@example.com", "=cmd|'/c calc'!A0",
    "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\xe2\x80\xae" "gpj.exe", "\xc0\xae\xc0\xae/", "\xed\xa0\x80", "\xf4\x90\x80\x80", std::string("a\0b", 3), "\xff\xfe", "\xc2\x9b" "31m",
    "http://evil.example/login", "www.evil.example", "a,b\"c\nd", "\xe2\x80\xa8", "${jndi:ldap://x}", "'; DROP TABLE x; --", "%s%n", "\\x1b"};

bool valid_utf8(const std::string& s) { return to_clean_utf8(s) == s; }

TEST(Escape, HtmlHasNoMarkupLeft) {
  for (const auto& raw : evil) {
    const std::string out = to_html(raw);
    EXPECT_EQ(out.find_first_of("<>\"'"), std::string::npos) << out;
    EXPECT_TRUE(valid_utf8(out));
  }
  EXPECT_EQ(to_html("a & b"), "a &amp; b");
}

TEST(Escape, TerminalAndLogStayOnOneVisibleLine) {
  static const std::regex control("[\\x00-\\x1f\\x7f]");
  for (const auto& raw : evil) {
    EXPECT_FALSE(std::regex_search(to_terminal(raw), control)) << raw;
    EXPECT_EQ(to_terminal(raw).find("\xc2\x9b"), std::string::npos);
    EXPECT_EQ(to_terminal(raw).find("\xe2\x80\xae"), std::string::npos);
  }
  EXPECT_EQ(to_log("a\nb"), "a\\x0ab");
}

TEST(Escape, CsvCellsAreNotFormulas) {
  for (const auto& raw : evil) {
    std::string out = to_csv_cell(raw);
    if (!out.empty() && out[0] == '"') out = out.substr(1);
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(std::string("=+-@\t\r").find(out[0]), std::string::npos) << out;
  }
  EXPECT_EQ(to_csv_cell("a,b\"c"), "\"a,b\"\"c\"");
}

TEST(Escape, MailHasNoLinkAndNoSecondLine) {
  for (const auto& raw : evil) {
    const std::string out = to_mail_body(raw);
    EXPECT_EQ(out.find('\n'), std::string::npos);
    EXPECT_EQ(out.find("://e"), std::string::npos) << out;
    EXPECT_EQ(out.find("www.e"), std::string::npos) << out;
  }
  EXPECT_LE(to_mail_body(std::string(5000, 'x')).size(), 200u);
}

RC_GTEST_PROP(EscapeProperty, CleaningIsIdempotentAndKeepsGoodText, (const std::string& raw)) {
  const std::string clean = to_clean_utf8(raw);
  RC_ASSERT(to_clean_utf8(clean) == clean);
  RC_ASSERT(to_json_string(raw).find('<') == std::string::npos);
  for (unsigned char c : to_url(raw)) RC_ASSERT(c > ' ' && c < 0x7f);
}

TEST(Escape, GoodTextIsKept) {
  EXPECT_EQ(to_clean_utf8("野良IoT\n🦝\té"), "野良IoT\n🦝\té");
  EXPECT_EQ(to_terminal("野良IoT"), "野良IoT");
}

}  // namespace
}  // namespace nora
