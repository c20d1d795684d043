// On-site cases: who stands behind a device of social impact. Clues (rDNS, certificate, page text) lead to parties; a second person confirms;
// a form for the visit. The contacts lie in a store of their own (own URL), never in the center's. Used by flow (opens), desk, `nora case`.
// Not thread safe: one per thread. The subscriber is not the administrator: site, operator and maintainer are three parties.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace nora::cases {

using registry::Id;

struct Clue {
  Id id = 0;
  std::string kind;            // rdns | certificate | page
  std::string role;            // site | operator | maintainer | "" when the text does not say
  std::string text;            // cleaned, at most 200 bytes
  std::string contact;         // e-mail or telephone found in it
  std::string source;          // "html text on 80/tcp, observation 12"
};
// Pure: what the replies of a device (and its reverse name, if somebody looked it up) say about who runs it.
std::vector<Clue> find_clues(const std::vector<std::pair<registry::Observation, registry::Reply>>& replies, std::string_view rdns);

struct Party {
  Id id = 0;
  std::string role;            // site | operator | maintainer | vendor
  std::string name, contact;
  std::vector<Id> clues;
  std::string proposed_by, confirmed_by;  // two different persons
  std::optional<Instant> confirmed_at;
};
struct Visit {
  std::string planned_for;     // date
  std::string visitor, action, deadline, notes;
  bool exposure_confirmed = false, free_of_charge_told = false, done = false;
  std::string recorded_by;
  std::optional<Instant> recorded_at;
};
struct OnSiteCase {
  Id case_id = 0;
  std::string what;            // "FX5U-32M: modbus-controller"
  Instant opened;
};

class OnSite {
 public:
  static Result<OnSite> open(std::string_view url);
  Status open_case(Id case_id, std::string_view what, const std::vector<Clue>& clues, Instant now);  // again: adds only new clues
  Result<std::vector<OnSiteCase>> all();
  Result<std::vector<Clue>> clues(Id case_id);
  Result<Id> propose(Id case_id, const Party& party, std::string_view user, Instant now);
  Status confirm(Id party, std::string_view user, Instant now);  // refused for the one who proposed it
  Result<std::vector<Party>> parties(Id case_id);
  Status record_visit(Id case_id, const Visit& visit, std::string_view user, Instant now);
  Result<std::optional<Visit>> visit(Id case_id);

 private:
  explicit OnSite(std::unique_ptr<store::Db> db) : db_(std::move(db)) {}
  std::unique_ptr<store::Db> db_;
};

}  // namespace nora::cases
