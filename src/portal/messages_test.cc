// The texts themselves: complete in three languages, same places, no dead marks, and no sentence that a phishing mail would use.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "base/files.h"
#include "base/messages.h"

namespace nora::portal {
namespace {

std::set<std::string> places(const std::string& text) {
  std::set<std::string> out;
  static const std::regex place("\\{[a-z_]+\\}");
  for (auto it = std::sregex_iterator(text.begin(), text.end(), place); it != std::sregex_iterator(); ++it) out.insert(it->str());
  return out;
}

struct PortalMessages : testing::Test {
  Messages messages = *Messages::load(NORA_SOURCE_DIR "/data/messages");
  std::vector<std::string> ours(Lang lang) {
    std::vector<std::string> out;
    for (auto& id : messages.ids(lang))
      if (id.starts_with("portal.")) out.push_back(std::move(id));
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(PortalMessages, complete_in_three_languages) {
  const auto ids = ours(Lang::ja);
  ASSERT_GT(ids.size(), 150u);
  EXPECT_EQ(ours(Lang::easy), ids);
  EXPECT_EQ(ours(Lang::en), ids);
  for (const auto& id : ids)
    for (const auto lang : all_langs) {
      EXPECT_FALSE(messages.get(lang, id).empty()) << id;
      EXPECT_EQ(places(messages.get(lang, id)), places(messages.get(Lang::ja, id))) << id;
    }
}

TEST_F(PortalMessages, marks_are_paired) {
  for (const auto lang : all_langs)
    for (const auto& id : ours(lang)) {
      const auto text = messages.get(lang, id);
      std::size_t stars = 0, open = 0, close = 0;
      for (std::size_t at = 0; (at = text.find("**", at)) != std::string::npos; at += 2) ++stars;
      for (std::size_t at = 0; (at = text.find("《", at)) != std::string::npos; at += 3) ++open;
      for (std::size_t at = 0; (at = text.find("》", at)) != std::string::npos; at += 3) ++close;
      EXPECT_EQ(stars % 2, 0u) << id;
      EXPECT_EQ(open, close) << id;
      EXPECT_TRUE(lang == Lang::easy || open == 0u) << id;
    }
}

TEST_F(PortalMessages, english_is_english) {
  for (const auto& id : ours(Lang::en))
    for (const char c : messages.get(Lang::en, id))
      if (static_cast<unsigned char>(c) >= 0xe3 && static_cast<unsigned char>(c) <= 0xe9) ADD_FAILURE() << id;
}

// Every id that the pages name exists: literal ids in the sources of this folder.
TEST_F(PortalMessages, every_named_text_exists) {
  static const std::regex call("(?:\\.t|\\.r|\\.p|\\.raw|fact|box\\(Tone::[a-z]+,|message_page\\(view, Tone::[a-z]+,|pill\\(view, \"[a-z]+\", \"[a-z]*\",)\\s*\\(?\"([a-z_.A-D]+)\"");
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NORA_SOURCE_DIR "/src/portal")) {
    const auto name = entry.path().filename().string();
    if (!name.ends_with(".cc") || name.ends_with("_test.cc")) continue;
    const auto source = *read_file(entry.path());
    for (auto it = std::sregex_iterator(source.begin(), source.end(), call); it != std::sregex_iterator(); ++it) {
      auto id = (*it)[1].str();
      if (id.ends_with(".")) continue;  // the rest is computed; the page tests walk those
      if (it->str().starts_with("box")) id = "verdict." + id;
      ++found;
      for (const auto lang : all_langs) EXPECT_TRUE(messages.has(lang, "portal." + id)) << name << ": " << id;
    }
  }
  EXPECT_GT(found, 60);
}

}  // namespace
}  // namespace nora::portal
