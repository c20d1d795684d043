// Importers of vulnerability data: CISA KEV (JSON), NVD API 2.0 (JSON), FIRST EPSS (CSV), JVN iPedia (JVNRSS and VULDEF), endoflife.date (JSON).
// CSAF is in csaf.h. Used by flow/vulns and `nora vuln import`. Pure functions over the text of a file, any thread. Nothing is taken from the network.
// A file is read completely or refused with the record and the cause. Limits: named below; larger feeds are imported page by page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "expose/vuln.h"

namespace nora::expose {

inline constexpr std::size_t max_import_bytes = 64u << 20;   // one file
inline constexpr std::size_t max_import_records = 500'000;   // per file
inline constexpr std::size_t max_text_bytes = 64 * 1024;     // titles, descriptions: longer ones are cut

bool is_cve_id(std::string_view text);  // CVE-YYYY-NNNN, four digits or more
// RFC 3339, or what the sources write instead: without seconds, without zone (then UTC), a plain date. Returned as RFC 3339. Errors: bad_input
Result<std::string> normal_time(std::string_view text);

struct KevCatalog {
  std::string version, released;  // released: RFC 3339
  std::vector<Vulnerability> records;
};
Result<KevCatalog> parse_kev(std::string_view json);

Result<std::vector<Vulnerability>> parse_nvd(std::string_view json);

struct EpssTable {
  std::string model, date;        // date: RFC 3339
  struct Row { std::string cve; double score = 0, percentile = 0; };
  std::vector<Row> rows;
};
Result<EpssTable> parse_epss(std::string_view csv);

// One file of JVNRSS (overview list, feed) or VULDEF (details): one record per (JVNDB id, CVE).
Result<std::vector<Vulnerability>> parse_jvn(std::string_view xml);

// endoflife.date: a product's release cycles. `product` is its id there (the file's name without .json); the v1 form names itself.
struct SupportCycle {
  std::string product, cycle;
  std::string eol;                // date, "ended", "supported", or empty: unknown
  std::string support, latest;
};
Result<std::vector<SupportCycle>> parse_eol(std::string_view json, std::string_view product);
// The cycle that a firmware belongs to: the longest cycle name that is a prefix by components. nullptr: none, or the firmware is unknown.
const SupportCycle* cycle_of(const std::vector<SupportCycle>& cycles, std::string_view firmware);

}  // namespace nora::expose
