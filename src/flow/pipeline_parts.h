// The inside of Pipeline, shared by its source files only: what one address looks like now, and the steps over it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "expose/evaluate.h"
#include "flow/pipeline.h"
#include "identify/matcher.h"
#include "registry/views.h"

namespace nora::flow {

using identify::Service;
using registry::Id;

// One reply that is still the newest of its kind at an address.
struct Current {
  registry::Observation seen;
  const registry::Reply* reply = nullptr;
  const std::vector<identify::Statement>* statements = nullptr;
  bool living = true;   // the service was not seen closed afterwards
};

struct AddressView {
  Ip ip;
  std::optional<cases::Route> route;   // at the newest observation
  Span window{};
  std::vector<Current> current;
  std::vector<registry::Observation> all;      // inside the window, newest first
  std::map<Service, registry::Outcome> closed;  // latest "closed" per service
  Instant newest{};
  bool set_apart = false;              // the survey found a middlebox here, or around it: nothing here is a device
  bool said_something = false;         // at least one service answered with data: a port that is only open makes no device
};

struct PlacedDevice {
  registry::Device device;
  bool fresh = false;
  std::vector<Current> current;
};

struct Known {
  registry::Reply reply;
  std::vector<identify::Statement> statements;
};

struct Recluster;   // recluster.cc

struct Pipeline::Parts {
  Parts(Env env_, registry::Registry& registry_, cases::CaseBook& book_, const cases::Routes& routes_, PipelineOptions options_);
  ~Parts();

  Env env;
  registry::Registry& registry;
  cases::CaseBook& book;
  const cases::Routes& routes;
  std::shared_ptr<const Knowledge> knowledge;
  PipelineOptions options;
  std::unique_ptr<identify::Matcher> matcher;
  // Replies of this process's recent work with their statements; the memo of record is the table identification.
  std::unordered_map<std::string, Known> cache;
  bool rules_changed = false;
  PipelineCounts counts;
  std::optional<Span> told_at;                            // history.cc: when its progress was last told
  bool noted = false, claimed = false;                    // history.cc: this knowledge is the history's, or the history is being brought to it
  std::unique_ptr<Recluster> recluster;                   // recluster.cc: the clustering that is going on

  std::string rules_version() const { return knowledge->version + "/" + knowledge->exposure_version; }
  cases::Why why(std::string evidence) const { return {cases::Actor::sensor, "flow", rules_version(), std::move(evidence), options.basis}; }

  // pipeline.cc
  Status assess(Ip ip);                                   // the caller holds the transaction
  Result<const Known*> known(const Hash& hash);
  Result<AddressView> view(Ip ip);
  // Everything that was said at the places where the device stood; what `use` gets is good until it returns.
  Status each_reply(Id device, const std::function<void(const Hash&, const Known&)>& use);
  // One address is one transaction; the table lock (PostgreSQL) or the write lock (SQLite) puts all pipelines of a store in a row.
  Status in_turn(const std::function<Status()>& work);
  Status assess_again(Ip ip, bool only_queued);
  // history.cc
  Status note_history();
  Status claim_history();
  Status claim(std::string_view name, std::string_view mine, std::string_view progress, bool may_move);
  Result<bool> history_step();                            // false: nothing is left to do
  Result<bool> replies_step();
  Result<bool> exposures_step();
  Result<bool> addresses_step();
  Status queue_if_outdated(Ip ip);
  Status tell_progress(std::string_view what, bool at_once);
  // recluster.cc
  Result<bool> clusters_step(ClusterCounts& counts);
  Status cluster_page(const store::Rows& rows, ClusterCounts& found);
  // devices.cc
  Result<std::vector<PlacedDevice>> place(const AddressView& view);
  Result<std::vector<registry::Device>> by_keys(const AddressView& view, const identify::FusedDevice& fused, std::vector<std::string>& keys, Instant seen);
  Result<std::optional<registry::Device>> by_equal_answers(const AddressView& view, const identify::FusedDevice& fused, const std::vector<Current>& current);
  Result<std::optional<registry::Device>> by_endpoint(const AddressView& view, const identify::FusedDevice& fused, const std::vector<std::string>& keys, bool alone);
  Status unite(Id from, Id into);
  Status take_in_unfounded(const AddressView& view, const std::vector<PlacedDevice>& placed);
  // findings.cc
  Status expose(const AddressView& view, const std::vector<PlacedDevice>& devices);
  Result<std::set<Service>> closed_by_infection(Ip ip, Id device, const std::vector<registry::StoredFinding>& findings);
  Status mark_fixed(registry::StoredFinding& finding, Instant at, std::string_view detail, std::string_view segment);
  Status sync_case(Id case_id);
  bool validated(const std::vector<registry::StoredFinding>& findings, Id case_id) const;
  Status open_onsite(Id case_id);
  Status to_case(registry::StoredFinding& finding, const std::optional<cases::Route>& route);
  // sightings.cc
  Status join_sightings();
  Status join(const registry::Sighting& sighting);
  Status end_infections(Ip ip);
  std::map<Id, int> looks;                                // case -> looks, of the address under work
  std::set<Id> placed_here;                               // devices of the address under work that are taken already
  std::set<Id> touched_cases;
  // Written to their own store after the transaction of the address: the two may be one file, and an SQLite writer would wait for itself.
  std::set<Id> onsite_due;
};

// Evidence that one unit has for itself: "x509:<hash>", "ssh:<hash>", …; all of it, because which part is seen first must not matter.
std::vector<std::string> unit_keys(const std::vector<Current>& current);

}  // namespace nora::flow
