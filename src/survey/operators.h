// Operators: which network operator an address belongs to, and how many packets a second each of them gets. Used by the engine (for its
// conversations) and the sender (for its probes), each with its own share of every cap. One thread per object.
// The file (--operators): lines "203.0.113.0/24 Example-Net" and "cap Example-Net 500"; '#' begins a comment. The longest prefix counts.
// An operator without a cap line gets the default (0: none). Limits: max_operators, max_operator_prefixes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "net/address_set.h"

namespace nora::survey {

inline constexpr std::size_t max_operators = 100'000, max_operator_prefixes = 2'000'000;

class Operators {
 public:
  Operators() = default;  // none: every wait is zero
  // Errors: bad_input with the line.
  static Result<Operators> parse(std::string_view text, std::uint32_t default_pps);
  // This holder's part of every cap, in percent. A part below one packet a second becomes one packet in as many seconds as it takes.
  void share(double percent);
  // Zero: go, and the packets are counted. Otherwise nothing is counted; ask again after that time.
  Span take(Ip ip, Span now, std::uint32_t packets = 1);
  Span wait(Ip ip, Span now) const;  // the same without counting
  bool empty() const { return operators_.empty(); }
  std::size_t size() const { return operators_.size(); }
  struct Operator {
    std::string name;
    std::uint32_t pps = 0;  // the whole cap; 0: none
  };
  const Operator* find(Ip ip) const;

 private:
  struct Bucket {
    double interval_us = 0, burst_us = 0, next_us = 0;
  };
  std::vector<Operator> operators_;
  std::vector<Bucket> buckets_;
  net::AddressMap map_;
};

}  // namespace nora::survey
