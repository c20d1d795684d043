// Law profiles from TOML (law/profile.h).
#include "law/profile.h"

#include <fmt/format.h>

#include "base/toml.h"

#include <algorithm>

#include "base/files.h"

namespace nora::law {

static constexpr std::size_t max_profile_bytes = 1u << 20;

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
  return parse(text, name);
}

Result<LawProfile> LawProfile::parse(std::string_view toml, std::string_view name) {
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
  // Nora has no code for a login attempt; a profile that asks for one is a misunderstanding that must be seen.
  if (const auto credentials = t["credential_probes"].value<bool>(); !credentials || *credentials)
    return wrong("\"credential_probes\" must be false: Nora never tries a login");
  return out;
}

}  // namespace nora::law
