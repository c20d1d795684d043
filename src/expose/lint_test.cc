// Lint of the knowledge: every rule and advice has its texts in three languages, no text asks for a login or sends people away, sources stand.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/escape.h"
#include "base/files.h"
#include "base/messages.h"
#include "expose/knowledge.h"
#include "expose/rules.h"
#include "identify/pattern.h"
#include "identify/rules.h"

namespace nora::expose {
namespace {

const std::string source = NORA_SOURCE_DIR;

// The two catalogues of this folder alone, so that another folder's file cannot break this test.
using Texts = std::map<std::string, std::string, std::less<>>;
Texts texts_of(Lang lang) {
  Texts all;
  for (const char* file : {"advice.po", "exposures.po"}) {
    auto parsed = parse_po(read_file(source + "/data/messages/" + std::string(code(lang)) + "/" + file).value());
    EXPECT_TRUE(parsed) << file << ": " << (parsed ? "" : parsed.error().what);
    for (auto& [id, text] : *parsed) EXPECT_TRUE(all.emplace(id, text).second) << id << " exists twice";
  }
  return all;
}

TEST(Lint, EveryRuleHasTitleAndPlainWordsInThreeLanguages) {
  const auto rules = Rules::load(source + "/data/exposures").value();
  EXPECT_GE(rules.all().size(), 20u);
  for (const Lang lang : all_langs) {
    const auto texts = texts_of(lang);
    for (const auto& rule : rules.all())
      for (const auto& id : {rule.title_id(), rule.plain_id()}) EXPECT_TRUE(texts.contains(id)) << code(lang) << " lacks " << id;
    std::set<std::string> known;
    for (const auto& rule : rules.all()) known.insert({rule.title_id(), rule.plain_id()});
    for (const auto& [id, text] : texts) {
      if (id.starts_with("exposure.")) { EXPECT_TRUE(known.contains(id)) << id << " belongs to no rule"; }
    }
  }
}

TEST(Lint, EveryAdviceHasItsStepsInThreeLanguages) {
  const auto k = Knowledge::load(source + "/data/products", source + "/data/advice").value();
  for (const Lang lang : all_langs) {
    const auto texts = texts_of(lang);
    std::set<std::string> known;
    for (const auto& advice : k.advice()) {
      for (int step = 1; step <= advice.steps; ++step) {
        const auto id = Knowledge::step_id(advice.id, step);
        EXPECT_TRUE(texts.contains(id)) << code(lang) << " lacks " << id;
        known.insert({id, id + ".more"});
      }
    }
    for (const auto& [id, text] : texts) if (id.starts_with("advice.")) { EXPECT_TRUE(known.contains(id)) << id << " belongs to no advice"; }
  }
}

TEST(Lint, TheThreeLanguagesHaveTheSameIds) {
  const auto ids = [](Lang lang) {
    std::set<std::string> out;
    for (const auto& [id, text] : texts_of(lang)) if (!id.ends_with(".more")) out.insert(id);
    return out;
  };
  EXPECT_EQ(ids(Lang::ja), ids(Lang::en));
  EXPECT_EQ(ids(Lang::ja), ids(Lang::easy));
}

TEST(Lint, NoTextAsksForALoginOrSendsPeopleAway) {
  for (const Lang lang : all_langs) {
    for (const auto& [id, text] : texts_of(lang)) {
      EXPECT_FALSE(text.empty()) << id;
      EXPECT_TRUE(identify::is_valid_utf8(text)) << id;
      EXPECT_EQ(to_clean_utf8(text), text) << id << " holds control characters";
      for (const char* bad : {"http:", "https:", "www.", "<", "ログインしてくだ", "ログインして くだ", "ログインします", "please log in", "log in to", "log in at", "sign in", "クレジット", "credit card", "振り込", "遠隔サポート"})
        EXPECT_EQ(text.find(bad), std::string::npos) << code(lang) << " " << id << " holds \"" << bad << "\"";
      EXPECT_EQ(text.find('{'), std::string::npos) << id << ": these texts are shown without arguments";
      // One action a step: short enough for a phone and a letter.
      if (id.find(".step") != std::string::npos && !id.ends_with(".more")) { EXPECT_LE(text.size(), 260u) << id; }
    }
  }
}

TEST(Lint, EasyJapaneseReadsEveryKanjiAloud) {
  // In advice.po and exposures.po of easy Japanese each run of kanji carries its reading: 漢字《かんじ》.
  for (const auto& [id, text] : texts_of(Lang::easy)) {
    bool in_reading = false;
    for (std::size_t i = 0; i + 2 < text.size();) {
      const auto a = static_cast<unsigned char>(text[i]);
      if (a < 0x80) { ++i; continue; }
      if ((a & 0xf0) != 0xe0) { i += (a & 0xe0) == 0xc0 ? 2 : 4; continue; }
      const auto three = std::string_view(text).substr(i, 3);
      const unsigned cp = (a & 0x0fu) << 12 | (static_cast<unsigned char>(text[i + 1]) & 0x3fu) << 6 | (static_cast<unsigned char>(text[i + 2]) & 0x3fu);
      if (three == "《") in_reading = true;
      else if (three == "》") in_reading = false;
      else if (cp >= 0x4e00 && cp <= 0x9fff && !in_reading) {
        const auto after = std::string_view(text).substr(i + 3, 3);
        unsigned next = 0;
        if (after.size() == 3 && (static_cast<unsigned char>(after[0]) & 0xf0) == 0xe0)
          next = (static_cast<unsigned char>(after[0]) & 0x0fu) << 12 | (static_cast<unsigned char>(after[1]) & 0x3fu) << 6 | (static_cast<unsigned char>(after[2]) & 0x3fu);
        EXPECT_TRUE(after == "《" || (next >= 0x4e00 && next <= 0x9fff)) << id << ": " << three << " has no reading";
      }
      i += 3;
    }
  }
}

TEST(Lint, RulesPointAtAdviceThatExists) {
  const auto rules = Rules::load(source + "/data/exposures").value();
  const auto k = Knowledge::load(source + "/data/products", source + "/data/advice").value();
  std::set<std::string> ids;
  for (const auto& rule : rules.all()) {
    EXPECT_NE(k.advice_by_id(rule.advice), nullptr) << rule.id;
    ids.insert(rule.id);
  }
  for (const auto& advice : k.advice()) for (const auto& e : advice.exposures) EXPECT_TRUE(ids.contains(e)) << advice.id << " names exposure " << e;
}

TEST(Lint, EveryTypeOfTheFingerprintsHasAWord) {
  const auto rules = identify::RuleSet::load({source + "/data/fingerprints"}).value();
  const auto texts = texts_of(Lang::ja);
  for (const auto& file : rules.files())
    for (const auto& rule : file.rules)
      for (const auto& param : rule.params)
        if (param.name == "hw.device" && param.pos == 0) { EXPECT_TRUE(texts.contains("type." + type_slug(param.value))) << param.value; }
}

TEST(Lint, FactsHaveSources) {
  const auto k = Knowledge::load(source + "/data/products", source + "/data/advice").value();
  for (const auto& p : k.products()) if (!p.support_end.empty()) { EXPECT_FALSE(p.source.empty()) << p.id; }
}

}  // namespace
}  // namespace nora::expose
