#include "base/messages.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"

namespace nora {

std::string_view code(Lang lang) { return lang == Lang::ja ? "ja" : lang == Lang::easy ? "easy" : "en"; }
std::string_view html_lang(Lang lang) { return lang == Lang::en ? "en" : "ja"; }

Result<Lang> parse_lang(std::string_view text) {
  for (Lang lang : all_langs) if (code(lang) == text) return lang;
  return fail(Code::bad_input, "not a language", "use ja, easy or en");
}

namespace {

// Reads one C string literal at the end of a line; appends to out.
Status read_literal(std::string_view line, std::string& out, int line_number) {
  const auto bad = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("line {}: {}", line_number, why)); };
  const auto open = line.find('"');
  if (open == std::string_view::npos) return bad("no string");
  for (std::size_t i = open + 1; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (line.find_first_not_of(" \t\r", i + 1) != std::string_view::npos) return bad("text after the string");
      return {};
    }
    if (line[i] != '\\') {
      out += line[i];
      continue;
    }
    if (++i >= line.size()) return bad("the string ends in a backslash");
    switch (line[i]) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case '"': out += '"'; break;
      case '\\': out += '\\'; break;
      default: return bad("unknown escape");
    }
  }
  return bad("the string is not closed");
}

}  // namespace

Result<std::map<std::string, std::string, std::less<>>> parse_po(std::string_view text) {
  std::map<std::string, std::string, std::less<>> out;
  std::string id, value;
  enum class At { none, id, value } at = At::none;
  int line_number = 0;
  const auto finish = [&]() -> Status {
    if (at == At::value && !id.empty() && !out.emplace(id, value).second) return fail(Code::bad_input, fmt::format("line {}: \"{}\" stands twice", line_number, id));
    id.clear();
    value.clear();
    return {};
  };
  while (!text.empty()) {
    ++line_number;
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    const auto body = line.substr(first);
    if (body.starts_with("msgid ")) {
      NORA_CHECK(finish());
      at = At::id;
      NORA_CHECK(read_literal(body, id, line_number));
    } else if (body.starts_with("msgstr ")) {
      if (at != At::id) return fail(Code::bad_input, fmt::format("line {}: msgstr without msgid", line_number));
      at = At::value;
      NORA_CHECK(read_literal(body, value, line_number));
    } else if (body.starts_with('"') && at != At::none) {
      NORA_CHECK(read_literal(body, at == At::id ? id : value, line_number));
    } else {
      return fail(Code::bad_input, fmt::format("line {}: neither msgid, msgstr nor a string", line_number));
    }
  }
  NORA_CHECK(finish());
  return out;
}

Result<Messages> Messages::load(const std::filesystem::path& dir) {
  Messages messages;
  for (Lang lang : all_langs) {
    auto& texts = messages.texts_[static_cast<int>(lang)];
    const auto folder = dir / code(lang);
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) if (entry.path().extension() == ".po") files.push_back(entry.path());
    if (error) return fail(Code::not_found, fmt::format("no message folder {}: {}", folder.string(), error.message()));
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      NORA_TRY(const std::string text, read_file(file, 4u << 20));
      auto parsed = parse_po(text);
      if (!parsed) return fail(parsed.error().code, fmt::format("{}: {}", file.string(), parsed.error().what));
      for (auto& [id, value] : *parsed) {
        if (!texts.emplace(id, std::move(value)).second) return fail(Code::bad_input, fmt::format("{}: \"{}\" stands in another file of this language too", file.string(), id));
      }
    }
  }
  return messages;
}

std::string fill(std::string_view pattern, const std::vector<std::pair<std::string_view, std::string>>& args) {
  std::string out;
  while (!pattern.empty()) {
    const auto open = pattern.find('{');
    out += pattern.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = pattern.find('}', open);
    if (close == std::string_view::npos) {
      out += pattern.substr(open);
      break;
    }
    const auto name = pattern.substr(open + 1, close - open - 1);
    const auto arg = std::find_if(args.begin(), args.end(), [&](const auto& a) { return a.first == name; });
    if (arg != args.end()) out += arg->second;
    else out += pattern.substr(open, close - open + 1);
    pattern.remove_prefix(close + 1);
  }
  return out;
}

std::string Messages::get(Lang lang, std::string_view id, const std::vector<std::pair<std::string_view, std::string>>& args) const {
  const auto& texts = texts_[static_cast<int>(lang)];
  const auto found = texts.find(id);
  return found == texts.end() ? std::string(id) : fill(found->second, args);
}

bool Messages::has(Lang lang, std::string_view id) const { return texts_[static_cast<int>(lang)].contains(id); }

std::vector<std::string> Messages::ids(Lang lang) const {
  std::vector<std::string> out;
  for (const auto& [id, text] : texts_[static_cast<int>(lang)]) out.push_back(id);
  return out;
}

}  // namespace nora
