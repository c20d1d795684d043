#include "expose/cvss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/text.h"

namespace nora::expose {
namespace {

struct ValueOf { std::string_view text, long_text; double weight; };
struct Metric {
  std::string_view id, property;
  bool base;
  std::vector<ValueOf> values;
};

// Weights: CVSS v3.1 specification section 7.4, CVSS v2 guide section 3.2.
const std::vector<Metric>& metrics_v3() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> m = {
        {"AV", "attackVector", true, {{"N", "NETWORK", 0.85}, {"A", "ADJACENT_NETWORK", 0.62}, {"L", "LOCAL", 0.55}, {"P", "PHYSICAL", 0.2}}},
        {"AC", "attackComplexity", true, {{"L", "LOW", 0.77}, {"H", "HIGH", 0.44}}},
        {"PR", "privilegesRequired", true, {{"N", "NONE", 0.85}, {"L", "LOW", 0.62}, {"H", "HIGH", 0.27}}},
        {"UI", "userInteraction", true, {{"N", "NONE", 0.85}, {"R", "REQUIRED", 0.62}}},
        {"S", "scope", true, {{"U", "UNCHANGED", 0}, {"C", "CHANGED", 0}}},
        {"C", "confidentialityImpact", true, {{"N", "NONE", 0}, {"L", "LOW", 0.22}, {"H", "HIGH", 0.56}}},
        {"I", "integrityImpact", true, {{"N", "NONE", 0}, {"L", "LOW", 0.22}, {"H", "HIGH", 0.56}}},
        {"A", "availabilityImpact", true, {{"N", "NONE", 0}, {"L", "LOW", 0.22}, {"H", "HIGH", 0.56}}}};
    const std::size_t base = m.size();
    for (std::size_t i = 0; i < base; ++i) {  // the modified ones take the same values, and "not defined"
      static constexpr std::string_view ids[] = {"MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"};
      static constexpr std::string_view names[] = {"modifiedAttackVector", "modifiedAttackComplexity", "modifiedPrivilegesRequired", "modifiedUserInteraction",
                                                   "modifiedScope", "modifiedConfidentialityImpact", "modifiedIntegrityImpact", "modifiedAvailabilityImpact"};
      auto copy = m[i];
      copy.id = ids[i];
      copy.property = names[i];
      copy.base = false;
      copy.values.push_back({"X", "NOT_DEFINED", 0});
      m.push_back(std::move(copy));
    }
    m.push_back({"E", "exploitCodeMaturity", false, {{"X", "NOT_DEFINED", 1}, {"U", "UNPROVEN", 0.91}, {"P", "PROOF_OF_CONCEPT", 0.94}, {"F", "FUNCTIONAL", 0.97}, {"H", "HIGH", 1}}});
    m.push_back({"RL", "remediationLevel", false, {{"X", "NOT_DEFINED", 1}, {"O", "OFFICIAL_FIX", 0.95}, {"T", "TEMPORARY_FIX", 0.96}, {"W", "WORKAROUND", 0.97}, {"U", "UNAVAILABLE", 1}}});
    m.push_back({"RC", "reportConfidence", false, {{"X", "NOT_DEFINED", 1}, {"U", "UNKNOWN", 0.92}, {"R", "REASONABLE", 0.96}, {"C", "CONFIRMED", 1}}});
    for (const auto& [id, property] : {std::pair{"CR", "confidentialityRequirement"}, std::pair{"IR", "integrityRequirement"}, std::pair{"AR", "availabilityRequirement"}})
      m.push_back({id, property, false, {{"X", "NOT_DEFINED", 1}, {"L", "LOW", 0.5}, {"M", "MEDIUM", 1}, {"H", "HIGH", 1.5}}});
    return m;
  }();
  return all;
}
const std::vector<Metric>& metrics_v2() {
  static const std::vector<Metric> all = {
      {"AV", "accessVector", true, {{"N", "NETWORK", 1}, {"A", "ADJACENT_NETWORK", 0.646}, {"L", "LOCAL", 0.395}}},
      {"AC", "accessComplexity", true, {{"L", "LOW", 0.71}, {"M", "MEDIUM", 0.61}, {"H", "HIGH", 0.35}}},
      {"Au", "authentication", true, {{"N", "NONE", 0.704}, {"S", "SINGLE", 0.56}, {"M", "MULTIPLE", 0.45}}},
      {"C", "confidentialityImpact", true, {{"N", "NONE", 0}, {"P", "PARTIAL", 0.275}, {"C", "COMPLETE", 0.66}}},
      {"I", "integrityImpact", true, {{"N", "NONE", 0}, {"P", "PARTIAL", 0.275}, {"C", "COMPLETE", 0.66}}},
      {"A", "availabilityImpact", true, {{"N", "NONE", 0}, {"P", "PARTIAL", 0.275}, {"C", "COMPLETE", 0.66}}},
      {"E", "exploitability", false, {{"U", "UNPROVEN", 0.85}, {"POC", "PROOF_OF_CONCEPT", 0.9}, {"F", "FUNCTIONAL", 0.95}, {"H", "HIGH", 1}, {"ND", "NOT_DEFINED", 1}}},
      {"RL", "remediationLevel", false, {{"OF", "OFFICIAL_FIX", 0.87}, {"TF", "TEMPORARY_FIX", 0.9}, {"W", "WORKAROUND", 0.95}, {"U", "UNAVAILABLE", 1}, {"ND", "NOT_DEFINED", 1}}},
      {"RC", "reportConfidence", false, {{"UC", "UNCONFIRMED", 0.9}, {"UR", "UNCORROBORATED", 0.95}, {"C", "CONFIRMED", 1}, {"ND", "NOT_DEFINED", 1}}},
      {"CDP", "collateralDamagePotential", false, {{"N", "NONE", 0}, {"L", "LOW", 0.1}, {"LM", "LOW_MEDIUM", 0.3}, {"MH", "MEDIUM_HIGH", 0.4}, {"H", "HIGH", 0.5}, {"ND", "NOT_DEFINED", 0}}},
      {"TD", "targetDistribution", false, {{"N", "NONE", 0}, {"L", "LOW", 0.25}, {"M", "MEDIUM", 0.75}, {"H", "HIGH", 1}, {"ND", "NOT_DEFINED", 1}}},
      {"CR", "confidentialityRequirement", false, {{"L", "LOW", 0.5}, {"M", "MEDIUM", 1}, {"H", "HIGH", 1.51}, {"ND", "NOT_DEFINED", 1}}},
      {"IR", "integrityRequirement", false, {{"L", "LOW", 0.5}, {"M", "MEDIUM", 1}, {"H", "HIGH", 1.51}, {"ND", "NOT_DEFINED", 1}}},
      {"AR", "availabilityRequirement", false, {{"L", "LOW", 0.5}, {"M", "MEDIUM", 1}, {"H", "HIGH", 1.51}, {"ND", "NOT_DEFINED", 1}}}};
  return all;
}
const std::vector<Metric>& metrics_of(CvssVersion v) { return v == CvssVersion::v2 ? metrics_v2() : metrics_v3(); }
const Metric* metric(CvssVersion v, std::string_view id) {
  for (const auto& m : metrics_of(v)) if (m.id == id) return &m;
  return nullptr;
}
double weight(CvssVersion v, std::string_view id, std::string_view value, double fallback) {
  if (const auto* m = metric(v, id))
    for (const auto& x : m->values) if (x.text == value) return x.weight;
  return fallback;
}

