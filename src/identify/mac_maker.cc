#include "identify/mac_maker.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

#include "base/crypto.h"
#include "base/files.h"
#include "base/text.h"

namespace nora::identify {
namespace {

constexpr std::array<int, 3> bits = {24, 28, 36};  // MA-L, MA-M, MA-S and IAB
constexpr std::array<const char*, 4> file_names = {"oui.csv", "mam.csv", "oui36.csv", "iab.csv"};

// Hex digits of at most 16, and how many they were; nothing when another character stands among them.
std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t out = 0;
  for (const char c : digits) {
    const int d = hex_digit(c);
    if (d < 0) return std::nullopt;
    out = out << 4 | static_cast<std::uint64_t>(d);
  }
  return out;
}

std::optional<std::uint64_t> address(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == ':' || c == '-' || c == '.' || c == ' ') continue;
    if (digits.size() >= 12) return std::nullopt;
    digits += c;
  }
  return digits.size() == 12 ? number(digits) : std::nullopt;
}

}  // namespace

Result<MacMakers> MacMakers::load(const std::filesystem::path& directory) {
  MacMakers out;
  bool any = false;
  for (const auto* name : file_names) {
    auto text = read_file(directory / name, max_registry_file_bytes);
    if (!text) {
      if (text.error().code == Code::not_found) continue;
      return fail(text.error().code, text.error().what, text.error().fix);
    }
    any = true;
    if (out.add(std::move(*text)) == 0)
      return fail(Code::bad_input, (directory / name).string() + " holds no assignment of the IEEE", "reinstall the package ieee-data, or name its directory");
  }
  if (!any) return fail(Code::not_found, "no registry of MAC addresses in " + directory.string(), "apt-get install ieee-data; makers are then also known by leaked MAC addresses");
  return out;
}

// Registry,Assignment,Organization Name,Organization Address: "MA-L,002272,American Micro-Fuel Device Corp.,2181 …". Only the third field is
// read besides the number, in quotes when it holds a comma.
std::size_t MacMakers::add(std::string text) {
  content_ = sha256({ByteView(content_), as_bytes(text)});
  const auto number_of_text = static_cast<std::uint32_t>(texts_.size());
  texts_.push_back(std::move(text));
  const std::string_view all = texts_.back();
  std::size_t count = 0;
  for (std::size_t at = 0; at < all.size();) {
    auto end = all.find('\n', at);
    if (end == std::string_view::npos) end = all.size();
    const auto line = all.substr(at, end - at);
    const auto start = at;
    at = end + 1;
    const auto first = line.find(',');
    if (first == std::string_view::npos) continue;
    const auto second = line.find(',', first + 1);
    if (second == std::string_view::npos) continue;
    const auto digits = line.substr(first + 1, second - first - 1);
    const auto width = std::find(bits.begin(), bits.end(), static_cast<int>(digits.size()) * 4);
    const auto prefix = number(digits);
    if (width == bits.end() || !prefix) continue;
    std::size_t from = second + 1, stop;
    if (from < line.size() && line[from] == '"') {
      stop = ++from;
      while (stop < line.size() && (line[stop] != '"' || (stop + 1 < line.size() && line[stop + 1] == '"'))) stop += line[stop] == '"' ? 2 : 1;
      stop = std::min(stop, line.size());
    } else {
      stop = std::min(line.find(',', from), line.size());
    }
    entries_[static_cast<std::size_t>(width - bits.begin())].push_back({*prefix, number_of_text, static_cast<std::uint32_t>(start + from), static_cast<std::uint32_t>(stop - from)});
    ++count;
  }
  for (auto& list : entries_) std::stable_sort(list.begin(), list.end(), [](const Entry& a, const Entry& b) { return a.prefix < b.prefix; });
  return count;
}

std::string MacMakers::of(std::string_view mac) const {
  const auto value = address(mac);
  if (!value || (*value >> 40 & 0x03) != 0) return {};
  for (std::size_t k = bits.size(); k-- > 0;) {
    const auto prefix = *value >> (48 - bits[k]);
    const auto it = std::lower_bound(entries_[k].begin(), entries_[k].end(), prefix, [](const Entry& e, std::uint64_t p) { return e.prefix < p; });
    if (it == entries_[k].end() || it->prefix != prefix) continue;
    std::string out;
    const auto raw = std::string_view(texts_[it->text]).substr(it->from, it->length);
    for (std::size_t i = 0; i < raw.size(); ++i) {
      out += raw[i];
      if (raw[i] == '"') ++i;  // doubled inside quotes
    }
    while (!out.empty() && std::isspace(static_cast<unsigned char>(out.back()))) out.pop_back();
    out.erase(0, std::min(out.find_first_not_of(" \t"), out.size()));
    return out;
  }
  return {};
}

}  // namespace nora::identify
