// Grounds: on what legal ground an ISP may look up a subscriber, per finding class. Used by isp.
// A lookup without a ground for its class is refused. The file is the ISP's own (TOML), approved by named people. Immutable; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace nora::law {

enum class GroundKind { consent, contract_terms, legitimate_business, necessity, statute };
std::string_view name(GroundKind kind);  // "contract-terms"
Result<GroundKind> parse_ground_kind(std::string_view text);

struct Ground {
  std::string finding_class;   // RSIT class or prefix of one: "vulnerable/ddos-amplifier", "vulnerable/*", "*" is not allowed
  GroundKind kind = GroundKind::consent;
  std::string reference;       // the clause: "terms of service 4.2", "Act 44 of 1984, article 4 with necessity memo 7"
  std::string version;         // version or date of the text; needed for contract-terms
  std::string approved_by;     // who at the ISP approved it
  Instant approved_at;
  Instant valid_until;         // lookups after this are refused
};

class Grounds {
 public:
  static constexpr std::size_t max_grounds = 1000;
  static Result<Grounds> load(const std::filesystem::path& toml_file);
  static Result<Grounds> parse(std::string_view toml);
  // The ground for this class at this time: an exact entry before a prefix entry. Errors: refused, with the class and the reason.
  Result<Ground> find(std::string_view finding_class, Instant now) const;
  const std::vector<Ground>& all() const { return grounds_; }

 private:
  std::vector<Ground> grounds_;
};

}  // namespace nora::law
