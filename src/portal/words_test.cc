#include "portal/words.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nora::portal {
namespace {

TEST(Rich, strong_words_and_readings) {
  EXPECT_EQ(rich("a **b** c").str(), "a <b>b</b> c");
  EXPECT_EQ(rich("もう一度《いちど》 調《しら》べる").str(),
            "もう<ruby>一度<rp>(</rp><rt>いちど</rt><rp>)</rp></ruby> <ruby>調<rp>(</rp><rt>しら</rt><rp>)</rp></ruby>べる");
  EXPECT_EQ(rich("**危《あぶ》ない**").str(), "<b><ruby>危<rp>(</rp><rt>あぶ</rt><rp>)</rp></ruby>ない</b>");
  EXPECT_EQ(unmarked("**危《あぶ》ない** x"), "危ない x");
}

TEST(Rich, odd_marks_stay_words) {
  EXPECT_EQ(rich("a **b").str(), "a b");
  EXPECT_EQ(rich("《x》").str(), "《x》");
  EXPECT_EQ(rich("漢《").str(), "漢《");
  EXPECT_EQ(rich("<b>&\"").str(), http::text("<b>&\"").str());
}

TEST(Rich, no_text_becomes_markup) {
  rc::check([](const std::string& raw) {
    const auto out = rich(raw).str();
    std::string rest = out;
    for (const auto* tag : {"<b>", "</b>", "<ruby>", "</ruby>", "<rp>", "</rp>", "<rt>", "</rt>"})
      for (std::size_t at; (at = rest.find(tag)) != std::string::npos;) rest.erase(at, std::string_view(tag).size());
    RC_ASSERT(rest.find('<') == std::string::npos);
    RC_ASSERT(rest.find('>') == std::string::npos);
  });
}

TEST(Words, times_in_japan_and_utc) {
  const auto at = *Instant::parse("2026-11-24T18:12:30Z");
  EXPECT_EQ(time_words(Lang::ja, at), "2026年11月25日 3時12分");
  EXPECT_EQ(time_words(Lang::en, at), "25 November 2026, 03:12 JST");
  EXPECT_EQ(utc_words(at), "2026-11-24 18:12 UTC");
  EXPECT_EQ(day_words(Lang::easy, at), "2026年11月25日");
}

TEST(Words, certainty_and_severity) {
  EXPECT_EQ(sure_word(0.96), "high");
  EXPECT_EQ(sure_word(0.6), "medium");
  EXPECT_EQ(sure_word(0.59), "low");
  EXPECT_TRUE(bad_severity("critical"));
  EXPECT_TRUE(bad_severity("medium"));
  EXPECT_FALSE(bad_severity("low"));
}

}  // namespace
}  // namespace nora::portal
