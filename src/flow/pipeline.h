// Pipeline: the way of a reply: identify -> device -> exposure -> finding -> case, and back: outcome -> fixed. Also sightings -> devices.
// Used by the scheduler of `nora serve`, the portal gate (after a self-check), naming (after a rules change) and the command line.
// Idempotent: the same observations again change nothing. One address is one transaction, serialised over all processes of the store.
// Not thread safe: one Pipeline per thread, on its own Registry.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/env.h"
#include "cases/case_book.h"
#include "cases/onsite.h"
#include "cases/routes.h"
#include "flow/knowledge.h"
#include "flow/rates.h"
#include "identify/cluster.h"
#include "registry/registry.h"

namespace nora::flow {

// How old a reply may be and still describe what stands at the address, where no lease time was measured.
inline constexpr Span default_window = Span::hours(24);
// More open services than that on one address: a honeypot or tarpit, not a device; kept and shown, never notified.
inline constexpr std::size_t max_device_services = 16;
// An infection is over when no sensor saw the line for this long and the line was online (workflow.md S7).
inline constexpr Span infection_silence = Span::days(14);

struct PipelineOptions {
  std::function<bool(Ip)> is_social;             // social-impact range of the mandate; empty: none
  std::function<std::string(Ip)> reverse_name;   // rDNS as a clue, from a file of the operator; empty: none. Nora sends no query.
  cases::OnSite* onsite = nullptr;               // store of the on-site contacts; none: cases open without clues
  int min_looks = 2;                             // S1 VALIDATED: a TCP conversation is two (SYN answered, then the talk), a datagram one
  std::string basis = "mandate";                 // stands in each case event
  std::string store;                             // URL of the registry, so that a rule change reads it with several connections; empty: one
};

struct PipelineCounts {
  std::int64_t addresses = 0, devices_new = 0, findings_new = 0, findings_seen = 0, findings_fixed = 0, findings_reopened = 0,
               findings_withdrawn = 0, cases_new = 0, cases_fixed = 0, sightings_joined = 0;
  std::int64_t replies_seen = 0, replies_again = 0;  // other rules: distinct replies looked at, and those with another answer
  bool more = false;  // process_new, catch_up: the round was full, call again
  void add(const PipelineCounts& other);
};

// What a clustering of all devices without a name found.
struct ClusterCounts {
  std::int64_t devices = 0;      // without a name
  std::int64_t moved = 0;        // have another key now
  std::int64_t clusters = 0;     // keys
  std::int64_t faceless = 0;     // nothing to hold on to: no key
  std::int64_t replies = 0;      // distinct replies read
};

class Pipeline {
 public:
  Pipeline(Env env, registry::Registry& registry, cases::CaseBook& book, const cases::Routes& routes, std::shared_ptr<const Knowledge> knowledge,
           PipelineOptions options = {});
  ~Pipeline();

  // What came since the last call: observations, outcomes, sightings. Bounded per call; call again while `more`.
  Result<PipelineCounts> process_new();
  Result<PipelineCounts> reassess(Ip ip);          // one address, now (after a self-check)
  Result<PipelineCounts> reassess_all();           // every address with a device
  // Other rules, visible in the registry when this returns: only replies that a changed rule matches are identified again, and only their
  // addresses thought through anew.
  Result<PipelineCounts> change_rules(std::shared_ptr<const Knowledge> after);
  // The history under the rules, exposure rules and faces of this program where it stopped with others: replies are identified again, addresses whose
  // replies have another answer are thought through anew, devices without a name are clustered again. For about `at_most` (at least one step); call
  // again while `more`. What is done is kept: another process goes on from there. The program that started last decides to what the history is brought.
  Result<PipelineCounts> catch_up(Span at_most);
  Result<PipelineCounts> catch_up_wholly();
  // Every device without a name gets the key of what it shows, in one pass.
  Result<ClusterCounts> rebuild_clusters();
  void use(std::shared_ptr<const Knowledge> knowledge);
  const Knowledge& knowledge() const;
  const PipelineOptions& options() const;
  Result<Rates> rates();
  // By rule: of the labelled devices about which it spoke, how many it named right.
  Result<std::map<std::string, identify::Tally, std::less<>>> tallies();

 private:
  Status tell_onsite();
  Result<PipelineCounts> reassess_these(const std::set<Ip>& addresses);
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace nora::flow
