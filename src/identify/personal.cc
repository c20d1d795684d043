#include "identify/personal.h"

#include <algorithm>
#include <array>
#include <optional>

namespace nora::identify {
namespace {

// One character: its bytes and code point. Broken UTF-8 is one byte with code point 0xfffd.
struct Char {
  std::size_t from = 0, to = 0;
  char32_t code = 0;
};

std::vector<Char> chars_of(std::string_view text) {
  std::vector<Char> out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    std::size_t n = 1;
    char32_t code = c;
    if (c >= 0x80) {
      n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
      code = n == 4 ? c & 0x07u : n == 3 ? c & 0x0fu : n == 2 ? c & 0x1fu : 0xfffd;
      if (n == 1 || i + n > text.size()) n = 1, code = 0xfffd;
      for (std::size_t k = 1; k < n; ++k) {
        const auto next = static_cast<unsigned char>(text[i + k]);
        if ((next & 0xc0u) != 0x80u) { n = 1, code = 0xfffd; break; }
        code = code << 6 | (next & 0x3fu);
      }
    }
    out.push_back({i, i + n, code});
    i += n;
  }
  return out;
}

bool is_digit(char32_t c) { return (c >= '0' && c <= '9') || (c >= 0xff10 && c <= 0xff19); }
bool is_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_upper(char32_t c) { return c >= 'A' && c <= 'Z'; }
bool is_japanese(char32_t c) { return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3041 && c <= 0x30ff) || c == 0x3005; }  // kanji, kana, 々
bool is_name_kana(char32_t c) { return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x30a1 && c <= 0x30ff) || c == 0x3005; }  // what names are written in
bool is_end_of_value(char32_t c) { return c == '\n' || c == '\r' || c == '<' || c == ';' || c == '|' || c == '"' || c == 0; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// Makers whose own name in a banner is the product's, not the owner's. Facts only: names of companies that sell such devices.
constexpr std::array known_makers = {"panasonic", "canon", "sony", "buffalo", "nec", "yamaha", "elecom", "logitec", "planex", "i-o data", "ricoh", "brother", "epson", "sharp", "fujitsu", "hitachi",
                                     "toshiba", "mitsubishi", "omron", "contec", "keyence", "hikvision", "dahua", "axis", "tp-link", "asus", "netgear", "d-link", "cisco", "juniper", "fortinet",
                                     "mikrotik", "draytek", "zyxel", "qnap", "synology", "ubiquiti", "huawei", "zte", "realtek", "moxa", "lantronix", "siemens", "schneider", "rockwell",
                                     "allied telesis", "furukawa", "iij", "century systems", "hewlett", "dell", "lenovo", "intel", "microsoft", "apache", "lighttpd", "acme", "xerox", "kyocera",
                                     "パナソニック", "キヤノン", "ソニー", "バッファロー", "ヤマハ", "エレコム", "ロジテック", "三菱電機", "オムロン", "日本電気", "富士通", "日立", "東芝", "コンテック"};

bool names_maker(std::string_view text, const std::vector<std::string>& makers) {
  const auto low = lower(text);
  const auto inside = [&](std::string_view maker) { return !maker.empty() && low.find(maker) != std::string::npos; };
  return std::any_of(known_makers.begin(), known_makers.end(), [&](const char* m) { return inside(m); }) ||
         std::any_of(makers.begin(), makers.end(), [&](const auto& m) { return inside(lower(m)); });
}

struct Reader {
  std::string_view text;
  std::vector<Char> chars;
  const std::vector<std::string>& makers;
  std::vector<PersonalPart> found;

  std::string_view slice(std::size_t from, std::size_t to) const { return text.substr(chars[from].from, chars[to - 1].to - chars[from].from); }
  void add(std::size_t from, std::size_t to, PersonalKind kind) {
    if (from < to) found.push_back({chars[from].from, chars[to - 1].to, kind});
  }
  // The character index that starts at this byte, or the first after it.
  std::size_t index_of(std::size_t byte) const {
    return static_cast<std::size_t>(std::lower_bound(chars.begin(), chars.end(), byte, [](const Char& c, std::size_t b) { return c.from < b; }) - chars.begin());
  }

  void emails() {
    const auto word = [](char32_t c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == '+'; };
    for (std::size_t i = 0; i < chars.size(); ++i) {
      if (chars[i].code != '@') continue;
      std::size_t from = i, to = i + 1, dots = 0;
      while (from > 0 && word(chars[from - 1].code)) --from;
      while (to < chars.size() && word(chars[to].code)) dots += chars[to].code == '.', ++to;
      while (to > i + 1 && chars[to - 1].code == '.') --to, --dots;
      if (from < i && to > i + 3 && dots > 0) add(from, to, PersonalKind::email);
    }
  }

  // 03-1234-5678, (03)1234-5678, +81 3 1234 5678, 090-1234-5678; not a version, a date, an address of the network or a part of a longer word.
  void phones() {
    const auto joins = [](char32_t c) { return c == '-' || c == '(' || c == ')' || c == ' ' || c == 0x2010 || c == 0x2212 || c == 0xff0d || c == 0x30fc; };
    for (std::size_t i = 0; i < chars.size(); ++i) {
      const auto c = chars[i].code;
      const bool starts = c == '+' || c == '(' || is_digit(c);
      if (!starts) continue;
      if (i > 0 && (is_letter(chars[i - 1].code) || is_digit(chars[i - 1].code) || std::u32string_view(U".:-_/=%#").find(chars[i - 1].code) != std::u32string_view::npos)) {
        // "TEL:03-…" is one all the same.
        const auto before = lower(text.substr(chars[i].from >= 5 ? chars[i].from - 5 : 0, std::min<std::size_t>(5, chars[i].from)));
        if (before.find("tel") == std::string::npos && before.find("fax") == std::string::npos) {
          while (i + 1 < chars.size() && is_digit(chars[i + 1].code)) ++i;
          continue;
        }
      }
      std::size_t k = i, digits = 0, separators = 0, last_digit = i;
      char32_t first = 0;
      for (; k < chars.size() && (is_digit(chars[k].code) || joins(chars[k].code) || (k == i && c == '+')); ++k) {
        if (is_digit(chars[k].code)) {
          if (digits++ == 0) first = chars[k].code >= 0xff10 ? chars[k].code - 0xff10 + '0' : chars[k].code;
          last_digit = k;
        } else if (k > i && is_digit(chars[k - 1].code)) {
          ++separators;
        }
        if (k > i + 1 && joins(chars[k].code) && joins(chars[k - 1].code) && chars[k].code == ' ') break;
      }
      const auto after = last_digit + 1 < chars.size() ? chars[last_digit + 1].code : U'\0';
      const bool open_end = is_letter(after) || after == '.' || after == ':' || after == '_' || after == '%';
      const auto shown = slice(i, last_digit + 1);
      const bool inside = shown.find('-') != std::string_view::npos || shown.find('(') != std::string_view::npos || c == '+' || c >= 0xff10;
      if (!open_end && inside && ((c == '+' && digits >= 9 && digits <= 15) || (first == '0' && digits >= 9 && digits <= 11 && separators >= 1))) add(i, last_digit + 1, PersonalKind::phone);
      i = std::max(i, last_digit);
    }
  }

  // What stands behind a word like "contact:" up to the end of its line or tag.
  void labels() {
    struct Label { std::string_view word; PersonalKind kind; };
    static constexpr Label words[] = {{"contact", PersonalKind::contact}, {"administrator", PersonalKind::contact}, {"admin", PersonalKind::contact}, {"owner", PersonalKind::contact},
                                      {"operator", PersonalKind::contact}, {"maintained by", PersonalKind::contact}, {"managed by", PersonalKind::contact}, {"連絡先", PersonalKind::contact},
                                      {"担当者", PersonalKind::contact}, {"担当", PersonalKind::contact}, {"管理者", PersonalKind::contact}, {"責任者", PersonalKind::contact},
                                      {"氏名", PersonalKind::contact}, {"管理", PersonalKind::contact}, {"保守", PersonalKind::contact}, {"施工", PersonalKind::contact}, {"設置", PersonalKind::address}, {"location", PersonalKind::address}, {"installed at", PersonalKind::address}, {"address", PersonalKind::address},
                                      {"設置場所", PersonalKind::address}, {"所在地", PersonalKind::address}, {"住所", PersonalKind::address}};
    const auto low = lower(text);
    for (const auto& label : words) {
      for (auto at = low.find(label.word); at != std::string::npos; at = low.find(label.word, at + label.word.size())) {
        if (at > 0 && label.word[0] < 0x7f && is_letter(static_cast<unsigned char>(low[at - 1])) && low.compare(at - std::min<std::size_t>(at, 3), 3, "sys") != 0) continue;
        std::size_t i = index_of(at + label.word.size());
        while (i < chars.size() && (chars[i].code == ' ' || chars[i].code == '\t')) ++i;
        if (i >= chars.size() || (chars[i].code != ':' && chars[i].code != '=' && chars[i].code != 0xff1a)) continue;
        ++i;
        while (i < chars.size() && (chars[i].code == ' ' || chars[i].code == '\t' || chars[i].code == '"' || chars[i].code == '\'')) ++i;
        std::size_t end = i;
        while (end < chars.size() && !is_end_of_value(chars[end].code) && chars[end].to - chars[i].from <= max_label_value_bytes) ++end;
        while (end > i && chars[end - 1].code == ' ') --end;
        if (end <= i) continue;
        const auto value = lower(slice(i, end));
        // A redirect ("Location: /login"), a number of the network, a word of a form: these name nobody.
        if (value[0] == '/' || value.starts_with("http") || value.starts_with("javascript") || value.find_first_not_of("0123456789abcdef.:/") == std::string::npos) continue;
        add(i, end, label.kind);
      }
    }
  }

  void japanese_organisations() {
    static constexpr std::u32string_view before[] = {U"株式会社", U"有限会社", U"合同会社", U"一般社団法人", U"医療法人", U"学校法人", U"社会福祉法人", U"(株)", U"(有)"};
    static constexpr std::u32string_view behind[] = {U"株式会社", U"有限会社", U"合同会社", U"小学校", U"中学校", U"高等学校", U"高校", U"大学", U"幼稚園", U"保育園", U"病院", U"医院", U"診療所",
                                                     U"クリニック", U"歯科", U"薬局", U"市役所", U"区役所", U"町役場", U"村役場", U"県庁", U"消防署", U"警察署", U"農協", U"漁協", U"協同組合",
                                                     U"浄水場", U"工務店", U"商店", U"旅館", U"ホテル", U"老人ホーム"};
    const auto stands = [&](std::size_t i, std::u32string_view word) {
      if (i + word.size() > chars.size()) return false;
      for (std::size_t k = 0; k < word.size(); ++k) if (chars[i + k].code != word[k]) return false;
      return true;
    };
    const auto part_of_name = [&](std::size_t i) { return is_name_kana(chars[i].code) || (is_letter(chars[i].code) && !is_japanese(chars[i].code)); };
    for (std::size_t i = 0; i < chars.size(); ++i) {
      for (const auto word : before) {
        if (!stands(i, word)) continue;
        std::size_t to = i + word.size();
        while (to < chars.size() && part_of_name(to)) ++to;
        if (to > i + word.size() && !names_maker(slice(i, to), makers)) add(i, to, PersonalKind::organisation);
      }
      for (const auto word : behind) {
        if (!stands(i, word)) continue;
        std::size_t from = i;
        while (from > 0 && i - from < 20 && (part_of_name(from - 1) || is_japanese(chars[from - 1].code))) --from;
        if (from < i && !names_maker(slice(from, i + word.size()), makers)) add(from, i + word.size(), PersonalKind::organisation);
      }
    }
  }

  void japanese_addresses() {
    for (std::size_t i = 0; i < chars.size(); ++i) {
      if (chars[i].code == 0x3012) {  // 〒
        std::size_t to = i + 1;
        while (to < chars.size() && (is_digit(chars[to].code) || chars[to].code == '-' || chars[to].code == 0x2212 || chars[to].code == ' ' || chars[to].code == 0xff0d)) ++to;
        while (to < chars.size() && (is_japanese(chars[to].code) || is_digit(chars[to].code) || chars[to].code == '-')) ++to;
        if (to > i + 4) add(i, to, PersonalKind::address);
      }
      // …都/道/府/県 … 市/区/町/村 … and what follows of it.
      if (chars[i].code != U'都' && chars[i].code != U'道' && chars[i].code != U'府' && chars[i].code != U'県') continue;
      std::size_t from = i;
      while (from > 0 && is_name_kana(chars[from - 1].code) && i - from < 4) --from;
      if (i - from < 2) continue;
      std::size_t to = i + 1;
      bool town = false;
      while (to < chars.size() && to - i < 40 && (is_japanese(chars[to].code) || is_digit(chars[to].code) || chars[to].code == '-' || chars[to].code == 0x2212 || chars[to].code == 0xff0d)) {
        town = town || chars[to].code == U'市' || chars[to].code == U'区' || chars[to].code == U'町' || chars[to].code == U'村';
        ++to;
      }
      if (town) add(from, to, PersonalKind::address);
    }
  }

  // English names: up to five words with a capital before "Inc." and the like, and "12 Main Street".
  void english() {
    struct Word { std::size_t from, to; std::string low; bool capital, number; };
    std::vector<Word> words;
    for (std::size_t i = 0; i < chars.size();) {
      if (!is_letter(chars[i].code) && !is_digit(chars[i].code)) { ++i; continue; }
      std::size_t to = i;
      bool digits = true;
      while (to < chars.size() && (is_letter(chars[to].code) || is_digit(chars[to].code) || (chars[to].code == '\'' && to + 1 < chars.size() && is_letter(chars[to + 1].code)))) {
        digits = digits && is_digit(chars[to].code);
        ++to;
      }
      words.push_back({i, to, lower(slice(i, to)), is_upper(chars[i].code), digits});
      i = to;
    }
    // Only a blank, a comma or an ampersand stands between the words of one name.
    const auto joined = [&](std::size_t a, std::size_t b) {
      for (std::size_t i = words[a].to; i < words[b].from; ++i)
        if (chars[i].code != ' ' && chars[i].code != ',' && chars[i].code != '&' && chars[i].code != '.') return false;
      return words[b].from - words[a].to <= 3;
    };
    static constexpr std::array company = {"inc", "ltd", "limited", "corporation", "corp", "llc", "gmbh", "kk", "university", "college", "hospital", "clinic", "school", "kindergarten", "church",
                                           "hotel", "factory", "laboratory", "municipality"};
    static constexpr std::array street = {"street", "road", "avenue", "boulevard", "lane", "strasse"};
    for (std::size_t w = 0; w < words.size(); ++w) {
      const bool is_company = std::find(company.begin(), company.end(), words[w].low) != company.end() && words[w].capital;
      const bool is_street = std::find(street.begin(), street.end(), words[w].low) != street.end() && words[w].capital;
      if (!is_company && !is_street) continue;
      std::size_t first = w;
      while (first > 0 && w - first < 5 && joined(first - 1, first) && (words[first - 1].capital || words[first - 1].low == "of" || (is_street && words[first - 1].number))) --first;
      if (first == w) continue;
      if (is_street && !words[first].number) continue;
      // A little to the left as well: "I-O DATA" is parted by its hyphen.
      if (is_company && names_maker(slice(words[first].from - std::min<std::size_t>(words[first].from, 4), words[w].to), makers)) continue;
      add(words[first].from, words[w].to, is_street ? PersonalKind::address : PersonalKind::organisation);
    }
  }
};

}  // namespace

