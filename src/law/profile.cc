// Law profiles from TOML (law/profile.h).
#include "law/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/files.h"
#include "base/toml.h"
#include "law/mandate_text.h"

namespace nora::law {

static constexpr std::size_t max_profile_bytes = 1u << 20;
static constexpr std::int64_t max_retention_days = 3650;

Result<LawProfile> LawProfile::load(const std::filesystem::path& dir, std::string_view name) {
  const bool fine = name.size() >= 2 && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (!fine) return fail(Code::refused, "the mandate names no usable law profile");
  const auto file = dir / fmt::format("{}.toml", name);
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return fail(Code::refused, fmt::format("there is no law profile \"{}\" in {}", name, dir.string()),
                "Without a profile of the country's law nothing runs; docs/law.md says how to write one.");
  NORA_TRY(const std::string text, read_file(file, max_profile_bytes));
  NORA_TRY(const std::string list, read_file(dir / fmt::format("{}-facilities.txt", name), max_opt_out_bytes));
  return parse(text, name, list);
}

bool LawProfile::allows(GroundKind kind) const { return std::find(grounds.begin(), grounds.end(), kind) != grounds.end(); }

Result<LawProfile> LawProfile::parse(std::string_view toml, std::string_view name, std::string_view facilities) {
  const auto parsed = toml::parse(toml);
  const auto wrong = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("law profile \"{}\": {}", name, why)); };
  if (!parsed) return wrong(fmt::format("line {}: {}", parsed.error().source().begin.line, parsed.error().description()));
  const toml::table& t = parsed.table();
  LawProfile out;
  out.name = name;
  const auto title = t["title"].value<std::string>();
  if (!title) return wrong("\"title\" is missing");
  out.title = *title;
  const auto* classes = t["probe_classes"].as_array();
  if (!classes) return wrong("\"probe_classes\" is missing");
  for (const auto& c : *classes) {
    const auto text = c.value<std::string>();
    const auto klass = parse_probe_class(text.value_or(""));
    if (!klass) return wrong(klass.error().what);
    out.classes[static_cast<std::size_t>(*klass)] = true;
  }
  const auto social = t["control_system_probes"].value<bool>();
  if (!social) return wrong("\"control_system_probes\" is missing");
  out.social_probes = *social;
  const auto* grounds = t["lookup_grounds"].as_array();
  if (!grounds) return wrong("\"lookup_grounds\" is missing");
  for (const auto& g : *grounds) {
    const auto kind = parse_ground_kind(g.value<std::string>().value_or(""));
    if (!kind) return wrong(kind.error().what);
    out.grounds.push_back(*kind);
  }
  const auto hours = t["survey_hours"].value<std::string>();
  if (!hours) return wrong("\"survey_hours\" is missing");
  const auto window = parse_daily_window(*hours);
  if (!window) return wrong("\"survey_hours\": " + window.error().what);
  std::tie(out.hours_from_min, out.hours_to_min) = *window;
  const auto days = [&](std::string_view key, int& value) {
    const auto n = t["retention_days"][key].value<std::int64_t>();
    if (n && *n >= 1 && *n <= max_retention_days) value = static_cast<int>(*n);
    return value > 0;
  };
  if (!days("replies", out.retention.replies) || !days("findings", out.retention.findings) || !days("sightings", out.retention.sightings))
    return wrong(fmt::format("\"retention_days\" needs replies, findings and sightings, 1 to {} days each", max_retention_days));
  auto places = parse_opt_out(facilities);
  if (!places) return wrong(fmt::format("facilities: {}", places.error().what));
  out.facilities = std::move(*places);
  // Nora has no code for a login attempt; a profile that asks for one is a misunderstanding that must be seen.
  if (const auto credentials = t["credential_probes"].value<bool>(); !credentials || *credentials)
    return wrong("\"credential_probes\" must be false: Nora never tries a login");
  return out;
}

}  // namespace nora::law
