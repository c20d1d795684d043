#include "identify/words.h"

#include <algorithm>
#include <array>

namespace nora::identify {

std::set<std::string> words_of(std::string_view name) {
  static constexpr std::array<std::string_view, 12> suffixes = {"inc", "co", "ltd", "corp", "corporation", "company", "gmbh", "llc", "kk", "the", "limited", "device"};
  std::set<std::string> out;
  std::string word;
  const auto flush = [&] {
    while (!word.empty() && (word.back() == '-' || word.back() == '.')) word.pop_back();
    if (!word.empty() && std::find(suffixes.begin(), suffixes.end(), word) == suffixes.end()) out.insert(word);
    word.clear();
  };
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if ((u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || u >= 0x80) word += c;
    else if (u >= 'A' && u <= 'Z') word += static_cast<char>(u + 32);
    else if ((c == '-' || c == '.') && !word.empty()) word += c;  // inside a model name
    else flush();
  }
  flush();
  return out;
}

bool covers(std::string_view specific, std::string_view general) {
  const auto big = words_of(specific), small = words_of(general);
  return std::includes(big.begin(), big.end(), small.begin(), small.end());
}

bool compatible(std::string_view a, std::string_view b) { return covers(a, b) || covers(b, a); }

std::string normal(std::string_view name) {
  std::string out;
  for (const auto& word : words_of(name)) { if (!out.empty()) out += ' '; out += word; }
  return out;
}

}  // namespace nora::identify
