#include "identify/matcher.h"

#include <algorithm>
#include <array>

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

// As the reference does it, one field after the other. Needed where a place refers to a text with places, or a capture holds a brace.
Fields Matcher::step_by_step(const Found& found) {
  const auto& [file_at, rule_at, mode, value, slices] = found;
  const RuleFile& file = *file_at;
  const Rule& rule = *rule_at;
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

std::span<const Field> Matcher::fields() {
  fields_.clear();
  made_.clear();
  const auto& plan = found_.rule->plan;
  const auto capture = [&](const FieldPlan& f, std::string_view& out) {
    if (f.kind == FieldPlan::Kind::constant) { out = f.value; return true; }
    const auto& slice = found_.slices[static_cast<std::size_t>(f.group)];
    if (slice.took_part) { out = found_.value.substr(slice.from, slice.to - slice.from); return true; }
    out = f.value;
    return f.has_value;
  };
  bool plain = !plan.empty();
  // Views into made_ are set at the end: it may grow while texts are put together.
  struct Made { std::size_t field, from, length; };
  std::array<Made, 32> made;
  std::size_t made_count = 0;
  for (std::size_t i = 0; plain && i < plan.size(); ++i) {
    const auto& f = plan[i];
    std::string_view value;
    if (f.kind != FieldPlan::Kind::text) {
      if (capture(f, value) && !f.hidden) fields_.push_back({f.name, value});
      continue;
    }
    const auto from = made_.size();
    bool whole = true;
    for (const auto& piece : f.pieces) {
      if (piece.field < 0) { made_ += piece.literal; continue; }
      if (static_cast<std::size_t>(piece.field) < plan.size() && capture(plan[static_cast<std::size_t>(piece.field)], value)) {
        if (value.find('{') != std::string_view::npos) plain = false;
        made_ += value;
      } else if (piece.version) {
        made_ += '-';  // version unknown, see NISTIR 7695 binding in the docs
      } else {
        whole = false;
      }
    }
    if (!whole) {
      ++counters_.field_errors;  // the reference raises an error here; one field is dropped instead of the whole answer
      continue;
    }
    if (f.hidden) continue;
    if (made_count == made.size()) { plain = false; break; }
    made[made_count++] = {fields_.size(), from, made_.size() - from};
    fields_.push_back({f.name, {}});
  }
  if (plain) {
    for (std::size_t i = 0; i < made_count; ++i) fields_[made[i].field].value = std::string_view(made_).substr(made[i].from, made[i].length);
    return fields_;
  }
  slow_ = step_by_step(found_);
  fields_.clear();
  for (const auto& [name, value] : slow_) fields_.push_back({name, value});
  return fields_;
}

bool Matcher::run(const RuleFile& file, const Rule& rule, std::string_view value, Pattern::Mode mode) {
  switch (rule.pattern.match(value, mode, scratch_, found_.slices)) {
    case Pattern::Outcome::miss: return false;
    case Pattern::Outcome::limit: ++counters_.limits; return false;
    case Pattern::Outcome::match: break;
  }
  found_.file = &file;
  found_.rule = &rule;
  found_.mode = mode;
  found_.value = value;
  return true;
}

// One file in one mode. In UTF mode only rules that may answer otherwise than they did in byte mode are asked.
bool Matcher::pass(const RuleFile& file, std::string_view value, Pattern::Mode mode) {
  const auto index = static_cast<std::size_t>(&file - rules_.files().data());
  if (worker_ && index < rules_.files().size() && file.rules.size() >= min_prefiltered_rules) {
    candidates_.clear();
    worker_->candidates(index, value, mode, candidates_);
    return std::any_of(candidates_.begin(), candidates_.end(), [&](std::uint32_t i) { return run(file, file.rules[i], value, mode); });
  }
  return std::any_of(file.rules.begin(), file.rules.end(), [&](const Rule& rule) {
    return (mode == Pattern::Mode::bytes || rule.pattern.utf_sensitive()) && run(file, rule, value, mode);
  });
}

const Found* Matcher::find_in(const RuleFile& file, std::string_view value) {
  value = value.substr(0, max_value_bytes);
  ++counters_.values;
  // Byte mode first (26 binary examples of recog break in UTF mode); a miss on real UTF-8 gets a second try, where "." is a character.
  const bool hit = pass(file, value, Pattern::Mode::bytes) || (has_high_byte(value) && is_valid_utf8(value) && pass(file, value, Pattern::Mode::utf));
  if (!hit) return nullptr;
  ++counters_.matches;
  return &found_;
}

const Found* Matcher::find_anywhere(std::string_view value) {
  value = value.substr(0, max_value_bytes);
  std::vector<std::uint32_t>& hits = anywhere_;
  hits.clear();
  if (!worker_ || !worker_->candidates_of_all(value, hits)) {
    for (const auto i : rules_.by_preference()) if (const auto* found = find_in(rules_.files()[i], value)) return found;
    return nullptr;
  }
  // File by file in the order of preference, and in each file byte mode before UTF mode, as find_in() would.
  const bool text = has_high_byte(value) && is_valid_utf8(value);
  ++counters_.values;
  auto at = hits.begin();
  std::uint32_t base = 0;
  for (const auto i : rules_.by_preference()) {
    if (at == hits.end() && !text) break;
    const auto& file = rules_.files()[i];
    const auto end = base + static_cast<std::uint32_t>(file.rules.size());
    for (; at != hits.end() && *at < end; ++at)
      if (run(file, file.rules[*at - base], value, Pattern::Mode::bytes)) { ++counters_.matches; return &found_; }
    if (text && pass(file, value, Pattern::Mode::utf)) { ++counters_.matches; return &found_; }
    base = end;
  }
  return nullptr;
}

const Found* Matcher::find(std::string_view key, std::string_view value) {
  if (key.empty()) return find_anywhere(value);
  for (const auto i : rules_.files_of(key)) if (const auto* found = find_in(rules_.files()[i], value)) return found;
  return nullptr;
}

std::optional<Match> Matcher::owned(const Found* found) {
  if (found == nullptr) return std::nullopt;
  Match out{found->file, found->rule, {}, found->slices};
  for (const auto& [name, value] : fields()) out.fields.emplace(name, value);
  return out;
}

std::vector<Match> Matcher::identify_all(std::string_view key, std::string_view value) {
  std::vector<Match> out;
  for (const auto i : rules_.files_of(key)) if (auto m = identify_in(rules_.files()[i], value)) out.push_back(std::move(*m));
  return out;
}

std::optional<Match> Matcher::try_rule(const RuleFile& file, const Rule& rule, std::string_view value) {
  value = value.substr(0, max_value_bytes);
  if (run(file, rule, value, Pattern::Mode::bytes)) return owned(&found_);
  if (has_high_byte(value) && is_valid_utf8(value) && run(file, rule, value, Pattern::Mode::utf)) return owned(&found_);
  return std::nullopt;
}

std::optional<Match> identify(const RuleSet& rules, std::string_view key, std::string_view value) {
  Matcher matcher(rules);
  return matcher.identify(key, value);
}

}  // namespace nora::identify
