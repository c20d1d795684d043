// LawProfile: what the law of a country lets a survey do, as data (data/law/<name>.toml, docs/law.md). Used by law and app.
// Immutable; any thread. Without a profile nothing runs.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/ip.h"
#include "base/result.h"
#include "law/grounds.h"
#include "law/probe_list.h"

namespace nora::law {

struct LawProfile {
  std::string name;                     // "jp"
  std::string title;                    // for people
  std::array<bool, 4> classes{};        // which probe classes may run at all
  bool social_probes = false;           // control-system probes with a social-impact range
  std::vector<GroundKind> grounds;      // on which an ISP may look up a line
  int hours_from_min = 0, hours_to_min = 24 * 60;  // UTC minutes of the day in which any survey may run; to < from crosses midnight
  std::vector<Prefix> facilities;       // left out unless the mandate names the place as social-impact
  struct Retention {                    // how long the operator of a survey keeps what, days
    int replies = 0;                    // raw replies and outcomes of probes, after they were last seen
    int findings = 0;                   // after their case was closed
    int sightings = 0;                  // what was seen to attack
  } retention;
  // Reads <dir>/<name>.toml and the list of facilities that it names. Errors: refused when there is none (the name is checked: [a-z0-9-]{2,32}),
  // bad_input with the place.
  static Result<LawProfile> load(const std::filesystem::path& dir, std::string_view name);
  // facilities: the text of that list (as an opt-out list: a prefix a line, # remarks).
  static Result<LawProfile> parse(std::string_view toml, std::string_view name, std::string_view facilities = {});
  bool allows(GroundKind kind) const;
};

}  // namespace nora::law