std::string_view name(PersonalKind kind) {
  switch (kind) {
    case PersonalKind::email: return "email";
    case PersonalKind::phone: return "phone";
    case PersonalKind::contact: return "contact";
    case PersonalKind::address: return "address";
    case PersonalKind::organisation: return "organisation";
  }
  return "";
}

std::vector<PersonalPart> personal_parts(std::string_view whole, const std::vector<std::string>& makers) {
  const auto text = whole.substr(0, max_personal_bytes);
  Reader r{text, chars_of(text), makers, {}};
  r.emails();
  r.phones();
  r.labels();
  r.japanese_organisations();
  r.japanese_addresses();
  r.english();
  if (whole.size() > text.size()) r.found.push_back({text.size(), whole.size(), PersonalKind::contact});
  std::sort(r.found.begin(), r.found.end(), [](const auto& a, const auto& b) { return a.from != b.from ? a.from < b.from : a.to > b.to; });
  std::vector<PersonalPart> out;
  for (const auto& part : r.found) {
    if (!out.empty() && part.from < out.back().to) out.back().to = std::max(out.back().to, part.to);
    else out.push_back(part);
  }
  return out;
}

std::string without_names(std::string_view text, const std::vector<std::string>& makers) {
  std::string out;
  std::size_t at = 0;
  for (const auto& part : personal_parts(text, makers)) {
    out += text.substr(at, part.from - at);
    out += mask;
    at = part.to;
  }
  out += text.substr(at);
  return out;
}

}  // namespace nora::identify
