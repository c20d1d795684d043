// How the texts for owners read: sentence length, share of kanji, difficult words, a Flesch-like measure; and what a mail may hold. The limits are
// named here; a text above a limit is rewritten, not excepted.
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <set>

#include "base/files.h"
#include "base/messages.h"

namespace nora::expose {
namespace {

const std::string source = NORA_SOURCE_DIR;
constexpr std::size_t max_easy_sentence_letters = 42;   // without spaces and readings
constexpr double max_easy_kanji_share = 0.5;            // of one text, names of menus (「…」) left out
constexpr double max_easy_kanji_mean = 0.2;             // over all texts
constexpr std::size_t max_ja_sentence_letters = 60;
constexpr std::size_t max_en_sentence_words = 22;
constexpr double min_en_ease = 45;                      // of one advice; Flesch reading ease, 60 and more is plain English
constexpr double min_en_ease_all = 65;                  // of all advice

using Texts = std::map<std::string, std::string, std::less<>>;
Texts texts_of(Lang lang, std::string_view file) {
  return parse_po(read_file(source + "/data/messages/" + std::string(code(lang)) + "/" + std::string(file)).value()).value();
}
Texts owners_texts(Lang lang) {
  auto all = texts_of(lang, "advice.po");
  all.merge(texts_of(lang, "exposures.po"));
  std::erase_if(all, [](const auto& kv) { return kv.first.starts_with("type."); });
  return all;
}

// One character after the other, as its own text.
std::vector<std::string> letters(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    out.emplace_back(text.substr(i, n));
    i += n;
  }
  return out;
}
bool is_kanji(const std::string& c) {
  if (c.size() != 3) return false;
  const unsigned cp = (static_cast<unsigned char>(c[0]) & 0x0fu) << 12 | (static_cast<unsigned char>(c[1]) & 0x3fu) << 6 | (static_cast<unsigned char>(c[2]) & 0x3fu);
  return cp >= 0x4e00 && cp <= 0x9fff;
}
// Without what stands between the two marks, and without the marks.
std::string without(std::string_view text, std::string_view open, std::string_view close) {
  std::string out;
  int depth = 0;
  for (const auto& c : letters(text)) {
    if (c == open) ++depth;
    else if (c == close) depth = std::max(0, depth - 1);
    else if (depth == 0) out += c;
  }
  return out;
}
std::vector<std::string> japanese_sentences(const std::string& text) {
  std::vector<std::string> out(1);
  for (const auto& c : letters(text)) {
    if (c == "。" || c == "?" || c == "!") out.emplace_back();
    else if (c != " " && c != "\n") out.back() += c;
  }
  return out;
}

struct English {
  std::size_t words = 0, sentences = 0, syllables = 0, longest = 0;
  double ease() const { return 206.835 - 1.015 * static_cast<double>(words) / static_cast<double>(sentences) - 84.6 * static_cast<double>(syllables) / static_cast<double>(words); }
};
std::size_t syllables_of(const std::string& word) {
  std::size_t n = 0;
  bool vowel = false;
  for (const char c : word) {
    const bool now = std::string_view("aeiouy").find(c) != std::string_view::npos;
    n += now && !vowel ? 1 : 0;
    vowel = now;
  }
  if (n > 1 && word.ends_with("e") && !word.ends_with("le")) --n;
  return std::max<std::size_t>(1, n);
}
void read_english(English& e, std::string_view text) {
  std::size_t words = 0;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    ++words;
    ++e.words;
    e.syllables += syllables_of(word);
    word.clear();
  };
  const auto end_sentence = [&] {
    end_word();
    if (words == 0) return;
    ++e.sentences;
    e.longest = std::max(e.longest, words);
    words = 0;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (std::isalnum(c) || c == '-') word += static_cast<char>(std::tolower(c));
    else if (c >= 0x80) continue;  // quotes and apostrophes inside a word
    else if (std::string_view(".!?:;").find(static_cast<char>(c)) != std::string_view::npos && (i + 1 == text.size() || text[i + 1] == ' ')) end_sentence();
    else end_word();
  }
  end_sentence();
}

