// Vulnerabilities as the sources tell them, and the judgement whether one of them concerns a device. Used by the importers (vuln_import.h), flow/vulns
// (re-evaluation), `nora vuln`. Plain data and pure functions, any thread. Words: "affected according to <source>" only when the device's own firmware
// lies in the source's range; "possibly affected" when the firmware or its order is unknown. The word "vulnerable" is never used for a device.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "expose/cpe.h"

namespace nora::expose {

inline constexpr std::size_t max_configurations = 5000;        // per record: the largest advisories of NVD have some thousand criteria
inline constexpr std::size_t max_matches = 50'000;             // criteria per record
inline constexpr int max_configuration_depth = 8;
inline constexpr std::size_t max_reason_bytes = 600;

// One criterion: a CPE name with a range of versions (empty bound: open).
struct CpeMatch {
  Cpe cpe;
  bool vulnerable = true;       // false: only the context, for example the hardware that the firmware runs on
  std::string start_including, start_excluding, end_including, end_excluding;
  bool versions_named = true;   // false: the source names the product and not which versions
  std::string version_text;     // the source's own words about versions, where they are no range
  bool operator==(const CpeMatch&) const = default;
};

struct Configuration {
  enum class Op { any, all };
  Op op = Op::any;
  bool negate = false;
  std::vector<CpeMatch> matches;
  std::vector<Configuration> children;
  bool operator==(const Configuration&) const = default;
};

struct Cvss {
  std::string version, vector, severity;
  double score = 0;
  bool operator==(const Cvss&) const = default;
};
struct Kev {
  std::string date_added, due_date, required_action, vendor_project, product, notes;
  bool ransomware = false;      // known use in ransomware campaigns
  bool operator==(const Kev&) const = default;
};
struct Epss {
  double score = 0, percentile = 0;  // both 0..1
  std::string date;                  // of the model
};

// What one record of one source says of one vulnerability.
struct Vulnerability {
  std::string id;               // CVE id, or the publisher's own where there is none
  std::string source;           // nvd | kev | jvn | csaf
  std::string record;           // the source's own record id (JVNDB-…, tracking id); the CVE id at nvd and kev
  std::string title_en, title_ja, description;
  std::string status;           // the source's own word ("Analyzed", "Rejected", "final")
  std::string published, modified;  // RFC 3339 or empty
  std::vector<Cvss> cvss;
  std::vector<std::string> cwes, references, remedies;
  std::vector<Configuration> configurations;  // any of them
  std::vector<CpeMatch> not_affected;         // products that the source declares fixed or not affected
  std::optional<Kev> kev;
  bool operator==(const Vulnerability&) const = default;
};

json::Object to_json(const Vulnerability& v);
Result<Vulnerability> vulnerability_from(const json::Object& o);  // Errors: bad_input naming the field

// vendor and product of every criterion that can make a device affected: the index of the store. "*" where the criterion is open.
std::vector<std::pair<std::string, std::string>> index_keys(const Vulnerability& v);

// One thing that is known of a device, as a CPE name. part 0: any.
struct DeviceFact {
  char part = 0;
  std::string vendor, product;  // CPE spelling, plain ("aterm_wg1200hp4_firmware")
  std::string version;          // as the device tells it; empty: unknown
  std::string maker;            // whose rule orders the versions
  bool alias_verified = true;   // false: the bridge from Nora's name to this one has not been checked by anybody
  // Software that was seen on the device: makers mend it without changing its version, so it never makes more than "possibly affected".
  bool component = false;
};

enum class Verdict { not_affected, possibly_affected, affected_by_version };
std::string_view name(Verdict v);
std::optional<Verdict> parse_verdict(std::string_view text);

// Why it is only "possibly affected".
enum class Doubt { none, version, component, other };  // version: the device's own is not known; other: the source's words, no order of versions, …
std::string_view name(Doubt d);
std::optional<Doubt> parse_doubt(std::string_view text);

struct Judgement {
  Verdict verdict = Verdict::not_affected;
  std::string reason;           // one sentence, cleaned
  std::string source;           // of the reason
  Doubt doubt = Doubt::none;
};
Judgement judge(const Vulnerability& record, std::span<const DeviceFact> facts);
// All records of one vulnerability. A maker's word that this firmware is not affected against another source's "affected": possibly affected, with both reasons.
Judgement judge(std::span<const Vulnerability> records, std::span<const DeviceFact> facts);

// Fields of a merged view, best source first.
std::string title_of(std::span<const Vulnerability> records, bool japanese);
const Kev* kev_of(std::span<const Vulnerability> records);
const Cvss* cvss_of(std::span<const Vulnerability> records);  // newest version, then highest score

}  // namespace nora::expose
