// MandateText: the fields of a mandate, its canonical text, the root file and the opt-out list. Used by law, app (mandate commands), survey (plan).
// Pure functions, any thread; parsers are total and fuzzed (fuzz/mandate_fuzz.cc). Signatures are checked by Mandate::open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/ip.h"
#include "law/probe_list.h"

namespace nora::law {

inline constexpr std::size_t max_mandate_bytes = 1u << 20;
inline constexpr std::size_t max_repeats = 65536;  // lines of one repeated key

struct Listener {
  Ip ip;
  Proto proto = Proto::tcp;
  Port port;
  auto operator<=>(const Listener&) const = default;
};
struct PortGrant {
  Proto proto = Proto::tcp;
  Port port;
  auto operator<=>(const PortGrant&) const = default;
};

struct MandateText {
  std::string id, authority, legal_basis, law_profile, purpose, contact;
  std::uint32_t revision = 1;
  std::optional<Hash> previous;
  Instant not_before, not_after;               // [not_before, not_after)
  int window_from_min = 0, window_to_min = 24 * 60;  // minutes of the UTC day, [from, to), from < to
  std::vector<Ip> sources;
  std::vector<Listener> listeners;
  std::vector<Prefix> ranges, excludes, social_impact;
  std::vector<PortGrant> ports;
  std::vector<ProbeClass> classes;
  Hash catalogue{};
  std::uint32_t rate_total_pps = 0, rate_per_24_pps = 0, rate_per_target_pps = 0, probes_per_target_per_day = 0;
  std::optional<Hash> opt_out;
  bool operator==(const MandateText&) const = default;
};

// Strict: exactly the text that write_mandate makes is accepted. Errors: bad_input "line 12: …".
Result<MandateText> parse_mandate(std::string_view text);
// Canonical text: keys in order, repeated keys sorted and unique. Errors: bad_input when a field cannot stand in a mandate.
Result<std::string> write_mandate(const MandateText& fields);

struct Roots {
  int threshold = 1;
  std::vector<PublicKey> signers;
};
Result<Roots> parse_roots(std::string_view text);  // threshold 1..n; no signer twice. Errors: bad_input with line
std::string write_roots(const Roots& roots);

inline constexpr std::size_t max_opt_out_bytes = 64u << 20;
// One prefix a line; '#' comments and empty lines. Errors: bad_input with line.
Result<std::vector<Prefix>> parse_opt_out(std::string_view text);
// "22:00-06:00" as minutes of the UTC day [from, to); to <= from crosses midnight. Errors: bad_input, also for an empty window.
Result<std::pair<int, int>> parse_daily_window(std::string_view text);

}  // namespace nora::law
