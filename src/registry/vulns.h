// Vulnerability data in the center's store: records by source, the index vendor/product -> CVE, EPSS, support cycles, the log of imports, and what was
// judged of each device. Used by flow/vulns (writer), the desk, the portal's gate and `nora vuln` (readers). The records themselves are documents that expose/ reads and writes.
// Every put is idempotent, and an older record never replaces a newer one. Not thread safe: one per connection. Errors: failed, with the store's message.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "registry/types.h"
#include "store/db.h"

namespace nora::registry {

struct VulnItem {
  std::string cve;                                                // CVE id, or the publisher's own
  std::string doc;
  std::vector<std::pair<std::string, std::string>> products;      // vendor, product in CPE spelling; "*" open
};
// One record of a source with all its vulnerabilities (a CSAF advisory has several). A new version replaces all of them.
struct VulnRecord {
  std::string record;
  Instant modified;
  std::vector<VulnItem> items;
};
struct VulnCounts {
  std::int64_t records = 0, added = 0, changed = 0, same = 0, older = 0, removed = 0;
  bool operator==(const VulnCounts&) const = default;
};
struct EpssRow { std::string cve; double score = 0, percentile = 0; Instant day; };
struct SupportRow { std::string product, cycle, eol, support, latest; bool operator==(const SupportRow&) const = default; };
struct ImportNote {
  Id id = 0;
  std::string source, file;
  Hash file_hash{};
  Instant data_at;               // of the data itself: catalogue, model, newest record
  std::int64_t records = 0, changed = 0;
  Instant at;
};

struct DeviceVuln {
  Id device = 0;
  std::string cve;
  int verdict = 0;               // expose::Verdict
  std::string source, reason;
  std::string why;               // what went into the priority (expose/priority.h), JSON
  std::int64_t priority = 0;
  Instant at;                    // since when it stands so
};
// The same with what the sources say of it.
struct DeviceVulnDocs {
  DeviceVuln row;
  std::vector<std::string> docs; // records of all sources that name it
};
// A device as the judgement needs it.
struct DeviceName {
  Id id = 0;
  std::string vendor, product, firmware;
  std::string cpes;              // as stored; names_in() reads it
  bool product_known = false;
  std::int64_t priority = 0;     // as it stands
};
// An open finding as the judgement needs it.
struct DeviceExposure {
  Id device = 0, finding = 0;
  char pattern = 'D';
  std::string rule;
  std::int64_t priority = 0, why = 0;  // as they stand
};
struct Urgency { std::int64_t priority = 0, why = 0; };  // why: text_key
// One row to store; texts by their key (text_key), which are put before.
struct DeviceVulnRow {
  std::string cve;
  int verdict = 0;
  std::string source;
  std::int64_t reason = 0, why = 0, priority = 0;
  bool operator==(const DeviceVulnRow&) const = default;
};
struct DeviceVulnCounts { std::int64_t devices_changed = 0, rows_added = 0, rows_removed = 0; };

class Vulns {
 public:
  explicit Vulns(store::Db& db) : db_(db) {}

  // ---- imports ----
  Result<VulnCounts> put(std::string_view source, const std::vector<VulnRecord>& records);
  // Records of a source that are not in `keep`: for sources that publish their whole catalogue.
  Result<std::int64_t> remove_others(std::string_view source, const std::set<std::string>& keep);
  Result<VulnCounts> put_epss(const std::vector<EpssRow>& rows);
  Result<VulnCounts> put_support(std::string_view product, const std::vector<SupportRow>& rows);  // replaces the product's cycles
  Status note_import(const ImportNote& note);
  Result<std::vector<ImportNote>> imports(std::size_t limit = 100);      // newest first
  Result<std::optional<Instant>> data_at(std::string_view source);       // newest data that was imported

  // ---- reading ----
  Result<std::set<std::string>> cves_of(const std::vector<std::pair<std::string, std::string>>& names);  // vendor, product; open index rows too
  Result<std::map<std::string, std::vector<std::string>>> docs_of(const std::set<std::string>& cves);    // per CVE, by source and record
  Result<std::map<std::string, EpssRow>> epss_of(const std::set<std::string>& cves);
  Result<std::vector<SupportRow>> support_of(std::string_view product);
  Result<std::map<std::string, std::int64_t>> record_counts();           // per source

  // ---- devices ----
  Result<std::vector<DeviceName>> devices(Id after, std::size_t limit);  // by id, merged ones left out
  static Status names_in(const DeviceName& device, std::vector<std::string>& cpes, std::vector<std::string>& components);
  Result<std::vector<DeviceExposure>> exposures(Id from, Id to);         // open findings of devices in [from, to]
  // Everything that is true of the devices in [from, to]: what is stored and not in `rows` goes, what is new comes, the rest is not touched.
  Result<DeviceVulnCounts> put_device_vulns(Id from, Id to, const std::map<Id, std::vector<DeviceVulnRow>>& rows, Instant now);
  // How urgent devices and findings are, where it changed; findings of these devices that are not open any more lose theirs.
  Status put_urgency(Id from, Id to, const std::map<Id, std::int64_t>& devices, const std::map<Id, Urgency>& findings);
  Status put_texts(const std::map<std::int64_t, std::string>& texts);
  static std::int64_t text_key(std::string_view text);                   // 63 bits of SHA-256
  Result<std::vector<DeviceVuln>> of_device(Id device);                  // most urgent first
  Result<std::vector<DeviceVuln>> of_cve(std::string_view cve, Id after, std::size_t limit);  // by device
  Result<std::vector<DeviceVulnDocs>> with_docs(const std::vector<Id>& devices, std::size_t limit);  // most urgent first; one query
  Result<std::vector<DeviceVuln>> exploited(Id device, std::size_t limit);  // those that KEV lists, most urgent first

 private:
  store::Db& db_;
};

}  // namespace nora::registry
