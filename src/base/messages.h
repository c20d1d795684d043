// Message catalogues: gettext .po files, one per language (ja, easy, en). Used by pages, mails and the command line.
// Read once at start, immutable afterwards, any thread. A missing message is visible (the id is returned) and found by a test.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace nora {

enum class Lang { ja, easy, en };  // easy = やさしい日本語
inline constexpr Lang all_langs[] = {Lang::ja, Lang::easy, Lang::en};
std::string_view code(Lang lang);        // "ja", "easy", "en": used in URLs and file names
std::string_view html_lang(Lang lang);   // "ja", "ja", "en"
Result<Lang> parse_lang(std::string_view code);

class Messages {
 public:
  // Reads every <dir>/<lang>/*.po, for each language. Errors: bad_input with file and line.
  static Result<Messages> load(const std::filesystem::path& dir);
  // The text of id; {name} places are filled from args. The result is plain text, to be escaped by the sink.
  std::string get(Lang lang, std::string_view id, const std::vector<std::pair<std::string_view, std::string>>& args = {}) const;
  bool has(Lang lang, std::string_view id) const;
  std::vector<std::string> ids(Lang lang) const;

 private:
  std::map<std::string, std::string, std::less<>> texts_[3];
};

// The .po reader alone (fuzzed): msgid/msgstr pairs with C escapes and continued strings; comments and the header entry are skipped.
Result<std::map<std::string, std::string, std::less<>>> parse_po(std::string_view text);
// Fills {name} places; unknown places stay as they are.
std::string fill(std::string_view pattern, const std::vector<std::pair<std::string_view, std::string>>& args);

}  // namespace nora
