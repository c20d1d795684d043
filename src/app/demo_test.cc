// The demo's own readers: mail as a sink keeps it, and forms as pages offer them. (The loop itself is tested end to end by tests/e2e.)
#include <gtest/gtest.h>

#include "app/demo_mail.h"
#include "app/demo_visitor.h"
#include "base/bytes.h"
#include "base/env.h"
#include "exchange/notice_code.h"

namespace nora::app {
namespace {

std::string a_code() {
  SeededRandom random(7);
  return exchange::make_notice_code(random);
}

TEST(demo_mail, reads_base64_text_with_its_code_and_envelope) {
  auto body = "お知らせ / Notice\r\nコード: " + a_code() + "\r\n";
  auto mail = read_mail("X-Client-Addr: 203.0.113.130\nX-Rcpt-Args: <line1@mail.hikari.example>\nSubject: =?UTF-8?B?44GK?=\nTo: someone@else.example\n"
                        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + to_base64(as_bytes(body)) + "\n");
  EXPECT_EQ(mail.to, "line1@mail.hikari.example");  // the envelope decides, not the header
  EXPECT_EQ(mail.body, body);
  ASSERT_EQ(mail.codes.size(), 1u);
  EXPECT_EQ(mail.codes[0], *exchange::parse_notice_code(a_code()));
}

TEST(demo_mail, reads_quoted_printable_and_multipart) {
  auto mail = read_mail("To: a@b.example\nContent-Type: multipart/mixed;\n boundary=\"zz\"\n\n--zz\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
                        "caf=C3=A9 " + a_code().substr(0, 5) + "=\n" + a_code().substr(5) + "\n--zz--\n");
  EXPECT_NE(mail.body.find("caf\xc3\xa9"), std::string::npos);
  EXPECT_EQ(mail.codes.size(), 1u);
}

TEST(demo_mail, a_number_that_only_looks_like_a_code_is_none) {
  auto wrong = a_code();
  wrong.back() = wrong.back() == '7' ? '8' : '7';
  EXPECT_TRUE(read_mail("To: a@b.example\n\ncall 0120-0000-0000 or " + wrong + "\n").codes.empty());
}

TEST(demo_visitor, takes_the_hidden_fields_of_the_right_form) {
  constexpr std::string_view page =
      "<form method=\"post\" action=\"/a\"><input type=\"hidden\" name=\"csrf\" value=\"one\"></form>"
      "<form method=\"post\" action=\"/b\"><input type=\"hidden\" name=\"csrf\" value=\"t/wo\"><input type=\"text\" name=\"x\" value=\"y\"><input type=\"hidden\" name=\"id\" value=\"3\"></form>";
  EXPECT_EQ(*hidden_fields(page, "/b"), "csrf=t%2Fwo&id=3");
  EXPECT_FALSE(hidden_fields(page, "/c"));
}

TEST(demo_visitor, reads_status_and_header) {
  constexpr std::string_view answer = "HTTP/1.1 303 See Other\r\nset-cookie: nora=abc; Path=/\r\n\r\nSet-Cookie: not this";
  EXPECT_EQ(status_line(answer), "HTTP/1.1 303 See Other");
  EXPECT_EQ(header_value(answer, "Set-Cookie"), "nora=abc; Path=/");
  EXPECT_EQ(header_value(answer, "Location"), "");
}

}  // namespace
}  // namespace nora::app
