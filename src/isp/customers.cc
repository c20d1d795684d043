#include "isp/customers.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/ip.h"

namespace nora::isp {
namespace {

constexpr std::size_t max_cells = 64, max_cell_bytes = 4096;
constexpr std::string_view known_columns[] = {"line", "keys", "name", "mail", "language", "kind", "opted_out"};

// Enough to keep a broken export out of SMTP commands and headers; real delivery is the judge of the rest.
bool plausible_mail(std::string_view m) {
  auto at = m.find('@');
  if (at == 0 || at == m.npos || at + 1 == m.size() || m.size() > 254 || m.find('@', at + 1) != m.npos) return false;
  return std::ranges::all_of(m, [](unsigned char c) { return c > 0x20 && c < 0x7f && !std::string_view("<>()[],;:\\\"").contains(c); });
}

// "prefix:2001:DB8::/56" and "mac:00:00:5E:…" in the spelling that the importers use.
Result<std::string> canonical_key(std::string_view key) {
  if (key.starts_with("prefix:")) {
    NORA_TRY(auto prefix, Prefix::parse(key.substr(7)));
    return "prefix:" + prefix.text();
  }
  std::string out(key);
  if (key.starts_with("mac:") || key.starts_with("client:") || key.starts_with("duid:"))
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c); });
  return out;
}

std::vector<std::string> words(std::string_view s) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] == ' ') { ++i; continue; }
    auto end = std::min(s.find(' ', i), s.size());
    out.emplace_back(s.substr(i, end - i));
    i = end;
  }
  return out;
}

Result<Customer> customer(const std::vector<std::string>& columns, const std::vector<std::string>& cells) {
  if (cells.size() != columns.size()) return fail(Code::bad_input, fmt::format("{} columns instead of {}", cells.size(), columns.size()));
  Customer c;
  bool keys_given = false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto& v = cells[i];
    if (to_clean_utf8(v) != v) return fail(Code::bad_input, "not UTF-8, or control characters");
    if (columns[i] == "line") c.subscriber.line = LineId(v);
    if (columns[i] == "name") c.subscriber.name = v;
    if (columns[i] == "mail") {
      if (!v.empty() && !plausible_mail(v)) return fail(Code::bad_input, "the mail address is not one");
      c.subscriber.mail = v;
    }
    if (columns[i] == "language" && !v.empty()) { NORA_TRY(c.subscriber.language, parse_lang(v)); }
    if (columns[i] == "kind" && !v.empty()) { NORA_TRY(c.subscriber.kind, parse_line_kind(v)); }
    if (columns[i] == "opted_out") c.subscriber.opted_out = v == "1" || v == "true" || v == "yes";
    if (columns[i] == "keys") {
      keys_given = true;
      for (const auto& w : words(v)) { NORA_TRY(auto key, canonical_key(w)); c.keys.push_back(std::move(key)); }
    }
  }
  if (c.subscriber.line.empty()) return fail(Code::bad_input, "no line");
  if (!keys_given) { NORA_TRY(auto key, canonical_key(c.subscriber.line.reveal())); c.keys.push_back(std::move(key)); }
  return c;
}

}  // namespace

std::string_view name(LineKind kind) {
  switch (kind) {
    case LineKind::residential: return "residential";
    case LineKind::corporate: return "corporate";
    case LineKind::rental: return "rental";
    case LineKind::m2m: return "m2m";
  }
  return "";
}

Result<LineKind> parse_line_kind(std::string_view text) {
  for (auto kind : {LineKind::residential, LineKind::corporate, LineKind::rental, LineKind::m2m})
    if (name(kind) == text) return kind;
  return fail(Code::bad_input, "the kind of a line is residential, corporate, rental or m2m");
}

Result<std::vector<std::string>> csv_record(std::string_view text, std::size_t& pos) {
  std::vector<std::string> cells(1);
  bool quoted = false, was_quoted = false;
  for (; pos < text.size(); ++pos) {
    char c = text[pos];
    if (quoted) {
      if (c != '"') cells.back() += c;
      else if (pos + 1 < text.size() && text[pos + 1] == '"') { cells.back() += '"'; ++pos; }
      else { quoted = false; was_quoted = true; }
    } else if (c == ',') {
      if (cells.size() == max_cells) return fail(Code::bad_input, "too many columns");
      cells.emplace_back();
      was_quoted = false;
    } else if (c == '\n' || (c == '\r' && pos + 1 < text.size() && text[pos + 1] == '\n')) {
      pos += c == '\r' ? 2 : 1;
      return cells;
    } else if (c == '"') {
      if (!cells.back().empty() || was_quoted) return fail(Code::bad_input, "a quote inside a cell");
      quoted = true;
    } else if (was_quoted) {
      return fail(Code::bad_input, "text after a closing quote");
    } else {
      cells.back() += c;
    }
    if (cells.back().size() > max_cell_bytes) return fail(Code::bad_input, "a cell is too long");
  }
  if (quoted) return fail(Code::bad_input, "a quote is not closed");
  return cells;
}

bool is_customer_header(std::string_view first_line) {
  std::size_t pos = 0;
  if (first_line.starts_with("\xef\xbb\xbf")) first_line.remove_prefix(3);
  auto cells = csv_record(first_line, pos);
  return cells && std::ranges::find(*cells, "line") != cells->end();
}

Result<std::vector<Customer>> parse_customers(std::string_view csv, std::string_view file) {
  if (csv.starts_with("\xef\xbb\xbf")) csv.remove_prefix(3);  // Excel's byte order mark
  std::size_t pos = 0;
  NORA_TRY(auto columns, csv_record(csv, pos));
  std::set<std::string> seen_columns;
  for (const auto& c : columns) {
    if (std::ranges::find(known_columns, c) == std::end(known_columns))
      return fail(Code::bad_input, fmt::format("{}: unknown column \"{}\"", file, to_terminal(c)), "Known are line, keys, name, mail, language, kind, opted_out");
    if (!seen_columns.insert(c).second) return fail(Code::bad_input, fmt::format("{}: column \"{}\" twice", file, c));
  }
  if (!seen_columns.contains("line")) return fail(Code::bad_input, fmt::format("{}: no column \"line\"", file));
  std::vector<Customer> out;
  std::unordered_set<std::string> lines;
  std::unordered_map<std::string, std::string> owner;
  for (int record = 2; pos < csv.size(); ++record) {
    auto cells = csv_record(csv, pos);
    if (!cells) return fail(Code::bad_input, fmt::format("{}: record {}: {}", file, record, cells.error().what));
    if (cells->size() == 1 && (*cells)[0].empty()) continue;
    auto c = customer(columns, *cells);
    if (!c) return fail(Code::bad_input, fmt::format("{}: record {}: {}", file, record, c.error().what));
    if (!lines.insert(c->subscriber.line.reveal()).second) return fail(Code::bad_input, fmt::format("{}: record {}: the line stands there twice", file, record));
    for (const auto& key : c->keys)
      if (auto [it, fresh] = owner.emplace(key, c->subscriber.line.reveal()); !fresh && it->second != c->subscriber.line.reveal())
        return fail(Code::bad_input, fmt::format("{}: record {}: another line has the same log key", file, record));
    if (out.size() == max_customers) return fail(Code::bad_input, fmt::format("{}: too many customers", file));
    out.push_back(std::move(*c));
  }
  return out;
}

}  // namespace nora::isp
