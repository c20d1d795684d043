// NVD CVE API 2.0 (https://nvd.nist.gov/developers/vulnerabilities): vulnerabilities[].cve with configurations of cpeMatch. One page a file.
#include <algorithm>

#include "expose/json_read.h"
#include "expose/vuln_import.h"

namespace nora::expose {
namespace {

struct Limits { std::size_t matches = 0; };

Result<CpeMatch> read_match(const JsonPlace& p, Limits& limits) {
  if (++limits.matches > max_matches) return p.bad("more criteria than one record may have");
  CpeMatch m;
  NORA_TRY(const auto criteria, p.text("criteria"));
  auto cpe = Cpe::parse(criteria);
  if (!cpe) return p.bad(cpe.error().what);
  m.cpe = std::move(*cpe);
  NORA_TRY(const auto vulnerable, p.need("vulnerable"));
  if (!vulnerable.value().is_bool()) return vulnerable.bad("is not true or false");
  m.vulnerable = vulnerable.value().get_bool();
  NORA_TRY(m.start_including, p.text_or_empty("versionStartIncluding"));
  NORA_TRY(m.start_excluding, p.text_or_empty("versionStartExcluding"));
  NORA_TRY(m.end_including, p.text_or_empty("versionEndIncluding"));
  NORA_TRY(m.end_excluding, p.text_or_empty("versionEndExcluding"));
  return m;
}

Result<Configuration::Op> read_operator(const JsonPlace& p) {
  NORA_TRY(const auto op, p.text_or_empty("operator"));
  if (op.empty() || op == "OR") return Configuration::Op::any;
  if (op == "AND") return Configuration::Op::all;
  return p.bad("operator is neither AND nor OR");
}

Result<Configuration> read_node(const JsonPlace& p, int depth, Limits& limits) {
  if (depth > max_configuration_depth) return p.bad("configurations nest too deeply");
  Configuration c;
  NORA_TRY(c.op, read_operator(p));
  NORA_TRY(c.negate, p.flag_or("negate", false));
  NORA_TRY(const auto matches, p.list("cpeMatch"));
  for (const auto& each : matches) {
    NORA_TRY(auto m, read_match(each, limits));
    c.matches.push_back(std::move(m));
  }
  for (const auto key : {"nodes", "children"}) {  // a configuration holds nodes; the older feeds nest children
    NORA_TRY(const auto inner, p.list(key));
    for (const auto& each : inner) {
      NORA_TRY(auto n, read_node(each, depth + 1, limits));
      c.children.push_back(std::move(n));
    }
  }
  if (c.matches.empty() && c.children.empty()) return p.bad("neither cpeMatch nor nodes");
  return c;
}

Status read_cvss(const JsonPlace& cve, Vulnerability& v) {
  const auto metrics = cve.find("metrics");
  if (!metrics) return {};
  for (const auto key : {"cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2"}) {
    NORA_TRY(const auto list, metrics->list(key));
    for (const auto& each : list) {
      NORA_TRY(const auto data, each.need("cvssData"));
      Cvss c;
      NORA_TRY(c.version, data.text("version"));
      NORA_TRY(c.vector, data.text("vectorString"));
      NORA_TRY(c.score, data.number("baseScore"));
      if (!(c.score >= 0 && c.score <= 10)) return data.bad("baseScore is not between 0 and 10");
      NORA_TRY(c.severity, data.text_or_empty("baseSeverity"));
      if (c.severity.empty()) { NORA_TRY(c.severity, each.text_or_empty("baseSeverity")); }  // V2 keeps it beside cvssData
      v.cvss.push_back(std::move(c));
    }
  }
  return {};
}

Result<Vulnerability> read_cve(const JsonPlace& p) {
  Vulnerability v;
  v.source = "nvd";
  NORA_TRY(v.id, p.text("id"));
  if (!is_cve_id(v.id)) return p.bad("id is no CVE id");
  v.record = v.id;
  NORA_TRY(v.status, p.text_or_empty("vulnStatus"));
  for (auto [key, to] : {std::pair{"published", &v.published}, std::pair{"lastModified", &v.modified}}) {
    NORA_TRY(const auto text, p.text(key));
    auto when = normal_time(text);
    if (!when) return p.bad(fmt::format("{} of {} is not a time", key, v.id));
    *to = *when;
  }
  NORA_TRY(const auto descriptions, p.list("descriptions"));
  for (const auto& d : descriptions) {
    NORA_TRY(const auto lang, d.text("lang"));
    NORA_TRY(const auto value, d.text("value"));
    if (lang == "en" && v.description.empty()) v.description = value.substr(0, max_text_bytes);
    if (lang == "ja" && v.title_ja.empty()) v.title_ja = value.substr(0, max_text_bytes);
  }
  NORA_TRY(v.title_en, p.text_or_empty("cisaVulnerabilityName"));
  NORA_CHECK(read_cvss(p, v));
  NORA_TRY(const auto weaknesses, p.list("weaknesses"));
  for (const auto& w : weaknesses) {
    NORA_TRY(const auto words, w.list("description"));
    for (const auto& d : words) {
      NORA_TRY(auto value, d.text("value"));
      if (std::find(v.cwes.begin(), v.cwes.end(), value) == v.cwes.end()) v.cwes.push_back(std::move(value));
    }
  }
  NORA_TRY(const auto configurations, p.list("configurations"));
  if (configurations.size() > max_configurations) return p.bad("more configurations than one record may have");
  Limits limits;
  for (const auto& c : configurations) {
    // Without an operator the nodes of one configuration are alternatives.
    NORA_TRY(auto node, read_node(c, 0, limits));
    v.configurations.push_back(std::move(node));
  }
  NORA_TRY(const auto references, p.list("references"));
  for (const auto& r : references) {
    NORA_TRY(auto url, r.text("url"));
    if (std::find(v.references.begin(), v.references.end(), url) == v.references.end()) v.references.push_back(std::move(url));
  }
  return v;
}

}  // namespace

Result<std::vector<Vulnerability>> parse_nvd(std::string_view text) {
  NORA_TRY(const auto document, json::parse(text));
  const JsonPlace root(document, "");
  NORA_TRY(const auto format, root.text_or_empty("format"));
  if (format != "NVD_CVE") return root.bad("\"format\" is not NVD_CVE: this is no answer of the NVD CVE API 2.0");
  NORA_TRY(const auto version, root.text("version"));
  if (!version.starts_with("2.")) return root.bad("\"version\" is " + version + "; version 2 of the API is read");
  NORA_TRY(const auto list, root.need("vulnerabilities"));
  NORA_TRY(const auto entries, list.items());
  if (entries.size() > max_import_records) return list.bad("more entries than one import takes");
  std::vector<Vulnerability> out;
  for (const auto& e : entries) {
    NORA_TRY(const auto cve, e.need("cve"));
    NORA_TRY(auto v, read_cve(cve));
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace nora::expose
