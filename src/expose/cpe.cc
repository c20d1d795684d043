#include "expose/cpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace nora::expose {
namespace {

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool printable(char c) { return c > 0x20 && c < 0x7f; }

constexpr std::array<std::string_view, cpe_fields> field_names = {"part",     "vendor",     "product",   "version",   "update", "edition",
                                                                  "language", "sw_edition", "target_sw", "target_hw", "other"};

std::unexpected<Error> bad(std::string_view cpe, CpeField field, std::string_view what) {
  return fail(Code::bad_input, fmt::format("not a CPE name: {} {} in \"{}\"", field_names[static_cast<std::size_t>(field)], what, cpe.substr(0, 120)));
}

// A value must not be empty, its wildcards stand at the ends, and a "*" stands alone there ("**" says nothing more).
bool well_formed(std::string_view v) {
  if (v.empty()) return false;
  std::size_t from = 0, to = v.size();
  if (v[0] == '*') from = 1;
  else while (from < to && v[from] == '?') ++from;
  // An unquoted wildcard at the end; a quoted one is preceded by an odd number of backslashes.
  const auto quoted = [&](std::size_t i) {
    std::size_t n = 0;
    while (i > n && v[i - n - 1] == '\\') ++n;
    return n % 2 == 1;
  };
  if (to > from && v[to - 1] == '*' && !quoted(to - 1)) --to;
  else while (to > from && v[to - 1] == '?' && !quoted(to - 1)) --to;
  if (from >= to) return v != "*" && std::all_of(v.begin(), v.end(), [](char c) { return c == '?'; });
  for (std::size_t i = from; i < to; ++i) {
    if (v[i] == '\\') {
      if (++i >= to) return false;
    } else if (!is_plain(v[i])) {
      return false;
    }
  }
  return true;
}

Result<CpeValue> checked(std::string_view cpe, CpeField field, std::string text) {
  if (!well_formed(text)) return bad(cpe, field, "is empty or has a wildcard in its middle");
  if (field == CpeField::part && text != "a" && text != "o" && text != "h") return bad(cpe, field, "is not a, o or h");
  return CpeValue{CpeValue::Kind::text, std::move(text)};
}

Result<CpeValue> from_formatted(std::string_view cpe, CpeField field, std::string_view raw) {
  if (raw == "*") return CpeValue::any();
  if (raw == "-") return CpeValue::na();
  std::string text;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = lower(raw[i]);
    if (c == '\\') {
      if (i + 1 >= raw.size()) return bad(cpe, field, "ends in a backslash");
      const char next = lower(raw[++i]);
      if (!printable(next)) return bad(cpe, field, "quotes a character that is not printable");
      if (!is_plain(next)) text += '\\';
      text += next;
    } else if (is_plain(c) || c == '*' || c == '?') {
      text += c;
    } else if (printable(c)) {
      text += '\\';
      text += c;
    } else {
      return bad(cpe, field, "holds a blank or a character that is not printable");
    }
  }
  return checked(cpe, field, std::move(text));
}

Result<CpeValue> from_uri(std::string_view cpe, CpeField field, std::string_view raw) {
  if (raw.empty()) return CpeValue::any();
  if (raw == "-") return CpeValue::na();
  std::string text;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = lower(raw[i]);
    if (c == '%') {
      const int high = i + 2 < raw.size() + 0 ? hex_digit(raw[i + 1]) : -1, low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) return bad(cpe, field, "has a \"%\" without two hex digits");
      const char decoded = lower(static_cast<char>(high * 16 + low));
      i += 2;
      if (decoded == 0x01) text += '?';
      else if (decoded == 0x02) text += '*';
      else if (!printable(decoded)) return bad(cpe, field, "holds a percent form outside the table");
      else if (is_plain(decoded)) text += decoded;
      else (text += '\\') += decoded;
    } else if (is_plain(c)) {
      text += c;
    } else if (printable(c)) {
      text += '\\';
      text += c;
    } else {
      return bad(cpe, field, "holds a blank or a character that is not printable");
    }
  }
  return checked(cpe, field, std::move(text));
}

std::vector<std::string_view> split_unquoted(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') ++i;
    else if (text[i] == ':') { out.push_back(text.substr(from, i - from)); from = i + 1; }
  }
  out.push_back(text.substr(std::min(from, text.size())));
  return out;
}

