// Vulnerability data and devices: importing files of the sources into the store, judging one identity, and judging all stored devices again when data
// came, without a new survey. Used by `nora vuln`. Devices are matched by the index vendor/product -> CVE, once per distinct identity.
// Idempotent: the same file or the same judgement again changes nothing. Not thread safe: one per Registry.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "expose/cpe_names.h"
#include "expose/knowledge.h"
#include "expose/priority.h"
#include "expose/vuln_import.h"
#include "registry/registry.h"
#include "registry/vulns.h"

namespace nora::flow {

inline constexpr std::string_view vuln_sources[] = {"kev", "nvd", "epss", "jvn", "csaf", "eol"};
inline constexpr std::size_t max_component_rows = 20;  // stored per device: the most urgent ones of its components; its own are all kept

struct VulnImport {
  std::string source, file;
  registry::VulnCounts counts;
  Instant data_at;
  bool outdated = false;                 // older than what is stored: nothing was changed
  std::vector<std::string> warnings;
};

// What is asked about: names and firmware, and the CPE names that fingerprints state (registry::Identity).
struct VulnSubject {
  std::string vendor, product, firmware;
  std::vector<std::string> cpes, components;
};

// One vulnerability as it concerns one device.
struct VulnAnswer {
  std::string cve, title_en, title_ja;
  expose::Judgement judgement;
  expose::Priority priority;
  std::optional<expose::Cvss> cvss;
  std::optional<expose::Kev> kev;
  std::optional<expose::Epss> epss;
  std::vector<std::string> sources, references, remedies;
};

struct SupportEnd {
  std::optional<bool> ended;             // nullopt: unknown, never "supported"
  std::string end;                       // date, or "ended"
};

struct VulnReassessed {
  std::int64_t devices = 0, named = 0, identities = 0, cves = 0, affected = 0, possibly = 0, devices_changed = 0, rows_added = 0, rows_removed = 0;
};

class Vulnerabilities {
 public:
  Vulnerabilities(Env env, registry::Registry& registry, const expose::CpeNames& names, const expose::Knowledge& products);
  // source: one of vuln_sources. Errors: usage (no such source), bad_input with file, record and cause.
  Result<VulnImport> import(std::string_view source, const std::filesystem::path& file);
  // Most urgent first. everything: what does not concern the device too, with the reason.
  Result<std::vector<VulnAnswer>> about(const VulnSubject& subject, const std::vector<expose::OpenExposure>& exposures = {}, bool everything = false);
  Result<SupportEnd> support_end(std::string_view vendor, std::string_view product, std::string_view firmware);
  Result<VulnReassessed> reassess();

 private:
  struct Judged;
  struct Round;
  using Records = std::vector<expose::Vulnerability>;
  Result<std::vector<std::string>> candidates(std::span<const expose::DeviceFact> facts);  // and reads their records
  Result<Judged*> judged(const registry::DeviceName& device);
  Status judge_device(const registry::DeviceName& device, const std::vector<registry::DeviceExposure>& open, Round& round, VulnReassessed& out);
  Env env_;
  registry::Registry& registry_;
  registry::Vulns vulns_;
  const expose::CpeNames& names_;
  const expose::Knowledge& products_;
  std::map<std::string, Records> records_;               // by CVE; of this run
  std::map<std::string, expose::Epss> epss_;
  std::map<std::string, std::shared_ptr<Judged>> identities_;
};

}  // namespace nora::flow
