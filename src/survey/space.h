// Space: the dense index space of a survey: every (target, probe) pair has one number in [0, size). Used by plan, sender, engine.
// Built once by the planner and written whole into the plan, so that a later opt-out changes no number: the permit refuses it then.
// Immutable; any thread. Targets of social-impact ranges form a group of their own with their own probes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "law/mandate.h"
#include "survey/catalogue.h"

namespace nora::survey {

inline constexpr std::size_t max_targets6 = 1u << 20;  // an IPv6 range cannot be walked: the addresses come from a list

struct Slot {
  std::string probe;  // id in the catalogue
  Proto proto = Proto::tcp;
  std::uint16_t port = 0;
  bool operator==(const Slot&) const = default;
};

struct Point {
  Ip ip;
  const Slot* slot = nullptr;
  bool social = false;
  std::uint32_t slot_number = 0;  // counted through both groups, as slots_in_order() has them
};

class Space {
 public:
  struct Limits {
    std::vector<std::uint16_t> ports;  // only these; empty = every port of the mandate
    std::vector<Ip> only;              // only these addresses (a check); empty = the whole range
  };
  // The mandate's ranges minus excludes and opt-outs, and the listed IPv6 addresses that lie in it. Errors: refused (nothing is left).
  static Result<Space> make(const law::Mandate& mandate, const Catalogue& catalogue, const std::vector<Ip>& targets6, const Limits& limits);
  static Result<Space> from_json(const json::Object& o);
  json::Object to_json() const;

  std::uint64_t size() const { return groups_[0].size() + groups_[1].size(); }
  std::uint64_t targets() const { return groups_[0].count() + groups_[1].count(); }
  Point at(std::uint64_t index) const;  // index < size()
  std::optional<std::uint64_t> find(Ip ip, std::string_view probe, Proto proto, std::uint16_t port) const;
  bool has_target(Ip ip) const;
  std::uint64_t targets_in(const Prefix& prefix) const;
  std::uint64_t largest24() const;  // targets of the fullest /24 (IPv6: /48)
  std::optional<Ip> any(bool v4) const;  // one target of this family
  // Every probe that this survey sends by UDP to this port, for validation; every probe at all.
  std::vector<const Slot*> slots() const;
  std::vector<const Slot*> slots_in_order() const;  // all slots of both groups, repeats included
  // For the record file: IPv4 as itself, IPv6 as 2^63 + place in the list.
  std::uint64_t record_address(Ip ip) const;
  std::optional<Ip> from_record_address(std::uint64_t value) const;
  std::uint64_t networks24() const;  // how many /24 (and IPv6 /48) there are, for the planner's estimate

 private:
  struct Run {
    std::uint32_t first = 0, last = 0;
    std::uint64_t before = 0;  // addresses in earlier runs
  };
  struct Group {
    std::vector<Run> runs;
    std::vector<Ip> six;  // sorted
    std::vector<Slot> slots;
    std::vector<std::uint32_t> hint;  // [address number >> hint_shift] -> the run that holds it, or an earlier one
    int hint_shift = 0;
    std::uint64_t v4 = 0;
    std::uint64_t count() const { return v4 + six.size(); }
    std::uint64_t size() const { return count() * slots.size(); }
    Ip ip(std::uint64_t i) const;
    std::optional<std::uint64_t> find(Ip ip) const;
    void finish();
  };
  Group groups_[2];  // [1]: social impact
};

}  // namespace nora::survey
