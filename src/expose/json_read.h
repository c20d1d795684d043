// Reading foreign JSON with the place of every mistake: each error names a JSON pointer (RFC 6901). Used by the importers of vulnerability data only.
// Views into a parsed document: the document must outlive them.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nora::expose {

class JsonPlace {
 public:
  JsonPlace(const json::Value& value, std::string pointer) : value_(&value), pointer_(std::move(pointer)) {}
  const json::Value& value() const { return *value_; }
  const std::string& pointer() const { return pointer_; }
  std::unexpected<Error> bad(std::string_view what) const { return fail(Code::bad_input, fmt::format("{}: {}", pointer_.empty() ? "the document" : pointer_, what)); }
  bool is_object() const { return value_->is_object(); }
  std::optional<JsonPlace> find(std::string_view key) const {
    if (!value_->is_object()) return std::nullopt;
    const auto* v = value_->get_object().if_contains(key);
    if (v == nullptr) return std::nullopt;
    return JsonPlace(*v, pointer_ + "/" + escaped(key));
  }
  Result<JsonPlace> need(std::string_view key) const {
    if (!value_->is_object()) return bad("is not an object");
    if (auto p = find(key)) return *p;
    return bad(fmt::format("\"{}\" is missing", key));
  }
  Result<std::string> text(std::string_view key) const {
    NORA_TRY(const auto p, need(key));
    if (!p.value().is_string()) return p.bad("is not a string");
    return std::string(p.value().get_string());
  }
  // Missing or null: empty.
  Result<std::string> text_or_empty(std::string_view key) const {
    const auto p = find(key);
    if (!p || p->value().is_null()) return std::string();
    if (!p->value().is_string()) return p->bad("is not a string");
    return std::string(p->value().get_string());
  }
  Result<double> number(std::string_view key) const {
    NORA_TRY(const auto p, need(key));
    if (!p.value().is_number()) return p.bad("is not a number");
    return p.value().to_number<double>();
  }
  Result<bool> flag_or(std::string_view key, bool fallback) const {
    const auto p = find(key);
    if (!p || p->value().is_null()) return fallback;
    if (!p->value().is_bool()) return p->bad("is not true or false");
    return p->value().get_bool();
  }
  // Items of a list; missing: none.
  Result<std::vector<JsonPlace>> list(std::string_view key) const {
    const auto p = find(key);
    if (!p) return std::vector<JsonPlace>{};
    return p->items();
  }
  Result<std::vector<JsonPlace>> items() const {
    if (!value_->is_array()) return bad("is not a list");
    std::vector<JsonPlace> out;
    out.reserve(value_->get_array().size());
    std::size_t n = 0;
    for (const auto& v : value_->get_array()) out.emplace_back(v, fmt::format("{}/{}", pointer_, n++));
    return out;
  }
  Result<std::vector<std::string>> strings(std::string_view key) const {
    NORA_TRY(const auto places, list(key));
    std::vector<std::string> out;
    for (const auto& p : places) {
      if (!p.value().is_string()) return p.bad("is not a string");
      out.emplace_back(p.value().get_string());
    }
    return out;
  }
  static std::string escaped(std::string_view key) {
    std::string out;
    for (const char c : key) {
      if (c == '~') out += "~0";
      else if (c == '/') out += "~1";
      else out += c;
    }
    return out;
  }

 private:
  const json::Value* value_;
  std::string pointer_;
};

}  // namespace nora::expose
