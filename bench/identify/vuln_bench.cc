// How long vulnerability data takes: import of a synthetic NVD file set, KEV and EPSS, then the judgement of all devices of a SQLite store, twice.
// Usage: vuln_bench [devices=100000] [cves=20000]. Everything is invented; the store is a temporary file.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <sys/resource.h>
#include <unistd.h>

#include "base/files.h"
#include "flow/vulns.h"

namespace {

using namespace nora;

struct Stopwatch {
  std::chrono::steady_clock::time_point from = std::chrono::steady_clock::now();
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count(); }
};

constexpr int products = 2000, vendors = 50, firmwares = 8;
std::string vendor(int product) { return fmt::format("Maker{}", product % vendors); }
std::string product_name(int product) { return fmt::format("R-{}", product); }

// Firmware before a version, on its hardware; every fifth without hardware, every seventh of all versions.
std::string nvd_entry(int i) {
  const int p = i % products;
  const std::string base = fmt::format("maker{}:r-{}", p % vendors, p);
  const std::string range = i % 7 == 0 ? "" : fmt::format(R"(, "versionEndExcluding": "1.{}")", i % (firmwares + 2));
  std::string nodes = fmt::format(R"({{"operator": "OR", "negate": false, "cpeMatch": [{{"vulnerable": true, "criteria": "cpe:2.3:o:{}_firmware:*:*:*:*:*:*:*:*"{}}}]}})", base, range);
  if (i % 5 != 0) nodes += fmt::format(R"(, {{"operator": "OR", "negate": false, "cpeMatch": [{{"vulnerable": false, "criteria": "cpe:2.3:h:{}:-:*:*:*:*:*:*:*"}}]}})", base);
  return fmt::format(R"({{"cve": {{"id": "CVE-2026-{:05d}", "published": "2026-01-01T00:00:00.000", "lastModified": "2026-01-02T00:00:00.000", "vulnStatus": "Analyzed",
    "descriptions": [{{"lang": "en", "value": "Invented number {} for a measurement of how long the import of descriptions of usual length takes, which is about three lines of text in NVD."}}],
    "metrics": {{"cvssMetricV31": [{{"cvssData": {{"version": "3.1", "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8, "baseSeverity": "CRITICAL"}}}}]}},
    "configurations": [{{"operator": "AND", "nodes": [{}]}}], "references": [{{"url": "https://example.org/{}"}}]}}}})", i + 10000, i, nodes, i);
}

Status run(int devices, int cves) {
  const auto dir = std::filesystem::temp_directory_path() / ("nora_vuln_bench" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  struct Remove { std::filesystem::path dir; ~Remove() { std::filesystem::remove_all(dir); } } remove{dir};
  SystemEnv system("vuln_bench");
  NORA_TRY(auto store, registry::Registry::open("sqlite:" + (dir / "nora.db").string()));
  {
    Stopwatch watch;
    NORA_CHECK(store.db().transaction([&]() -> Status {
      for (int i = 0; i < devices; ++i) {
        registry::Device d;
        const int p = i % products;
        d.identity.vendor = {vendor(p), 0.9, {}};
        d.identity.product = {product_name(p), 0.9, {}};
        d.identity.firmware = {i % 4 == 0 ? std::string() : fmt::format("1.{}", (i / products) % firmwares), 0.9, {}};
        d.first_seen = d.last_seen = Instant::seconds(1'795'600'000);
        NORA_TRY(const auto id, store.put_device(d, fmt::format("k{}", i), "v1"));
        if (i % 3 != 0) continue;
        registry::StoredFinding f;
        f.finding.device = id;
        f.finding.rule = i % 2 == 0 ? "telnet-login" : "open-resolver";
        f.finding.pattern = i % 2 == 0 ? registry::Pattern::D : registry::Pattern::A;
        f.finding.where = {Ip::v4(0xC0000200u + static_cast<std::uint32_t>(i % 256)), {23}, Proto::tcp, d.last_seen};
        f.finding.first_seen = f.finding.last_seen = d.last_seen;
        f.finding.state = "open";
        NORA_CHECK(store.put_finding(f));
      }
      return {};
    }));
    std::printf("%d devices stored in %.2f s\n", devices, watch.seconds());
  }
  std::string kev = R"({"catalogVersion": "1", "dateReleased": "2026-01-01T00:00:00Z", "count": 1400, "vulnerabilities": [)", epss = "#model_version:v1,score_date:2026-01-01T00:00:00Z\ncve,epss,percentile\n";
  for (int i = 0; i < 1400; ++i)
    kev += fmt::format(R"({}{{"cveID": "CVE-2026-{:05d}", "vendorProject": "M", "product": "R", "vulnerabilityName": "n", "dateAdded": "2026-01-01", "shortDescription": "s", "requiredAction": "a",
                          "dueDate": "2026-01-15", "knownRansomwareCampaignUse": "Unknown", "notes": "", "cwes": []}})", i > 0 ? "," : "", 10000 + i * 14 % cves);
  kev += "]}";
  for (int i = 0; i < cves; ++i) epss += fmt::format("CVE-2026-{:05d},{:.5f},{:.5f}\n", i + 10000, i % 1000 / 1000.0, i % 100 / 100.0);
  NORA_CHECK(replace_file(dir / "kev.json", kev));
  NORA_CHECK(replace_file(dir / "epss.csv", epss));
  const expose::CpeNames names;
  NORA_TRY(const auto products_known, expose::Knowledge::load(std::string(NORA_SOURCE_DIR) + "/data/products", std::string(NORA_SOURCE_DIR) + "/data/advice"));
  flow::Vulnerabilities vulns(system.env(), store, names, products_known);
  {
    Stopwatch watch;
    constexpr int per_page = 2000;
    for (int from = 0; from < cves; from += per_page) {
      std::string page = R"({"format": "NVD_CVE", "version": "2.0", "vulnerabilities": [)";
      for (int i = from; i < std::min(cves, from + per_page); ++i) page += (i > from ? "," : "") + nvd_entry(i);
      NORA_CHECK(replace_file(dir / "nvd.json", page + "]}"));
      NORA_CHECK(vulns.import("nvd", dir / "nvd.json"));
    }
    NORA_CHECK(vulns.import("kev", dir / "kev.json"));
    NORA_CHECK(vulns.import("epss", dir / "epss.csv"));
    std::printf("%d CVEs of NVD, 1400 of KEV, %d scores imported in %.2f s\n", cves, cves, watch.seconds());
  }
  for (const char* what : {"first judgement", "again, nothing new"}) {
    Stopwatch watch;
    NORA_TRY(const auto r, vulns.reassess());
    std::printf("%s: %lld devices (%lld distinct identities), %lld CVEs concern one, %lld rows affected, %lld possibly; %lld rows written, in %.2f s\n", what, static_cast<long long>(r.devices),
                static_cast<long long>(r.identities), static_cast<long long>(r.cves), static_cast<long long>(r.affected), static_cast<long long>(r.possibly), static_cast<long long>(r.rows_added),
                watch.seconds());
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("peak memory %ld MB\n", usage.ru_maxrss / 1024);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc > 1 ? std::atoi(argv[1]) : 100'000, argc > 2 ? std::atoi(argv[2]) : 20'000);
  if (!done) std::fprintf(stderr, "error: %s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
