// MAP-E (RFC 7597): from a shared IPv4 address and a port to the one user prefix, by versioned rules instead of logs.
// Used by import and match; the rule file is fuzzed (fuzz/mape_fuzz.cc). Plain values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "isp/lease_record.h"

namespace nora::isp {

inline constexpr std::size_t max_mape_rules = 10'000;

struct MapeRule {
  Prefix ipv4, ipv6;           // rule IPv4 and IPv6 prefix
  int ea_bits = 0;             // length of the embedded address bits = (32 - ipv4 length) + psid_length
  int psid_offset = 0;         // a
  int psid_length = 0;         // k
  Instant valid_from, valid_to{INT64_MAX};  // half-open
  std::string file;            // evidence: the line of the rule file
  std::uint64_t offset = 0;
  Hash hash{};
  bool operator==(const MapeRule&) const = default;
};

// CSV "ipv4_prefix,ipv6_prefix,ea_bits,psid_offset,psid_length,valid_from,valid_to". Errors: bad_input with the line: a wrong rule blames strangers,
// so one bad line refuses the whole file.
inline constexpr std::string_view mape_header = "ipv4_prefix,ipv6_prefix,ea_bits,psid_offset,psid_length,valid_from,valid_to";
Result<std::vector<MapeRule>> parse_mape_rules(std::string_view text, std::string_view file);

// PSID of a port, or nothing when the port belongs to nobody (RFC 7597 section 5.1: with a > 0 the ports below 2^(16-a) are excluded).
std::optional<std::uint32_t> mape_psid(const MapeRule& rule, Port port);
// The user's IPv6 prefix behind (ip, port); nothing when the rule does not cover the address or the port belongs to nobody.
std::optional<Prefix> mape_user(const MapeRule& rule, Ip ip, Port port);
int mape_users(const MapeRule& rule);  // lines that share one address

}  // namespace nora::isp