double round_1(double x) { return std::floor(x * 10 + 0.5) / 10; }

CvssScores scores_v2(const CvssMetrics& m) {
  const auto w = [&](std::string_view id, double fallback) {
    const auto it = m.find(id);
    return it == m.end() ? fallback : weight(CvssVersion::v2, id, it->second, fallback);
  };
  const auto base_of = [&](double impact) {
    const double exploitability = 20 * w("AV", 0) * w("AC", 0) * w("Au", 0);
    return round_1((0.6 * impact + 0.4 * exploitability - 1.5) * (impact == 0 ? 0 : 1.176));
  };
  const double impact = 10.41 * (1 - (1 - w("C", 0)) * (1 - w("I", 0)) * (1 - w("A", 0)));
  const double temporal = w("E", 1) * w("RL", 1) * w("RC", 1);
  CvssScores out;
  out.base = base_of(impact);
  out.temporal = round_1(out.base * temporal);
  const double adjusted = std::min(10.0, 10.41 * (1 - (1 - w("C", 0) * w("CR", 1)) * (1 - w("I", 0) * w("IR", 1)) * (1 - w("A", 0) * w("AR", 1))));
  const double adjusted_temporal = round_1(base_of(adjusted) * temporal);
  out.environmental = round_1((adjusted_temporal + (10 - adjusted_temporal) * w("CDP", 0)) * w("TD", 1));
  return out;
}

