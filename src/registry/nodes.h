// Nodes: several scan nodes on one survey: who works on it, and what share of the mandate's rates each may use. Used by survey.
// A share is a lease: the sum of all living shares never exceeds the cap. A holder that is told to use less lowers its rate first and says
// so with its next call; only then do the others get more. A holder must stop before its lease ends.
// Times are those of the store's clock (now()), so that nodes whose clocks differ agree on when a lease ends.
// Not thread safe: a view on a Db.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/types.h"
#include "store/db.h"

namespace nora::registry {

inline constexpr std::int64_t max_scan_nodes = 64;

struct Rates {
  std::int64_t pps = 0, per_24_pps = 0;
  bool operator==(const Rates&) const = default;
};

class Nodes {
 public:
  explicit Nodes(store::Db& db) : db_(db) {}
  Result<Instant> now();

  // Up to `nodes` may work on this survey at once from now on. The survey must be stored.
  Status open_survey(std::string_view survey, std::int64_t nodes);
  // Surveys under this mandate that may be joined and are not finished, oldest first.
  Result<std::vector<std::string>> open_surveys(const Hash& mandate);
  Result<std::int64_t> nodes_of(std::string_view survey);  // how many may work on it; 0: it is not shared

  // The node's slot, 0, 1, …, for good. Errors: refused (as many nodes as may be work on it now; it is not open).
  Result<std::int64_t> join(std::string_view survey, std::string_view node, Instant now, Span lease);
  Status renew(std::string_view survey, std::string_view node, Instant until);
  Status leave(std::string_view survey, std::string_view node, Instant now, std::string_view summary);
  struct Member {
    std::string node;
    std::int64_t slot = 0;
    bool alive = false;       // its lease lives and it has not left
    std::string summary;      // its closing summary, JSON
  };
  Result<std::vector<Member>> members(std::string_view survey, Instant now);

  struct Share {
    Rates granted;  // what may be used from now until the lease ends
    Rates fair;     // what it should be; lower than granted: use that, and call again
    std::int64_t holders = 0;
  };
  // in_force: the most that the holder may be using at this moment.
  Result<Share> share(const Hash& mandate, std::string_view holder, Rates cap, Rates in_force, Instant now, Span lease);
  Status give_back(const Hash& mandate, std::string_view holder);

 private:
  store::Db& db_;
};

}  // namespace nora::registry
