// Small readers over toml++ for data files: every mistake is named with file and line. Used by rules.cc and knowledge.cc only.
#pragma once

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nora::expose {

inline constexpr std::size_t max_data_file_bytes = 4u << 20;

class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string_view file) : table_(table), file_(file) {}

  std::unexpected<Error> bad(std::string_view what) const { return fail(Code::bad_input, fmt::format("{}:{}: {}", file_, table_.source().begin.line, what)); }
  // Refuses keys that are not in the list: a misspelt key must not be silently ignored.
  Status only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : table_)
      if (std::find(keys.begin(), keys.end(), key.str()) == keys.end()) return bad(fmt::format("unknown key \"{}\"", key.str()));
    return {};
  }
  bool has(std::string_view key) const { return table_.contains(key); }
  Result<std::string> text(std::string_view key) const {
    if (const auto v = table_[key].value<std::string>(); v && table_[key].is_string()) return *v;
    return bad(fmt::format("\"{}\" is missing or not a string", key));
  }
  Result<std::string> text_or(std::string_view key, std::string_view fallback) const { return has(key) ? text(key) : Result<std::string>(std::string(fallback)); }
  Result<bool> flag_or(std::string_view key, bool fallback) const {
    if (!has(key)) return fallback;
    if (const auto* v = table_[key].as_boolean()) return v->get();
    return bad(fmt::format("\"{}\" is not true or false", key));
  }
  // A string or a list of strings.
  Result<std::vector<std::string>> list(std::string_view key) const {
    std::vector<std::string> out;
    if (!has(key)) return out;
    if (const auto* s = table_[key].as_string()) { out.push_back(s->get()); return out; }
    const auto* array = table_[key].as_array();
    if (array == nullptr) return bad(fmt::format("\"{}\" is not a list of strings", key));
    for (const auto& item : *array) {
      const auto* s = item.as_string();
      if (s == nullptr) return bad(fmt::format("\"{}\" is not a list of strings", key));
      out.push_back(s->get());
    }
    return out;
  }
  Result<std::vector<TomlTable>> tables(std::string_view key) const {
    std::vector<TomlTable> out;
    if (!has(key)) return out;
    const auto* array = table_[key].as_array();
    if (array == nullptr) return bad(fmt::format("\"{}\" is not a list of tables", key));
    for (const auto& item : *array) {
      const auto* t = item.as_table();
      if (t == nullptr) return bad(fmt::format("\"{}\" is not a list of tables", key));
      out.emplace_back(*t, file_);
    }
    return out;
  }
  const toml::table& raw() const { return table_; }

 private:
  const toml::table& table_;
  std::string_view file_;
};

inline Result<toml::table> parse_toml(std::string_view text, std::string_view file) {
  auto parsed = toml::parse(text, file);
  if (!parsed) return fail(Code::bad_input, fmt::format("{}:{}: {}", file, parsed.error().source().begin.line, parsed.error().description()));
  return std::move(parsed).table();
}

}  // namespace nora::expose
