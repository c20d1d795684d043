// Metrics: the state of a running survey as text for Prometheus' textfile collector, and as live.json in the spool directory for `nora scan
// status`. Used by the engine, each second. The files are replaced whole; they are not synced, they are no record.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace nora::survey {

struct LiveState {
  std::string survey, phase;  // walking | second look | closing | waiting: …
  std::uint64_t sent = 0, total = 0;
  std::int64_t refused = 0, received = 0, unique = 0, duplicates = 0, replies = 0, conversations = 0, talking = 0, waiting = 0;
  std::int64_t segments = 0, committed = 0, open_segments = 0;
  std::uint64_t ring_drops = 0, parser_deaths = 0, spool_bytes = 0;
  std::int64_t anomalies = 0, held_networks = 0, sender_restarts = 0, nodes = 1, late = 0;
  std::int64_t canary_asked = 0, canary_missed = 0;
  double pps = 0, probe_share_pps = 0, talk_share_pps = 0, seconds = 0, left_seconds = 0;
  bool store_down = false, clock_synchronised = false;
  std::map<std::string, std::int64_t> refused_by;
  json::Object to_json() const;
  std::string prometheus() const;
};

// Writes beside it and renames. Errors: failed.
Status swap_in(const std::filesystem::path& file, std::string_view text);

}  // namespace nora::survey
