#include "base/messages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

namespace nora {
namespace {

TEST(Po, ReadsPairsEscapesAndContinuations) {
  const auto po = parse_po("# comment\nmsgid \"\"\nmsgstr \"Language: ja\\n\"\n\nmsgid \"a.b\"\nmsgstr \"\"\n\"one \\\"two\\\"\\n\"\n\"three\"\n");
  ASSERT_TRUE(po.has_value()) << po.error().text();
  EXPECT_EQ(po->size(), 1u);
  EXPECT_EQ(po->at("a.b"), "one \"two\"\nthree");
}

TEST(Po, ErrorsNameTheLine) {
  EXPECT_NE(parse_po("msgid \"a\"\nmsgstr \"b\nmsgid").error().what.find("line 2"), std::string::npos);
  EXPECT_FALSE(parse_po("msgstr \"b\"\n").has_value());
  EXPECT_FALSE(parse_po("msgid \"a\"\nmsgstr \"1\"\nmsgid \"a\"\nmsgstr \"2\"\n").has_value());
  EXPECT_FALSE(parse_po("hello\n").has_value());
}

TEST(Fill, PlacesAreFilledOnce) {
  EXPECT_EQ(fill("{a} and {b} and {c}", {{"a", "{b}"}, {"b", "2"}}), "{b} and 2 and {c}");
  EXPECT_EQ(fill("open { brace", {}), "open { brace");
}

// The product's own catalogues: every message in Japanese and English, everything that owners read in easy Japanese too (staff pages and
// letters to network operators have no easy Japanese; the second sentence of a step, ".more", is left out there on purpose), the same places in each.
TEST(Catalogue, LanguagesHaveTheSameMessagesAndPlaces) {
  const auto messages = Messages::load(NORA_SOURCE_DIR "/data/messages");
  ASSERT_TRUE(messages.has_value()) << messages.error().text();
  static const std::regex place("\\{[a-z_0-9]+\\}");
  const auto places = [](const std::string& s) {
    std::set<std::string> out;
    for (std::sregex_iterator it(s.begin(), s.end(), place), end; it != end; ++it) out.insert(it->str());
    return out;
  };
  const auto for_staff = [](std::string_view id) { return id.starts_with("desk.") || id.starts_with("isp.") || id.starts_with("complaint."); };
  EXPECT_GT(messages->ids(Lang::ja).size(), 50u);
  for (Lang lang : all_langs) {
    for (const auto& id : messages->ids(lang)) {
      for (Lang other : all_langs) {
        if (other == Lang::easy && !messages->has(other, id) && (for_staff(id) || id.ends_with(".more"))) continue;
        ASSERT_TRUE(messages->has(other, id)) << id << " is missing in " << code(other);
        const auto here = places(messages->get(lang, id)), there = places(messages->get(other, id));
        // Easy Japanese may say less than the others, never something that they do not.
        if (lang == Lang::easy) {
          EXPECT_TRUE(std::includes(there.begin(), there.end(), here.begin(), here.end())) << id << " in easy and " << code(other);
        } else if (other != Lang::easy) {
          EXPECT_EQ(here, there) << id << " in " << code(lang) << " and " << code(other);
        }
        EXPECT_FALSE(messages->get(other, id).empty()) << id;
      }
    }
  }
}

}  // namespace
}  // namespace nora
