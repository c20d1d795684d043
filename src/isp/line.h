// LineId and Subscriber: a provider's own line and the person behind it. These types exist only under src/isp/ (law: secrecy of communications);
// no other folder may include this file (tests/house_test.cc), and neither type can be printed, streamed or turned into JSON by accident.
#pragma once

// Not only a rule of the house: NORA_ISP_SIDE is set by the CMake target nora_isp for itself and for what links it; nothing else compiles this.
#ifndef NORA_ISP_SIDE
#error "a subscriber has no place outside src/isp/"
#endif

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "base/messages.h"

namespace nora::isp {

// What the provider calls a line: a contract number, or the log's own key where no customer file names the line.
class LineId {
 public:
  LineId() = default;
  explicit LineId(std::string id) : id_(std::move(id)) {}
  const std::string& reveal() const { return id_; }  // for the provider's own store, pages and evidence; never for a file that leaves
  bool empty() const { return id_.empty(); }
  auto operator<=>(const LineId&) const = default;

 private:
  std::string id_;
};

enum class LineKind { residential, corporate, rental, m2m };
std::string_view name(LineKind kind);
Result<LineKind> parse_line_kind(std::string_view text);

// One customer of the provider. Copies stay on the provider's machine.
struct Subscriber {
  LineId line;
  std::string name;
  std::string mail;
  Lang language = Lang::ja;
  LineKind kind = LineKind::residential;
  bool opted_out = false;  // asked not to be written to
};

}  // namespace nora::isp