TEST(Reading, EasyJapaneseIsShortAndWithoutDifficultWords) {
  double share = 0;
  std::size_t texts = 0;
  for (const auto& [id, text] : owners_texts(Lang::easy)) {
    const auto spoken = without(text, "《", "》");
    for (const auto& sentence : japanese_sentences(spoken)) EXPECT_LE(letters(sentence).size(), max_easy_sentence_letters) << id << ": " << sentence;
    const auto plain = without(spoken, "「", "」");
    std::size_t kanji = 0, all = 0;
    for (const auto& c : letters(plain)) {
      if (c == " ") continue;
      ++all;
      kanji += is_kanji(c) ? 1 : 0;
    }
    if (all == 0) continue;
    const double here = static_cast<double>(kanji) / static_cast<double>(all);
    EXPECT_LE(here, max_easy_kanji_share) << id;
    share += here;
    ++texts;
    for (const char* word : {"脆弱", "感染", "認証", "通信", "増幅", "踏み台", "初期化", "遮断", "該当", "実施", "接続", "侵入", "漏洩", "適用", "推奨", "確認", "設定", "不正", "対策"})
      EXPECT_EQ(plain.find(word), std::string::npos) << id << " holds the difficult word " << word;
  }
  ASSERT_GT(texts, 200u);
  EXPECT_LE(share / static_cast<double>(texts), max_easy_kanji_mean);
}

TEST(Reading, JapaneseSentencesAreShort) {
  for (const auto& [id, text] : owners_texts(Lang::ja))
    for (const auto& sentence : japanese_sentences(text)) EXPECT_LE(letters(sentence).size(), max_ja_sentence_letters) << id << ": " << sentence;
}

TEST(Reading, EnglishIsPlain) {
  English all;
  std::map<std::string, English> each;
  for (const auto& [id, text] : texts_of(Lang::en, "advice.po")) {
    read_english(all, text);
    read_english(each[id.substr(7, id.find('.', 7) - 7)], text);
  }
  EXPECT_GE(all.ease(), min_en_ease_all);
  for (const auto& [advice, e] : each) {
    EXPECT_GE(e.ease(), min_en_ease) << advice;
    EXPECT_LE(e.longest, max_en_sentence_words) << advice;
  }
}

TEST(Reading, TheMeasureTellsPlainFromHard) {
  English plain, hard;
  read_english(plain, "Pull the plug. Wait ten seconds. Plug it in again.");
  read_english(hard, "Remediation necessitates reconfiguration of administrative accessibility parameters, notwithstanding organisational considerations.");
  EXPECT_GT(plain.ease(), 80);
  EXPECT_LT(hard.ease(), 0);
  EXPECT_EQ(plain.sentences, 3u);
  EXPECT_EQ(without("漢字《かんじ》です", "《", "》"), "漢字です");
}

TEST(Reading, AMailHoldsNoLinkButThePlacesFilledByTheProvider) {
  // {portal} is the one address that a reader is asked to open; {page} is the provider's own page, which the text tells people to look up themselves.
  static const std::set<std::string> places = {"isp", "phone", "page", "portal", "code", "word1", "word2", "product", "state", "local", "utc"};
  std::map<std::string, std::set<std::string>> of_id;
  for (const Lang lang : all_langs) {
    int seen = 0;
    for (const auto& [id, text] : texts_of(lang, "notice.po")) {
      if (!id.starts_with("notice.")) continue;
      ++seen;
      for (const char* bad : {"http:", "https:", "www.", "://", "<", ".com", ".jp", ".net"}) EXPECT_EQ(text.find(bad), std::string::npos) << code(lang) << " " << id << ": " << bad;
      std::set<std::string> here;
      for (std::size_t open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
        const auto close = text.find('}', open);
        ASSERT_NE(close, std::string::npos) << id << ": a place without its end";
        here.insert(text.substr(open + 1, close - open - 1));
      }
      for (const auto& place : here) EXPECT_TRUE(places.contains(place)) << code(lang) << " " << id << " has a place that nobody fills: {" << place << "}";
      const auto [it, fresh] = of_id.emplace(id, here);
      EXPECT_EQ(it->second, here) << code(lang) << " " << id << ": other places than in the other languages";
    }
    EXPECT_GE(seen, 15) << code(lang);
  }
}

TEST(Reading, NoTextForOwnersAsksForALoginOrAPassword) {
  for (const Lang lang : all_langs) {
    auto all = owners_texts(lang);
    for (const auto& [id, text] : texts_of(lang, "notice.po")) if (id.starts_with("notice.")) all.emplace(id, text);
    for (const auto& [id, text] : all)
      for (const char* bad : {"パスワードを入力", "パスワードをお知らせ", "パスワードを教え", "パスワードを 教《おし》え", "パスワードを 入《い》れて", "ログインしてくだ", "enter your password", "tell us your password",
                              "your password here", "please log in", "log in to", "click", "クリック"})
        EXPECT_EQ(text.find(bad), std::string::npos) << code(lang) << " " << id << ": " << bad;
  }
}

}  // namespace
}  // namespace nora::expose
