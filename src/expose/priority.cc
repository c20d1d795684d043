#include "expose/priority.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace nora::expose {
namespace {

double weight(registry::Pattern p) {
  switch (p) {
    case registry::Pattern::A: return 2;
    case registry::Pattern::B: return 3;
    case registry::Pattern::C: return 4;
    case registry::Pattern::D: break;
  }
  return 4;
}
constexpr double kev_weight = 3, ransomware_weight = 4, epss_weight = 3, ended_weight = 2, sure_weight = 2;
constexpr double top = 4 * ransomware_weight * (1 + epss_weight) * ended_weight * sure_weight;

}  // namespace

Priority priority_of(const PriorityInput& in) {
  if (in.verdict == Verdict::not_affected) return {0, "none", "not affected"};
  const OpenExposure* worst = nullptr;
  for (const auto& e : in.exposures)
    if (worst == nullptr || weight(e.pattern) > weight(worst->pattern) || (weight(e.pattern) == weight(worst->pattern) && e.rule < worst->rule)) worst = &e;
  const double exposed = worst == nullptr ? 1 : weight(worst->pattern);
  const double exploited = !in.kev ? 1 : in.ransomware ? ransomware_weight : kev_weight;
  const double likely = 1 + epss_weight * std::clamp(in.epss ? in.epss->score : 0.0, 0.0, 1.0);
  const bool ended = in.support_ended.value_or(false);
  const bool sure = in.verdict == Verdict::affected_by_version;
  const double product = exposed * exploited * likely * (ended ? ended_weight : 1) * (sure ? sure_weight : 1);

  Priority out;
  // On a scale of ratios, so that each factor counts for what it is: 1 -> 1, top -> 100.
  out.score = static_cast<int>(std::lround(1 + 99 * std::log(product) / std::log(top)));
  out.level = out.score >= 75 ? "now" : out.score >= 50 ? "soon" : out.score >= 25 ? "planned" : "watch";
  out.words = worst == nullptr ? std::string("not exposed as far as known x1") : fmt::format("exposed: {} ({}) x{:g}", static_cast<char>(worst->pattern), worst->rule, exposed);
  if (in.kev) out.words += fmt::format("; known to be exploited (KEV{}{}{}) x{:g}", in.kev_since.empty() ? "" : " since ", in.kev_since, in.ransomware ? ", by ransomware" : "", exploited);
  else out.words += "; not in KEV x1";
  if (in.epss) out.words += fmt::format("; EPSS {:.3f} (higher than {:.1f} % of all) x{:.2f}", in.epss->score, in.epss->percentile * 100, likely);
  else out.words += "; EPSS unknown x1";
  if (!in.support_ended) out.words += "; end of support unknown x1";
  else if (ended) out.words += fmt::format("; support has ended{} x{:g}", in.support_end.empty() || in.support_end == "ended" ? "" : " (" + in.support_end + ")", ended_weight);
  else out.words += "; supported x1";
  out.words += sure ? fmt::format("; affected by version x{:g}", sure_weight) : std::string("; possibly affected x1");
  return out;
}

}  // namespace nora::expose
