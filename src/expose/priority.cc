#include "expose/priority.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/escape.h"

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

const OpenExposure* worst_of(const PriorityInput& in) {
  const OpenExposure* worst = nullptr;
  for (const auto& e : in.exposures)
    if (worst == nullptr || weight(e.pattern) > weight(worst->pattern) || (weight(e.pattern) == weight(worst->pattern) && e.rule < worst->rule)) worst = &e;
  return worst;
}

}  // namespace

std::string_view level_of(std::int64_t score) { return score >= 75 ? "now" : score >= 50 ? "soon" : score >= 25 ? "planned" : score > 0 ? "watch" : "none"; }

std::string percentile_text(const Epss& epss) { return fmt::format("{:.1f}", std::floor(epss.percentile * 1000 + 1e-6) / 10); }

Priority priority_of(const PriorityInput& in) {
  Priority out;
  if (in.verdict == Verdict::not_affected) {
    out.level = level_of(0);
    out.words = "not affected";
    return out;
  }
  const auto* worst = worst_of(in);
  const bool ended = in.support_ended.value_or(false);
  const bool sure = in.verdict == Verdict::affected_by_version;
  out.exposed = worst == nullptr ? 1 : weight(worst->pattern);
  out.exploited = !in.kev ? 1 : in.ransomware ? ransomware_weight : kev_weight;
  out.likely = 1 + epss_weight * std::clamp(in.epss ? in.epss->score : 0.0, 0.0, 1.0);
  out.ended = ended ? ended_weight : 1;
  out.sure = sure ? sure_weight : 1;
  const double product = out.exposed * out.exploited * out.likely * out.ended * out.sure;
  // On a scale of ratios, so that each factor counts for what it is: 1 -> 1, top -> 100.
  out.score = static_cast<int>(std::lround(1 + 99 * std::log(product) / std::log(top)));
  out.level = level_of(out.score);
  out.words = worst == nullptr ? std::string("not exposed as far as known x1") : fmt::format("exposed: {} ({}) x{:g}", static_cast<char>(worst->pattern), worst->rule, out.exposed);
  if (in.kev) out.words += fmt::format("; known to be exploited (KEV{}{}{}) x{:g}", in.kev_since.empty() ? "" : " since ", in.kev_since, in.ransomware ? ", by ransomware" : "", out.exploited);
  else out.words += "; not in KEV x1";
  if (in.epss) out.words += fmt::format("; EPSS {:.3f} (higher than {} % of all) x{:.2f}", in.epss->score, percentile_text(*in.epss), out.likely);
  else out.words += "; EPSS unknown x1";
  if (!in.support_ended) out.words += "; end of support unknown x1";
  else if (ended) out.words += fmt::format("; support has ended{} x{:g}", in.support_end.empty() || in.support_end == "ended" ? "" : " (" + in.support_end + ")", ended_weight);
  else out.words += "; supported x1";
  out.words += sure ? fmt::format("; affected by version x{:g}", sure_weight) : in.verdict ? std::string("; possibly affected x1") : std::string("; no vulnerability known x1");
  return out;
}

json::Object to_json(const PriorityInput& in) {
  json::Object o;
  if (in.verdict) o["verdict"] = name(*in.verdict);
  if (in.doubt != Doubt::none) o["doubt"] = name(in.doubt);
  if (!in.cve.empty()) o["cve"] = to_clean_utf8(in.cve);
  if (const auto* worst = worst_of(in)) o["exposed"] = json::Object{{"pattern", std::string(1, static_cast<char>(worst->pattern))}, {"rule", to_clean_utf8(worst->rule)}};
  if (in.kev) o["kev"] = json::Object{{"since", to_clean_utf8(in.kev_since)}, {"ransomware", in.ransomware}};
  if (in.epss) o["epss"] = json::Object{{"score", in.epss->score}, {"percentile", in.epss->percentile}, {"date", to_clean_utf8(in.epss->date)}};
  if (in.support_ended) o["support"] = json::Object{{"ended", *in.support_ended}, {"end", to_clean_utf8(in.support_end)}};
  return o;
}

Result<PriorityInput> priority_input_from(std::string_view text) {
  NORA_TRY(const auto o, json::parse_object(text));
  PriorityInput in;
  in.verdict = std::nullopt;
  if (o.contains("verdict")) {
    NORA_TRY(const auto word, json::get_string(o, "verdict"));
    in.verdict = parse_verdict(word);
    if (!in.verdict) return fail(Code::bad_input, "field \"verdict\" is none");
  }
  in.doubt = parse_doubt(json::string_or(o, "doubt")).value_or(Doubt::none);
  in.cve = json::string_or(o, "cve");
  if (o.contains("exposed")) {
    NORA_TRY(const auto e, json::get_object(o, "exposed"));
    NORA_TRY(const auto pattern, json::get_string(e, "pattern"));
    if (pattern.size() != 1 || pattern[0] < 'A' || pattern[0] > 'D') return fail(Code::bad_input, "field \"pattern\" is not A, B, C or D");
    in.exposures.push_back({static_cast<registry::Pattern>(pattern[0]), json::string_or(e, "rule")});
  }
  if (o.contains("kev")) {
    NORA_TRY(const auto k, json::get_object(o, "kev"));
    in.kev = true;
    in.kev_since = json::string_or(k, "since");
    in.ransomware = json::bool_or(k, "ransomware", false);
  }
  if (o.contains("epss")) {
    NORA_TRY(const auto e, json::get_object(o, "epss"));
    Epss epss;
    NORA_TRY(epss.score, json::get_double(e, "score"));
    NORA_TRY(epss.percentile, json::get_double(e, "percentile"));
    epss.date = json::string_or(e, "date");
    in.epss = epss;
  }
  if (o.contains("support")) {
    NORA_TRY(const auto s, json::get_object(o, "support"));
    in.support_ended = json::bool_or(s, "ended", false);
    in.support_end = json::string_or(s, "end");
  }
  return in;
}

}  // namespace nora::expose