Result<Cpe> parse_formatted(std::string_view all, std::string_view rest) {
  const auto pieces = split_unquoted(rest);
  if (pieces.size() != cpe_fields) return fail(Code::bad_input, fmt::format("not a CPE name: {} attributes instead of 11 in \"{}\"", pieces.size(), all.substr(0, 120)));
  Cpe out;
  for (std::size_t i = 0; i < cpe_fields; ++i) { NORA_TRY(out.values[i], from_formatted(all, static_cast<CpeField>(i), pieces[i])); }
  return out;
}

Result<Cpe> parse_uri(std::string_view all, std::string_view rest) {
  const auto pieces = split(rest, ':');
  if (pieces.size() > 7) return fail(Code::bad_input, fmt::format("not a CPE name: more than 7 components in \"{}\"", all.substr(0, 120)));
  Cpe out;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto field = static_cast<CpeField>(i);
    if (field != CpeField::edition || !pieces[i].starts_with('~')) { NORA_TRY(out.values[i], from_uri(all, field, pieces[i])); continue; }
    // The packed edition: ~edition~sw_edition~target_sw~target_hw~other.
    const auto packed = split(pieces[i].substr(1), '~');
    if (packed.size() != 5) return bad(all, field, "is packed but has not five parts");
    constexpr std::array fields = {CpeField::edition, CpeField::sw_edition, CpeField::target_sw, CpeField::target_hw, CpeField::other};
    for (std::size_t k = 0; k < fields.size(); ++k) { NORA_TRY(out[fields[k]], from_uri(all, fields[k], packed[k])); }
  }
  return out;
}

std::string to_formatted(const CpeValue& v) {
  if (v.is_any()) return "*";
  if (v.is_na()) return "-";
  std::string out;
  for (std::size_t i = 0; i < v.text.size(); ++i) {
    if (v.text[i] == '\\' && i + 1 < v.text.size()) {
      const char c = v.text[++i];
      // A value that is only "-" would read as NA.
      if (!(c == '.' || c == '-') || v.text == "\\-") out += '\\';
      out += c;
    } else {
      out += v.text[i];
    }
  }
  return out;
}

std::string to_uri(const CpeValue& v) {
  if (v.is_any()) return "";
  if (v.is_na()) return "-";
  std::string out;
  for (std::size_t i = 0; i < v.text.size(); ++i) {
    const char c = v.text[i];
    if (c == '\\' && i + 1 < v.text.size()) {
      const char next = v.text[++i];
      if ((next == '.' || next == '-') && v.text != "\\-") out += next;
      else out += fmt::format("%{:02x}", static_cast<unsigned char>(next));
    } else if (c == '?') {
      out += "%01";
    } else if (c == '*') {
      out += "%02";
    } else {
      out += c;
    }
  }
  return out;
}

// Units of a WFN value: a quoted pair is one.
std::vector<std::string_view> units(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t n = text[i] == '\\' && i + 1 < text.size() ? 2 : 1;
    out.push_back(text.substr(i, n));
    i += n - 1;
  }
  return out;
}

// Wildcards stand at the ends only: "*" any run, each "?" at most one character.
bool wild_match(std::string_view pattern, std::string_view value) {
  auto p = units(pattern);
  const auto v = units(value);
  std::size_t front = 0, back = 0;
  bool any_front = false, any_back = false;
  while (!p.empty() && (p.front() == "*" || p.front() == "?")) { if (p.front() == "*") any_front = true; else ++front; p.erase(p.begin()); }
  while (!p.empty() && (p.back() == "*" || p.back() == "?")) { if (p.back() == "*") any_back = true; else ++back; p.pop_back(); }
  if (p.size() > v.size()) return false;
  for (std::size_t at = 0; at + p.size() <= v.size(); ++at) {
    if (!std::equal(p.begin(), p.end(), v.begin() + static_cast<std::ptrdiff_t>(at))) continue;
    const std::size_t after = v.size() - at - p.size();
    if ((any_front || at <= front) && (any_back || after <= back)) return true;
    if (p.empty()) return v.size() <= front + back || any_front || any_back;
  }
  return false;
}

}  // namespace

CpeValue CpeValue::literal(std::string_view raw) {
  CpeValue out{Kind::text, {}};
  for (const char each : raw) {
    const char c = lower(each);
    if (is_plain(c)) out.text += c;
    else if (c == ' ') out.text += '_';
    else if (printable(c)) (out.text += '\\') += c;
  }
  return out.text.empty() ? any() : out;
}

