#include "flow/knowledge.h"

#include <algorithm>
#include <set>

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
  NORA_TRY(out->exposures, expose::Rules::load(dirs.data / "exposures"));
  NORA_TRY(out->products, expose::Knowledge::load(dirs.data / "products", dirs.data / "advice"));
  out->version = out->rules.version();
  out->exposure_version = out->exposures.version();
  return std::shared_ptr<const Knowledge>(std::move(out));
}

Result<std::unique_ptr<KnowledgeHolder>> KnowledgeHolder::open(KnowledgeDirs dirs) {
  std::unique_ptr<KnowledgeHolder> holder(new KnowledgeHolder(std::move(dirs)));
  NORA_TRY(auto first, Knowledge::load(holder->dirs_));
  auto print = holder->print();
  holder->state_.with([&](State& s) { s.knowledge = std::move(first), s.print = std::move(print); });
  return holder;
}

std::shared_ptr<const Knowledge> KnowledgeHolder::current() {
  auto now = print();
  return state_.with([&](State& s) {
    if (now != s.print) {
      s.print = std::move(now);
      if (auto fresh = Knowledge::load(dirs_)) s.knowledge = std::move(*fresh), s.error.clear();
      else s.error = fresh.error().text();
    }
    return s.knowledge;
  });
}

std::string KnowledgeHolder::last_error() const {
  return state_.with([](const State& s) { return s.error; });
}

std::string KnowledgeHolder::print() const {
  std::vector<std::filesystem::path> dirs = dirs_.rules;
  for (const char* part : {"fingerprints", "exposures", "products", "advice"}) dirs.push_back(dirs_.data / part);
  if (!dirs_.operator_rules.empty()) dirs.push_back(dirs_.operator_rules);
  std::set<std::string> lines;
  std::error_code error;
  for (const auto& dir : dirs)
    for (auto it = std::filesystem::directory_iterator(dir, error); !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      const auto size = it->is_regular_file(error) ? it->file_size(error) : 0;
      lines.insert(it->path().string() + " " + std::to_string(size) + " " + std::to_string(it->last_write_time(error).time_since_epoch().count()) + "\n");
    }
  std::string out;
  for (const auto& line : lines) out += line;
  return out;
}

}  // namespace nora::flow
