#include "isp/mape.h"

#include <charconv>

#include <fmt/format.h>

#include "base/crypto.h"

namespace nora::isp {
namespace {

constexpr std::size_t max_line_bytes = 1024;

Result<int> small(std::string_view s, int max, std::string_view what) {
  int n = 0;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (s.empty() || error != std::errc{} || end != s.data() + s.size() || n < 0 || n > max) return fail(Code::bad_input, fmt::format("{} is not a number in 0-{}", what, max));
  return n;
}

Result<MapeRule> parse_rule(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t pos = 0;; ++pos) {
    auto end = line.find(',', pos);
    cells.push_back(line.substr(pos, end == line.npos ? end : end - pos));
    if (end == line.npos) break;
    pos = end;
  }
  if (cells.size() != 7) return fail(Code::bad_input, "not 7 columns");
  MapeRule r;
  NORA_TRY(r.ipv4, Prefix::parse(cells[0]));
  NORA_TRY(r.ipv6, Prefix::parse(cells[1]));
  NORA_TRY(r.ea_bits, small(cells[2], 48, "ea_bits"));
  NORA_TRY(r.psid_offset, small(cells[3], 15, "psid_offset"));
  NORA_TRY(r.psid_length, small(cells[4], 16, "psid_length"));
  NORA_TRY(r.valid_from, Instant::parse(cells[5]));
  if (!cells[6].empty()) { NORA_TRY(r.valid_to, Instant::parse(cells[6])); }
  if (!r.ipv4.is_v4()) return fail(Code::bad_input, "ipv4_prefix is not IPv4");
  if (r.ipv6.is_v4()) return fail(Code::bad_input, "ipv6_prefix is not IPv6");
  if (r.psid_offset + r.psid_length > 16) return fail(Code::bad_input, "psid_offset + psid_length is above 16");
  if (r.ea_bits != 32 - r.ipv4.length() + r.psid_length) return fail(Code::bad_input, "ea_bits is not (32 - IPv4 prefix length) + psid_length");
  if (r.ipv6.length() + r.ea_bits > 64) return fail(Code::bad_input, "the user prefix would be longer than /64");
  if (r.valid_to <= r.valid_from) return fail(Code::bad_input, "valid_to is not after valid_from");
  return r;
}

}  // namespace

Result<std::vector<MapeRule>> parse_mape_rules(std::string_view text, std::string_view file) {
  std::vector<MapeRule> rules;
  int number = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    auto end = std::min(text.find('\n', pos), text.size());
    auto line = text.substr(pos, end - pos);
    auto offset = pos;
    pos = end + 1;
    ++number;
    auto raw = line;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (number == 1) {
      if (line != mape_header) return fail(Code::bad_input, fmt::format("{}: the first line is not \"{}\"", file, mape_header));
      continue;
    }
    if (line.empty() || line[0] == '#') continue;
    if (line.size() > max_line_bytes || rules.size() == max_mape_rules) return fail(Code::bad_input, fmt::format("{}:{}: too long or too many rules", file, number));
    auto rule = parse_rule(line);
    if (!rule) return fail(Code::bad_input, fmt::format("{}:{}: {}", file, number, rule.error().what));
    rule->file = std::string(file);
    rule->offset = offset;
    rule->hash = sha256(as_bytes(raw));
    rules.push_back(std::move(*rule));
  }
  return rules;
}

std::optional<std::uint32_t> mape_psid(const MapeRule& rule, Port port) {
  const int a = rule.psid_offset, k = rule.psid_length, m = 16 - a - k;
  if (a > 0 && port.value < (1u << (16 - a))) return std::nullopt;
  return (port.value >> m) & ((1u << k) - 1);
}

std::optional<Prefix> mape_user(const MapeRule& rule, Ip ip, Port port) {
  if (!ip.is_v4() || !rule.ipv4.contains(ip)) return std::nullopt;
  auto psid = mape_psid(rule, port);
  if (!psid) return std::nullopt;
  const int suffix_bits = 32 - rule.ipv4.length();
  std::uint64_t suffix = suffix_bits == 0 ? 0 : ip.v4_value() & (suffix_bits == 32 ? 0xffffffffu : (1u << suffix_bits) - 1);
  std::uint64_t ea = suffix << rule.psid_length | *psid;
  const int length = rule.ipv6.length() + rule.ea_bits;  // <= 64: all inside the first 8 bytes
  auto bytes = rule.ipv6.base().bytes();
  std::uint64_t high = 0;
  for (int i = 0; i < 8; ++i) high = high << 8 | bytes[i];
  if (rule.ea_bits > 0) high |= ea << (64 - length);
  for (int i = 7; i >= 0; --i) { bytes[i] = static_cast<std::uint8_t>(high); high >>= 8; }
  return Prefix::of(Ip::v6(bytes), length);
}

int mape_users(const MapeRule& rule) { return 1 << rule.psid_length; }

}  // namespace nora::isp
