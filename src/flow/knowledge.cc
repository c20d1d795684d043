#include "flow/knowledge.h"

#include "base/files.h"
#include "base/json.h"

namespace nora::flow {

Result<std::shared_ptr<const Knowledge>> Knowledge::load(const KnowledgeDirs& dirs) {
  auto out = std::make_shared<Knowledge>();
  std::vector<std::filesystem::path> rule_dirs = {dirs.data / "fingerprints"};
  rule_dirs.insert(rule_dirs.end(), dirs.rules.begin(), dirs.rules.end());
  if (!dirs.operator_rules.empty()) {
    std::error_code error;
    std::filesystem::create_directories(dirs.operator_rules, error);
    if (error) return fail(Code::environment, "cannot make " + dirs.operator_rules.string() + ": " + error.message());
    rule_dirs.push_back(dirs.operator_rules);
  }
  NORA_TRY(out->rules, identify::RuleSet::load(rule_dirs));
  if (auto makers = identify::MacMakers::load(dirs.mac_registry)) out->rules.use(std::make_shared<const identify::MacMakers>(std::move(*makers)));
  else out->messages.push_back(makers.error().what + ": " + makers.error().fix);
  if (!dirs.operator_rules.empty()) {
    if (auto kept = read_file(dirs.operator_rules / identify::calibration_file, identify::max_calibration_bytes)) {
      NORA_TRY(const auto object, json::parse_object(*kept));
      NORA_TRY(auto calibration, identify::Calibration::from_json(object));
      out->rules.use(std::move(calibration));
    } else if (kept.error().code != Code::not_found) {
      return std::unexpected(kept.error());
    }
  }
  for (const auto& problem : out->rules.problems()) out->messages.push_back(problem.text());
  if (!dirs.cache.empty()) {
    identify::PrefilterOptions options;
    options.cache = dirs.cache;
    options.only_cached = !dirs.compile || out->rules.rule_count() < min_compiled_rules;
    auto prefilter = identify::make_prefilter(out->rules, options, out->messages);
    if (prefilter) out->prefilter = std::move(*prefilter);
    else if (prefilter.error().code != Code::not_found) out->messages.push_back("rules are matched one by one: " + prefilter.error().what);
  }
  NORA_TRY(out->exposures, expose::Rules::load(dirs.data / "exposures"));
  NORA_TRY(out->products, expose::Knowledge::load(dirs.data / "products", dirs.data / "advice"));
  NORA_TRY(out->cpe_names, expose::CpeNames::load(dirs.data / "products/cpe_aliases.toml"));
  NORA_TRY(out->malware, expose::Malware::load(dirs.data / "malware"));
  out->version = out->rules.version();
  out->exposure_version = out->exposures.version();
  return std::shared_ptr<const Knowledge>(std::move(out));
}

}  // namespace nora::flow
