#include "identify/matcher.h"

#include <algorithm>

namespace nora::identify {

namespace {

// The places {name} of a constant; a name holds no blank and no brace.
std::vector<std::string> places_of(std::string_view value) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '{') continue;
    const auto end = value.find_first_of("{} \t\r\n\f\v", i + 1);
    if (end == std::string_view::npos || value[end] != '}' || end == i + 1) continue;
    std::string name(value.substr(i + 1, end - i - 1));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
    i = end;
  }
  return names;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
}

bool has_high_byte(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

}  // namespace

Fields Matcher::fields_of(const RuleFile& file, const Rule& rule, std::string_view value, const std::vector<Slice>& slices) {
  Fields out;
  out["matched"] = rule.description;
  for (const auto& param : rule.params) {
    if (param.pos == 0) { out[param.name] = param.value; continue; }
    const auto& slice = slices[static_cast<std::size_t>(param.pos)];
    if (slice.took_part) out[param.name] = std::string(value.substr(slice.from, slice.to - slice.from));
    else out.erase(param.name);
  }
  // The reference sets the empty string when the file names no protocol.
  out.try_emplace("service.protocol", file.protocol);
  out["fingerprint_db"] = file.key;
  for (const auto& param : rule.params) {
    if (param.pos != 0 || param.value.find('{') == std::string::npos) continue;
    for (const auto& name : places_of(param.value)) {
      const auto target = out.find(param.name);
      if (target == out.end()) break;
      if (const auto found = out.find(name); found != out.end()) {
        const std::string with = found->second;
        replace_all(target->second, "{" + name + "}", with);
      } else if (param.name.ends_with(".cpe23") && name.ends_with(".version")) {
        replace_all(target->second, "{" + name + "}", "-");  // version unknown, see NISTIR 7695 binding in the docs
      } else {
        ++counters_.field_errors;  // the reference raises an error here; one field is dropped instead of the whole answer
        out.erase(target);
        break;
      }
    }
  }
  std::erase_if(out, [](const auto& field) { return field.first.starts_with("_tmp."); });
  return out;
}

std::optional<Match> Matcher::run(const RuleFile& file, const Rule& rule, std::string_view value, Pattern::Mode mode) {
  switch (rule.pattern.match(value, mode, scratch_, slices_)) {
    case Pattern::Outcome::miss: return std::nullopt;
    case Pattern::Outcome::limit: ++counters_.limits; return std::nullopt;
    case Pattern::Outcome::match: break;
  }
  return Match{&file, &rule, fields_of(file, rule, value, slices_), slices_};
}

std::optional<Match> Matcher::identify_in(const RuleFile& file, std::string_view value) {
  value = value.substr(0, max_value_bytes);
  ++counters_.values;
  const auto index = static_cast<std::size_t>(&file - rules_.files().data());
  const bool known = index < rules_.files().size();
  const auto pass = [&](Pattern::Mode mode) -> std::optional<Match> {
    if (prefilter_ != nullptr && known && mode == Pattern::Mode::bytes) {
      candidates_.clear();
      prefilter_->candidates(index, value, candidates_);
      for (const auto i : candidates_) if (auto m = run(file, file.rules[i], value, mode)) return m;
      return std::nullopt;
    }
    for (const auto& rule : file.rules) if (auto m = run(file, rule, value, mode)) return m;
    return std::nullopt;
  };
  auto found = pass(Pattern::Mode::bytes);
  // Byte mode first (26 binary examples of recog break in UTF mode); a miss on real UTF-8 gets a second try, where "." is a character.
  if (!found && has_high_byte(value) && is_valid_utf8(value)) found = pass(Pattern::Mode::utf);
  if (found) ++counters_.matches;
  return found;
}

std::optional<Match> Matcher::identify(std::string_view key, std::string_view value) {
  if (!key.empty()) {
    for (const auto i : rules_.files_of(key)) if (auto m = identify_in(rules_.files()[i], value)) return m;
    return std::nullopt;
  }
  std::vector<const RuleFile*> order;
  for (const auto& file : rules_.files()) order.push_back(&file);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->preference != b->preference ? a->preference > b->preference : a < b; });  // same vector: load order
  for (const auto* file : order) if (auto m = identify_in(*file, value)) return m;
  return std::nullopt;
}

std::vector<Match> Matcher::identify_all(std::string_view key, std::string_view value) {
  std::vector<Match> out;
  for (const auto i : rules_.files_of(key)) if (auto m = identify_in(rules_.files()[i], value)) out.push_back(std::move(*m));
  return out;
}

std::optional<Match> Matcher::try_rule(const RuleFile& file, const Rule& rule, std::string_view value) {
  value = value.substr(0, max_value_bytes);
  if (auto m = run(file, rule, value, Pattern::Mode::bytes)) return m;
  if (has_high_byte(value) && is_valid_utf8(value)) return run(file, rule, value, Pattern::Mode::utf);
  return std::nullopt;
}

std::optional<Match> identify(const RuleSet& rules, std::string_view key, std::string_view value) {
  Matcher matcher(rules);
  return matcher.identify(key, value);
}

}  // namespace nora::identify
