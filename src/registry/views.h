// Read-only questions over the registry for people: lists with filters and keyset pages, counts. Used by desk, `nora find` and cases' metrics.
// Every function is one query (or two), so a page stays within its query budget. Not thread safe (a view on a Db).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/registry.h"

namespace nora::registry {

inline constexpr std::size_t max_page_rows = 1000;

struct Filter {
  std::optional<Prefix> prefix = {};   // findings and devices at an address inside
  std::string vendor = {}, product = {}, type = {};
  std::string rule = {}, isp = {}, cluster = {};
  std::string finding_state = {};      // open | fixed | gone
  std::string case_state = {};         // S4_NOTIFIED …
  std::optional<Pattern> pattern = {};
  std::optional<Severity> min_severity = {};
  bool unknown_only = false;      // devices without a product
  std::string text = {};               // anywhere in the device's identity
  std::string cve = {};                // devices that this vulnerability concerns (vulns.h)
  bool by_priority = false;       // most urgent first, then by id; else by id
  Id after = 0;                   // keyset: rows with id > after
  std::int64_t after_priority = 0;     // with by_priority: rows behind this priority and `after`; used when after > 0
  std::size_t limit = 100;
};

struct FindingRow {
  StoredFinding stored;
  Identity identity;              // of the device; empty for a line-level finding
  std::string cluster;
  std::string isp, case_state;    // of the case; empty when none
};
struct DeviceRow {
  Device device;
  std::vector<DeviceEndpoint> endpoints;  // current ones
  std::int64_t open_findings = 0;
  std::string isp;
  std::int64_t priority = 0;      // of the most urgent thing about it; 0: not judged
};
struct ObservationRow {
  Observation seen;
  Reply reply;                    // with the raw bytes
  std::string reserved_leaf, committed_leaf;  // audit leaves of its segment; empty when not there
};
struct Count {
  std::string label;
  std::int64_t count = 0;
};

Result<std::vector<FindingRow>> find_findings(Registry& registry, const Filter& filter);
Result<std::vector<DeviceRow>> find_devices(Registry& registry, const Filter& filter);
Result<std::vector<ObservationRow>> observation_rows(Registry& registry, Ip ip, std::size_t limit = 200);  // newest first
// What the newest endpoints of these devices said: one query for the examples of a cluster. By device, port; at most `limit` replies.
struct PlacedReply {
  Id device = 0;
  Endpoint where;
  Reply reply;
};
Result<std::vector<PlacedReply>> replies_of(Registry& registry, const std::vector<Id>& devices, std::size_t limit = 200);
Result<std::vector<Outcome>> outcomes_at(Registry& registry, Ip ip, std::size_t limit = 200);              // newest first

// A middlebox accepts every connection and says nothing (survey/middlebox.h): one observation of this protocol, port 0, at the address, or at
// the base of its /24 (IPv6: /48). Was one seen at this address, or around it, since then?
inline constexpr std::string_view middlebox_protocol = "middlebox";
Result<bool> set_apart(Registry& registry, Ip ip, Instant since);

// Counts. Open findings unless said otherwise; every label leads to find_* with the same filter.
Result<std::vector<Count>> count_by_pattern(Registry& registry);      // findings; "A".."D", always four rows
Result<std::vector<Count>> count_by_rule(Registry& registry);
Result<std::vector<Count>> count_by_product(Registry& registry, std::size_t limit = 20);  // devices; "vendor product", unknown = ""
Result<std::vector<Count>> count_by_type(Registry& registry);
Result<std::vector<Count>> count_by_isp(Registry& registry);          // cases
Result<std::vector<Count>> count_clusters(Registry& registry);        // unknown devices per cluster key
struct Totals {
  std::int64_t addresses = 0, observations = 0, replies = 0, devices = 0, devices_known = 0, findings_open = 0, findings_fixed = 0,
               sightings = 0, segments_open = 0;
};
Result<Totals> totals(Registry& registry);

}  // namespace nora::registry
