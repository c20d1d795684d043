// The wall's own reading of the mandate, written apart from mandate_text.cc so that one misreading does not pass both walls
// (trust.md section 5; wall_differential_test.cc holds the two against each other). Used by the walls and nora-wall only.
// It shares with the sender only the signature check of base/crypto.h. Pure functions, any thread, total.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nora::law::wall {

struct Net {
  bool v4 = true;
  std::array<std::uint8_t, 16> first{};  // IPv4: the first 4
  int length = 0;
  std::string text;                      // canonical "203.0.113.0/25"
};
struct Listener {
  Net host;
  std::uint16_t port = 0;
};

struct Plan {
  std::string id;
  std::string opt_out_hex;               // "none" or 64 digits
  std::int64_t not_before_s = 0, not_after_s = 0;
  int from_min = 0, to_min = 0;
  std::vector<Net> sources, ranges, excludes, social;
  std::vector<Listener> listeners;
  std::vector<std::uint16_t> tcp_ports, udp_ports;
  std::uint32_t rate_total = 0;
};

// The text without signatures. Errors: bad_input with the line.
Result<Plan> read_text(std::string_view text);
// The signed note and the root file. Errors: refused.
Result<Plan> read_signed(std::string_view note, std::string_view roots);
std::string text_of(const Net& net);  // canonical "203.0.113.0/25"

// One prefix a line, '#' comments. Errors: bad_input with the line.
Result<std::vector<Net>> read_opt_out(std::string_view text);

enum class State { open, closing, closed };  // closing: the first seconds after the end, when tails of conversations are dropped and counted apart
inline constexpr std::int64_t closing_s = 10;
bool open_at(const Plan& plan, std::int64_t unix_s);

}  // namespace nora::law::wall