// Smallest number with one decimal that is not below x; 3.1 does it on integers so that all implementations agree (appendix A).
double round_up(CvssVersion v, double x) {
  if (v == CvssVersion::v30) return std::ceil(x * 10 - 1e-9) / 10;
  const auto n = static_cast<long long>(std::llround(x * 100'000));
  return n % 10'000 == 0 ? static_cast<double>(n) / 100'000 : (std::floor(static_cast<double>(n) / 10'000) + 1) / 10;
}

CvssScores scores_v3(CvssVersion v, const CvssMetrics& m) {
  const auto value = [&](std::string_view id) -> std::string_view {
    const auto it = m.find(id);
    return it == m.end() ? std::string_view("X") : std::string_view(it->second);
  };
  const auto modified = [&](std::string_view id) { const auto changed = value("M" + std::string(id)); return changed == "X" ? value(id) : changed; };
  const auto w = [&](std::string_view id, std::string_view x) { return weight(v, id, x, 1); };
  const auto privileges = [](std::string_view x, bool changed) { return x == "N" ? 0.85 : x == "L" ? (changed ? 0.68 : 0.62) : (changed ? 0.5 : 0.27); };
  const double temporal = w("E", value("E")) * w("RL", value("RL")) * w("RC", value("RC"));
  CvssScores out;
  {
    const bool changed = value("S") == "C";
    const double iss = 1 - (1 - w("C", value("C"))) * (1 - w("I", value("I"))) * (1 - w("A", value("A")));
    const double impact = changed ? 7.52 * (iss - 0.029) - 3.25 * std::pow(iss - 0.02, 15) : 6.42 * iss;
    const double exploitability = 8.22 * w("AV", value("AV")) * w("AC", value("AC")) * privileges(value("PR"), changed) * w("UI", value("UI"));
    out.base = impact <= 0 ? 0 : round_up(v, std::min((changed ? 1.08 : 1.0) * (impact + exploitability), 10.0));
    out.temporal = round_up(v, out.base * temporal);
  }
  const bool changed = modified("S") == "C";
  const auto required = [&](std::string_view id, std::string_view requirement) { return 1 - w(requirement, value(requirement)) * w(id, modified(id)); };
  const double miss = std::min(1 - required("C", "CR") * required("I", "IR") * required("A", "AR"), 0.915);
  double impact = 6.42 * miss;
  if (changed) impact = 7.52 * (miss - 0.029) - 3.25 * (v == CvssVersion::v31 ? std::pow(miss * 0.9731 - 0.02, 13) : std::pow(miss - 0.02, 15));
  const double exploitability = 8.22 * w("AV", modified("AV")) * w("AC", modified("AC")) * privileges(modified("PR"), changed) * w("UI", modified("UI"));
  out.environmental = impact <= 0 ? 0 : round_up(v, round_up(v, std::min((changed ? 1.08 : 1.0) * (impact + exploitability), 10.0)) * temporal);
  return out;
}

}  // namespace

Result<CvssMetrics> parse_cvss_vector(CvssVersion version, std::string_view vector) {
  if (vector.size() > 300) return fail(Code::bad_input, "the CVSS vector is too long");
  const auto bad = [&](std::string_view what) { return fail(Code::bad_input, fmt::format("CVSS vector \"{}\": {}", vector, what)); };
  auto rest = vector;
  if (version != CvssVersion::v2) {
    const std::string_view prefix = version == CvssVersion::v30 ? "CVSS:3.0/" : "CVSS:3.1/";
    if (!rest.starts_with(prefix)) return bad(fmt::format("does not begin with \"{}\"", prefix));
    rest.remove_prefix(prefix.size());
  }
  CvssMetrics out;
  for (const auto piece : split(rest, '/')) {
    const auto colon = piece.find(':');
    if (colon == std::string_view::npos) return bad("a metric without a value");
    const auto* m = metric(version, piece.substr(0, colon));
    if (m == nullptr) return bad(fmt::format("no metric \"{}\"", piece.substr(0, colon)));
    const auto value = piece.substr(colon + 1);
    if (std::none_of(m->values.begin(), m->values.end(), [&](const ValueOf& x) { return x.text == value; })) return bad(fmt::format("\"{}\" is no value of {}", value, m->id));
    if (!out.emplace(m->id, value).second) return bad(fmt::format("{} stands there twice", m->id));
  }
  for (const auto& m : metrics_of(version))
    if (m.base && !out.contains(m.id)) return bad(fmt::format("the base metric {} is missing", m.id));
  return out;
}

CvssScores cvss_scores(CvssVersion version, const CvssMetrics& metrics) { return version == CvssVersion::v2 ? scores_v2(metrics) : scores_v3(version, metrics); }

std::string_view cvss_severity(double score) { return score <= 0 ? "NONE" : score < 4 ? "LOW" : score < 7 ? "MEDIUM" : score < 9 ? "HIGH" : "CRITICAL"; }

std::optional<std::string_view> cvss_metric_of(CvssVersion version, std::string_view property) {
  for (const auto& m : metrics_of(version)) if (m.property == property) return m.id;
  return std::nullopt;
}
std::optional<std::string_view> cvss_value_of(CvssVersion version, std::string_view id, std::string_view long_value) {
  if (const auto* m = metric(version, id))
    for (const auto& x : m->values) if (x.long_text == long_value) return x.text;
  return std::nullopt;
}

}  // namespace nora::expose
