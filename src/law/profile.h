// LawProfile: what the law of a country lets a survey do, as data (data/law/<name>.toml, docs/law.md). Used by law and app.
// Immutable; any thread. Without a profile nothing runs.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "law/probe_list.h"

namespace nora::law {

struct LawProfile {
  std::string name;                     // "jp"
  std::string title;                    // for people
  std::array<bool, 4> classes{};        // which probe classes may run at all
  bool social_probes = false;           // control-system probes with a social-impact range
  // Reads <dir>/<name>.toml. Errors: refused when there is none (the name is checked: [a-z0-9-]{2,32}), bad_input with the place.
  static Result<LawProfile> load(const std::filesystem::path& dir, std::string_view name);
  static Result<LawProfile> parse(std::string_view toml, std::string_view name);
};

}  // namespace nora::law
