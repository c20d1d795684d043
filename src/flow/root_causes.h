// "One fix, thousands of homes": findings grouped by what one party can change for all of them: the maker's firmware, a device that one provider
// rents out, the maintenance port of a provider, the settings that an installer leaves everywhere. Each group has one request text and its measured
// effect by days. Used by `nora case causes`. Reads the registry; not thread safe (a view on a Db).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/messages.h"
#include "cases/routes.h"
#include "flow/knowledge.h"
#include "registry/registry.h"

namespace nora::flow {

inline constexpr std::size_t max_cause_findings = 200'000;  // read in one go; beyond it the answer says so
inline constexpr std::size_t max_cause_ids = 1000;          // finding ids kept per group

struct CauseOptions {
  std::int64_t min_sites = 3;        // fewer addresses are not a group
  double rental_share = 0.9;         // so much of a product in one provider's lines, while others have customers too: a rental model
};

enum class Fixer { maker, isp, installer, provider };
std::string_view name(Fixer fixer);

struct CauseDay {
  std::string date;                  // a day on which something changed
  std::int64_t open = 0;             // at its end
};

struct RootCause {
  std::string key;                   // stable from day to day: "maker|buffalo|ls220d|nas-ftp"
  Fixer fixer = Fixer::maker;
  std::string who;                   // maker, provider or, for an installer, the shared mark; may be empty when it is not known
  std::string rule, vendor, product, firmware;  // firmware: when all have the same one
  std::string why;                   // English: why these belong together
  std::int64_t sites = 0;            // addresses
  std::int64_t open = 0, fixed = 0;  // findings now
  std::vector<std::string> isps;     // whose lines
  std::vector<registry::Id> findings;
  std::vector<CauseDay> days;        // measured effect, oldest first
  // The largest number that was ever open, and since when it has been falling: "before → after".
  CauseDay before() const;
};

struct RootCauses {
  std::vector<RootCause> causes;     // the most open findings first
  bool complete = true;              // false: more findings than max_cause_findings
};

// Every open or fixed finding is in one group at most: an installer's mark first, then the provider's own device, then a rental model, then the firmware.
Result<RootCauses> root_causes(registry::Registry& registry, const cases::Routes& routes, const Knowledge& knowledge, const CauseOptions& options = {});

// The request to whoever can fix it: one text for all of them, no address of anybody in it.
std::string request_text(const RootCause& cause, const Messages& messages, Lang lang);

}  // namespace nora::flow
