#include "isp/index_files.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/files.h"
#include "base/json.h"

namespace nora::isp {
namespace {

// A name in CURRENT must not lead out of the directory.
Status plain_name(const std::string& name) {
  if (!std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; }))
    return fail(Code::bad_input, "a file name in the index's CURRENT file is not plain");
  return {};
}

}  // namespace

Result<Manifest> read_manifest(const std::filesystem::path& dir) {
  std::error_code ignored;
  if (!std::filesystem::exists(dir / "CURRENT", ignored))
    return fail(Code::not_found, fmt::format("{} holds no lease index", dir.string()), "Import logs first: nora isp import --index DIR FILE");
  NORA_TRY(auto text, read_file(dir / "CURRENT"));
  NORA_TRY(auto o, json::parse_object(text));
  NORA_TRY(auto version, json::get_int(o, "version"));
  if (version != index_version)
    return fail(Code::bad_input, fmt::format("{}: index version {} instead of {}", dir.string(), version, index_version), "Delete the index directory and import the logs again");
  Manifest m;
  NORA_TRY(auto records, json::get_array(o, "records"));
  for (const auto& r : records) {
    if (!r.is_string()) return fail(Code::bad_input, "CURRENT: a record file name is no string");
    m.records.emplace_back(r.as_string());
    NORA_CHECK(plain_name(m.records.back()));
  }
  m.lookup = json::string_or(o, "lookup");
  m.lines = json::string_or(o, "lines");
  m.mape = json::string_or(o, "mape");
  for (const auto& name : {m.lookup, m.lines, m.mape}) NORA_CHECK(plain_name(name));
  NORA_TRY(m.covered_until, json::get_instant(o, "covered_until"));
  m.record_count = json::int_or(o, "record_count", 0);
  m.interval_count = json::int_or(o, "interval_count", 0);
  NORA_TRY(auto clocks, json::get_object(o, "clocks"));
  for (const auto& [nas, v] : clocks) {
    if (!v.is_object()) return fail(Code::bad_input, "CURRENT: clocks");
    const auto& c = v.as_object();
    m.clocks[std::string(nas)] = {{json::int_or(c, "skew_us", 0)}, {json::int_or(c, "error_us", 1'000'000)}, json::bool_or(c, "trusted", true), json::int_or(c, "samples", 0)};
  }
  return m;
}

std::string manifest_text(const Manifest& m) {
  json::Array records;
  for (const auto& r : m.records) records.emplace_back(r);
  json::Object clocks;
  for (const auto& [nas, c] : m.clocks)
    clocks[nas] = json::Object{{"skew_us", c.skew.us}, {"error_us", c.error.us}, {"trusted", c.trusted}, {"samples", c.samples}};
  return json::text(json::Object{{"version", index_version}, {"records", records}, {"lookup", m.lookup}, {"lines", m.lines}, {"mape", m.mape},
                                 {"covered_until", m.covered_until.text()}, {"record_count", m.record_count}, {"interval_count", m.interval_count},
                                 {"clocks", clocks}}) +
         "\n";
}

Result<std::unordered_map<std::string, std::string>> load_lines(const std::filesystem::path& dir, const Manifest& m) {
  std::unordered_map<std::string, std::string> out;
  if (m.lines.empty()) return out;
  NORA_TRY(auto text, read_file(dir / m.lines, std::size_t{1} << 30));
  // One pair a line, tab between: log keys and lines hold no control characters (customers.cc).
  for (std::size_t pos = 0; pos < text.size();) {
    auto end = text.find('\n', pos), tab = text.find('\t', pos);
    if (end == text.npos || tab == text.npos || tab > end) return fail(Code::bad_input, fmt::format("{} is damaged", m.lines));
    out.emplace(text.substr(pos, tab - pos), text.substr(tab + 1, end - tab - 1));
    pos = end + 1;
  }
  return out;
}

std::string lines_text(const std::unordered_map<std::string, std::string>& lines) {
  std::map<std::string_view, std::string_view> sorted(lines.begin(), lines.end());
  std::string out;
  for (const auto& [key, line] : sorted) out += fmt::format("{}\t{}\n", key, line);
  return out;
}

Result<std::map<std::string, std::vector<MapeRule>>> load_mape(const std::filesystem::path& dir, const Manifest& m) {
  std::map<std::string, std::vector<MapeRule>> out;
  if (m.mape.empty()) return out;
  NORA_TRY(auto text, read_file(dir / m.mape));
  NORA_TRY(auto o, json::parse_object(text));
  for (const auto& [file, list] : o) {
    auto& rules = out[std::string(file)];
    if (!list.is_array()) return fail(Code::bad_input, fmt::format("{} is damaged", m.mape));
    for (const auto& v : list.as_array()) {
      if (!v.is_object()) return fail(Code::bad_input, fmt::format("{} is damaged", m.mape));
      const auto& r = v.as_object();
      MapeRule rule;
      NORA_TRY(auto v4, json::get_string(r, "ipv4"));
      NORA_TRY(auto v6, json::get_string(r, "ipv6"));
      NORA_TRY(rule.ipv4, Prefix::parse(v4));
      NORA_TRY(rule.ipv6, Prefix::parse(v6));
      rule.ea_bits = static_cast<int>(json::int_or(r, "ea_bits", 0));
      rule.psid_offset = static_cast<int>(json::int_or(r, "psid_offset", 0));
      rule.psid_length = static_cast<int>(json::int_or(r, "psid_length", 0));
      rule.valid_from = {json::int_or(r, "valid_from_us", 0)};
      rule.valid_to = {json::int_or(r, "valid_to_us", 0)};
      rule.file = std::string(file);
      rule.offset = static_cast<std::uint64_t>(json::int_or(r, "offset", 0));
      NORA_TRY(auto hash, json::get_string(r, "hash"));
      NORA_TRY(rule.hash, hash_from_hex(hash));
      if (rule.ea_bits < 0 || rule.ea_bits > 48 || rule.psid_offset < 0 || rule.psid_length < 0 || rule.psid_offset + rule.psid_length > 16 || !rule.ipv4.is_v4() ||
          rule.ipv6.is_v4() || rule.ipv6.length() + rule.ea_bits > 64)
        return fail(Code::bad_input, fmt::format("{} is damaged", m.mape));
      rules.push_back(std::move(rule));
    }
  }
  return out;
}

std::string mape_text(const std::map<std::string, std::vector<MapeRule>>& rules) {
  json::Object o;
  for (const auto& [file, list] : rules) {
    json::Array array;
    for (const auto& r : list)
      array.push_back(json::Object{{"ipv4", r.ipv4.text()}, {"ipv6", r.ipv6.text()}, {"ea_bits", r.ea_bits}, {"psid_offset", r.psid_offset}, {"psid_length", r.psid_length},
                                   {"valid_from_us", r.valid_from.us}, {"valid_to_us", r.valid_to.us}, {"offset", r.offset}, {"hash", to_hex(r.hash)}});
    o[file] = std::move(array);
  }
  return json::text(o) + "\n";
}

}  // namespace nora::isp
