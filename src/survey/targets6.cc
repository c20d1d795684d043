#include "survey/targets6.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/text.h"
#include "survey/space.h"

namespace nora::survey {
namespace {

constexpr int lan_bits = 64, least_bits = 32;

std::string_view trim(std::string_view s) {
  constexpr std::string_view blank = " \t\r";
  const auto from = s.find_first_not_of(blank);
  return from == s.npos ? std::string_view{} : s.substr(from, s.find_last_not_of(blank) - from + 1);
}

// The router's usual address in the n-th block of `bits` bits of this prefix.
Ip router_of(const Prefix& whole, int bits, std::uint64_t n) {
  auto bytes = whole.base().bytes();
  for (int bit = bits - 1; n != 0; --bit, n >>= 1) bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>((n & 1) << (7 - bit % 8));
  bytes[15] |= 1;
  return Ip::v6(bytes);
}

}  // namespace

Result<std::vector<Ip>> parse_targets6(std::string_view text) {
  std::vector<Ip> out;
  std::unordered_set<Ip> known;
  std::size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto wrong = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("line {}: {}", number, why), "an address, or \"2001:db8:1000::/40 delegated 56\""); };
    const auto add = [&](Ip ip) {
      if (known.insert(ip).second) out.push_back(ip);
      return out.size() <= max_targets6;
    };
    constexpr std::string_view delegated = " delegated ";
    const auto at = line.find(delegated);
    if (at == line.npos) {
      const auto ip = Ip::parse(line);
      if (!ip) return wrong(ip.error().what);
      if (!add(*ip)) return wrong(fmt::format("more than {} targets", max_targets6));
      continue;
    }
    const auto whole = Prefix::parse(trim(line.substr(0, at)));
    if (!whole) return wrong(whole.error().what);
    const auto length = parse_port(trim(line.substr(at + delegated.size())));  // a small number
    const int bits = length ? length->value : 0;
    if (whole->is_v4() || whole->length() < least_bits) return wrong(fmt::format("delegated prefixes lie in an IPv6 prefix of /{} or longer", least_bits));
    if (bits < whole->length() || bits > lan_bits) return wrong(fmt::format("a delegated prefix is /{} to /{}", whole->length(), lan_bits));
    const std::uint64_t blocks = std::uint64_t{1} << (bits - whole->length());
    if (blocks + out.size() > max_targets6) return wrong(fmt::format("{} delegated prefixes: more than {} targets", blocks, max_targets6));
    for (std::uint64_t n = 0; n < blocks; ++n) (void)add(router_of(*whole, bits, n));
  }
  return out;
}

}  // namespace nora::survey