bool CpeValue::has_wildcard() const {
  if (!is_text()) return false;
  for (const auto unit : units(text)) if (unit == "*" || unit == "?") return true;
  return false;
}

std::string CpeValue::plain() const {
  if (is_any()) return "*";
  if (is_na()) return "-";
  std::string out;
  for (const auto unit : units(text)) out += unit.back();
  return out;
}

Result<Cpe> Cpe::parse(std::string_view text) {
  if (text.size() > max_cpe_bytes) return fail(Code::bad_input, fmt::format("not a CPE name: longer than {} bytes", max_cpe_bytes));
  const auto starts = [&](std::string_view with) {
    return text.size() >= with.size() && std::equal(with.begin(), with.end(), text.begin(), [](char a, char b) { return a == lower(b); });
  };
  if (starts("cpe:2.3:")) return parse_formatted(text, text.substr(8));
  if (starts("cpe:/")) return parse_uri(text, text.substr(5));
  return fail(Code::bad_input, fmt::format("not a CPE name: \"{}\" begins neither with \"cpe:2.3:\" nor with \"cpe:/\"", text.substr(0, 60)));
}

std::string Cpe::formatted() const {
  std::string out = "cpe:2.3";
  for (const auto& v : values) (out += ':') += to_formatted(v);
  return out;
}

std::string Cpe::uri() const {
  const Cpe& c = *this;
  std::string out = "cpe:/";
  const bool packed = !c[CpeField::sw_edition].is_any() || !c[CpeField::target_sw].is_any() || !c[CpeField::target_hw].is_any() || !c[CpeField::other].is_any();
  for (std::size_t i = 0; i < 7; ++i) {
    const auto field = static_cast<CpeField>(i);
    if (i > 0) out += ':';
    if (field == CpeField::edition && packed)
      out += "~" + to_uri(c[field]) + "~" + to_uri(c[CpeField::sw_edition]) + "~" + to_uri(c[CpeField::target_sw]) + "~" + to_uri(c[CpeField::target_hw]) + "~" +
             to_uri(c[CpeField::other]);
    else out += to_uri(c[field]);
  }
  while (out.back() == ':') out.pop_back();
  return out;
}

Result<RecogCpe> parse_recog_cpe(std::string_view text) {
  NORA_TRY(auto cpe, Cpe::parse(text));
  auto& version = cpe[CpeField::version];
  if (version.is_na()) version = CpeValue::any();
  const bool known = version.is_text();
  return RecogCpe{std::move(cpe), known};
}

std::string_view name(CpeRelation relation) {
  switch (relation) {
    case CpeRelation::disjoint: return "DISJOINT";
    case CpeRelation::equal: return "EQUAL";
    case CpeRelation::subset: return "SUBSET";
    case CpeRelation::superset: return "SUPERSET";
    case CpeRelation::overlap: return "OVERLAP";
    case CpeRelation::undefined: break;
  }
  return "UNDEFINED";
}

CpeRelation compare(const CpeValue& source, const CpeValue& target) {
  using enum CpeRelation;
  if (target.has_wildcard()) return undefined;
  if (source.is_any()) return target.is_any() ? equal : superset;
  if (source.is_na()) return target.is_any() ? subset : target.is_na() ? equal : disjoint;
  if (target.is_any()) return subset;
  if (target.is_na()) return disjoint;
  if (source.text == target.text) return equal;
  return source.has_wildcard() && wild_match(source.text, target.text) ? superset : disjoint;
}

CpeRelation compare(const Cpe& source, const Cpe& target) {
  bool wider = false, narrower = false, open = false;
  for (std::size_t i = 0; i < cpe_fields; ++i) {
    switch (compare(source.values[i], target.values[i])) {
      case CpeRelation::disjoint: return CpeRelation::disjoint;
      case CpeRelation::superset: wider = true; break;
      case CpeRelation::subset: narrower = true; break;
      case CpeRelation::undefined: open = true; break;
      default: break;
    }
  }
  if (open) return CpeRelation::undefined;
  if (wider && narrower) return CpeRelation::overlap;
  return wider ? CpeRelation::superset : narrower ? CpeRelation::subset : CpeRelation::equal;
}

bool covers(const Cpe& source, const Cpe& target) {
  const auto r = compare(source, target);
  return r == CpeRelation::superset || r == CpeRelation::equal;
}

}  // namespace nora::expose
