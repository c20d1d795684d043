// Vulnerability data in the center's store: records by source, the index vendor/product -> CVE, EPSS, support cycles, the log of imports, and what was
// judged of each device. Used by flow/vulns (writer) and `nora vuln` (reader). The records themselves are documents that expose/ reads and writes.
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
  std::string source, reason, words;
  std::int64_t priority = 0;
  Instant at;                    // since when it stands so
};
// A device as the judgement needs it.
struct DeviceName { Id id = 0; std::string vendor, product, firmware; bool product_known = false; };
struct DeviceExposure { Id device = 0; char pattern = 'D'; std::string rule; };
// One row to store; texts by their key (text_key), which are put before.
struct DeviceVulnRow {
  std::string cve;
  int verdict = 0;
  std::string source;
  std::int64_t reason = 0, words = 0, priority = 0;
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
  Result<std::vector<DeviceExposure>> exposures(Id from, Id to);         // open findings of devices in [from, to]
  // Everything that is true of the devices in [from, to]: what is stored and not in `rows` goes, what is new comes, the rest is not touched.
  Result<DeviceVulnCounts> put_device_vulns(Id from, Id to, const std::map<Id, std::vector<DeviceVulnRow>>& rows, Instant now);
  Status put_texts(const std::map<std::int64_t, std::string>& texts);
  static std::int64_t text_key(std::string_view text);                   // 63 bits of SHA-256
  Result<std::vector<DeviceVuln>> of_device(Id device);                  // most urgent first
  Result<std::vector<DeviceVuln>> of_cve(std::string_view cve, std::size_t limit = 1000);

 private:
  store::Db& db_;
};

}  // namespace nora::registry
