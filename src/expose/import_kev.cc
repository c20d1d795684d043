// CISA KEV catalogue: which CVEs are known to be exploited. Its vendorProject and product are free text and are kept as such: joined by CVE id only.
#include <algorithm>
#include <cctype>
#include <set>

#include "base/instant.h"
#include "expose/json_read.h"
#include "expose/vuln_import.h"

namespace nora::expose {

bool is_cve_id(std::string_view t) {
  const auto digits = [](std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; }); };
  return t.size() >= 13 && t.size() <= 20 && t.starts_with("CVE-") && digits(t.substr(4, 4)) && t[8] == '-' && digits(t.substr(9));
}

Result<std::string> normal_time(std::string_view text) {
  std::string t(text);
  if (t.size() == 10) t += "T00:00:00Z";
  if (t.size() > 10 && t[10] == ' ') t[10] = 'T';
  // "2025-04-11T23:52+09:00": no seconds.
  if (t.size() >= 16 && (t.size() == 16 || t[16] != ':')) t.insert(16, ":00");
  // "+0000" as EPSS writes it; no zone at all as NVD does: UTC.
  const auto zone = t.find_first_of("Z+-", 19 < t.size() ? 19 : t.size());
  if (zone == std::string::npos) t += 'Z';
  else if (t[zone] != 'Z' && t.size() == zone + 5) t.insert(zone + 3, ":");
  NORA_TRY(const auto instant, Instant::parse(t));
  return instant.text();
}

Result<KevCatalog> parse_kev(std::string_view text) {
  NORA_TRY(const auto document, json::parse(text));
  const JsonPlace root(document, "");
  KevCatalog out;
  NORA_TRY(out.version, root.text("catalogVersion"));
  NORA_TRY(const auto released, root.text("dateReleased"));
  auto when = normal_time(released);
  if (!when) return root.bad("\"dateReleased\" is not a time");
  out.released = *when;
  NORA_TRY(const auto count, root.number("count"));
  NORA_TRY(const auto list, root.need("vulnerabilities"));
  NORA_TRY(const auto entries, list.items());
  if (static_cast<double>(entries.size()) != count) return root.bad(fmt::format("\"count\" says {} and there are {} entries: the file is not whole", count, entries.size()));
  if (entries.size() > max_import_records) return list.bad("more entries than one import takes");
  std::set<std::string> seen;
  for (const auto& e : entries) {
    Vulnerability v;
    v.source = "kev";
    NORA_TRY(v.id, e.text("cveID"));
    if (!is_cve_id(v.id)) return e.bad("cveID is no CVE id");
    if (!seen.insert(v.id).second) return e.bad(v.id + " stands in the catalogue twice");
    v.record = v.id;
    NORA_TRY(v.title_en, e.text("vulnerabilityName"));
    NORA_TRY(v.description, e.text("shortDescription"));
    NORA_TRY(v.cwes, e.strings("cwes"));
    Kev k;
    NORA_TRY(k.vendor_project, e.text("vendorProject"));
    NORA_TRY(k.product, e.text("product"));
    NORA_TRY(k.date_added, e.text("dateAdded"));
    if (k.date_added.size() != 10 || !normal_time(k.date_added)) return e.bad("dateAdded is not a date");
    NORA_TRY(k.due_date, e.text("dueDate"));
    if (k.due_date.size() != 10 || !normal_time(k.due_date)) return e.bad("dueDate is not a date");
    NORA_TRY(k.required_action, e.text("requiredAction"));
    NORA_TRY(k.notes, e.text_or_empty("notes"));
    NORA_TRY(const auto ransomware, e.text_or_empty("knownRansomwareCampaignUse"));
    if (!ransomware.empty() && ransomware != "Known" && ransomware != "Unknown") return e.bad("knownRansomwareCampaignUse is neither Known nor Unknown");
    k.ransomware = ransomware == "Known";
    v.kev = std::move(k);
    out.records.push_back(std::move(v));
  }
  return out;
}

}  // namespace nora::expose
