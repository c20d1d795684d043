#include "http/html.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "http/gzip.h"
#include "http/limiter.h"

namespace nora::http {
namespace {

namespace e = el;

TEST(Html, escapes_every_kind_of_text) {
  const std::string evil = "<script>alert(1)</script>\"'&";
  const auto page = e::p(cls(evil), evil, Untrusted(evil), "<b>", 7, std::string_view(evil));
  EXPECT_EQ(page.str().find("<script"), std::string::npos);
  EXPECT_EQ(page.str().find("<b>"), std::string::npos);
  EXPECT_EQ(e::b("1 < 2").str(), "<b>1 &lt; 2</b>");
}

TEST(Html, elements_attributes_and_void_elements) {
  EXPECT_EQ(e::a(href("/x"), id("i"), "t").str(), "<a href=\"/x\" id=\"i\">t</a>");
  EXPECT_EQ(e::input(attr("type", "radio"), flag("checked", true), flag("disabled", false)).str(), "<input type=\"radio\" checked>");
  EXPECT_EQ(e::ul(std::vector<Html>{e::li("a"), e::li("b")}).str(), "<ul><li>a</li><li>b</li></ul>");
}

TEST(Html, links_cannot_run_code) {
  for (const auto* bad : {"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:x", "data:text/html,x", "vbscript:x", "\tjavascript:x", "x:y"})
    EXPECT_EQ(e::a(href(bad), "x").str(), "<a href=\"#\">x</a>") << bad;
  EXPECT_EQ(e::a(href("HTTPS://maker.example/fw"), "x").str(), "<a href=\"HTTPS://maker.example/fw\">x</a>");
  EXPECT_EQ(e::a(href("tel:0120-000-000"), "x").str(), "<a href=\"tel:0120-000-000\">x</a>");
}

// Whatever bytes a device sends: outside of our own tags there is no < or >, no quote can end an attribute, and the text is valid for a page.
TEST(Html, no_bytes_can_break_out) {
  rc::check([](const std::vector<std::uint8_t>& bytes) {
    const std::string raw(bytes.begin(), bytes.end());
    const auto page = e::p(attr("title", raw), raw).str();
    RC_ASSERT(page.starts_with("<p title=\""));
    RC_ASSERT(page.ends_with("</p>"));
    const auto inner = page.substr(10, page.size() - 14);
    RC_ASSERT(std::count(inner.begin(), inner.end(), '"') == 1);
    RC_ASSERT(std::count(inner.begin(), inner.end(), '<') == 0);
    RC_ASSERT(std::count(inner.begin(), inner.end(), '>') == 1);
    RC_ASSERT(inner.find('\0') == std::string::npos);
  });
}

TEST(Html, a_page_is_cut_at_its_hole) {
  const auto page = document({.title = "t"}, e::main_(e::ol(hole()), e::p("end")));
  const auto [before, after] = split_at_hole(page);
  EXPECT_TRUE(before.str().ends_with("<main><ol>"));
  EXPECT_TRUE(after.str().starts_with("</ol><p>end"));
  const auto [all, nothing] = split_at_hole(e::p(std::string("no hole, only a NUL: \0", 22)));
  EXPECT_TRUE(nothing.empty());
}

TEST(Html, document_has_language_title_and_one_sheet) {
  const auto page = document({.lang = Lang::en, .title = "A <b>"}, e::main_("x")).str();
  EXPECT_TRUE(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
  EXPECT_NE(page.find("<title>A &lt;b&gt;</title>"), std::string::npos);
  EXPECT_EQ(page.find("style="), std::string::npos);
}

TEST(Html, icons_by_type_of_device) {
  EXPECT_EQ(icon_for_type("IP camera"), "camera");
  EXPECT_EQ(icon_for_type("Video recorder"), "recorder");
  EXPECT_EQ(icon_for_type("<odd>"), "unknown");
  EXPECT_EQ(icon("no such icon").str(), icon("unknown").str());
}

TEST(Gzip, header_and_negotiation) {
  const std::string body(5000, 'a');
  const auto z = gzip(body);
  EXPECT_LT(z.size(), 200u);
  EXPECT_EQ(z.substr(0, 3), "\x1f\x8b\x08");
  EXPECT_TRUE(accepts_gzip("gzip, deflate, br"));
  EXPECT_TRUE(accepts_gzip("br;q=1.0, gzip;q=0.8"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0"));
  EXPECT_FALSE(accepts_gzip("br"));
  EXPECT_FALSE(accepts_gzip(""));
}

TEST(Limiter, per_line_and_in_all) {
  FakeClock clock;
  Limiter limiter({.per_peer = 3, .in_all = 5, .window = Span::minutes(1)}, clock);
  const auto a = *Ip::parse("203.0.113.7"), b = *Ip::parse("203.0.113.8");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.allow(a));
  EXPECT_FALSE(limiter.allow(a));
  EXPECT_TRUE(limiter.allow(b));
  EXPECT_TRUE(limiter.allow(b));
  EXPECT_FALSE(limiter.allow(b));  // the breaker for all
  clock.sleep(Span::minutes(1));
  EXPECT_TRUE(limiter.allow(a));
  for (int i = 0; i < 20; ++i) {  // only failures stay counted
    EXPECT_TRUE(limiter.allow(b));
    limiter.give_back(b);
  }
  // One IPv6 line owns its whole /64.
  EXPECT_EQ(Limiter::key(*Ip::parse("2001:db8:1000::1")), Limiter::key(*Ip::parse("2001:db8:1000:0:ffff::2")));
}

}  // namespace
}  // namespace nora::http
