#include "app/center.h"

#include <map>

#include "base/files.h"
#include "registry/history.h"

namespace nora::app {

namespace fs = std::filesystem;

void CenterOptions::add_to(CLI::App* command) {
  command->add_option("--dir", dir, "the center's directory: key, routes, lists, audit log")->capture_default_str();
  command->add_option("--store", store, "the center's store (default: DIR/nora.db)");
  command->add_option("--key", key, "the center's signing key (default: DIR/center.key)");
  command->add_option("--routes", routes, "contract prefixes of the ISPs (default: DIR/routes.toml)");
  command->add_option("--audit", audit, "audit log (default: DIR/audit)");
}

Center::Center(CenterOptions options, Env env) : options_(std::move(options)), env_(env) {}

std::string Center::store_url() const { return options_.store.empty() ? "sqlite:" + (dir() / "nora.db").string() : options_.store; }
std::string Center::onsite_url() const { return options_.onsite_store.empty() ? "sqlite:" + (dir() / "onsite.db").string() : options_.onsite_store; }
fs::path Center::audit_dir() const { return options_.audit.empty() ? dir() / "audit" : fs::path(options_.audit); }
flow::KnowledgeDirs Center::knowledge_dirs() const {
  return {options_.data.empty() ? fs::path(data_dir()) : fs::path(options_.data), {}, options_.rules.empty() ? dir() / "rules" : fs::path(options_.rules), cache_dir()};
}

namespace {
constexpr std::string_view folders_state = "rules.folders";  // one a line
}

Status Center::keep_rule_folders(registry::Registry& registry, const std::vector<std::string>& folders) {
  std::string lines;
  for (const auto& folder : folders) lines += fs::absolute(folder).lexically_normal().string() + "\n";
  return registry::set_history_state(registry.db(), folders_state, lines);
}

Result<flow::KnowledgeDirs> Center::rules_in_force() {
  auto dirs = knowledge_dirs();
  NORA_TRY(auto* reg, registry());
  NORA_TRY(const auto lines, registry::history_state(reg->db(), folders_state));
  for (std::size_t from = 0; from < lines.size();) {
    const auto end = lines.find('\n', from);
    dirs.rules.emplace_back(lines.substr(from, end - from));
    from = end == std::string::npos ? lines.size() : end + 1;
  }
  return dirs;
}

Result<const SigningKey*> Center::key() {
  if (!key_) {
    NORA_TRY(auto loaded, SigningKey::load(options_.key.empty() ? dir() / "center.key" : fs::path(options_.key)));
    key_.emplace(std::move(loaded));
  }
  return &*key_;
}
Result<const cases::Routes*> Center::routes() {
  if (!routes_) {
    NORA_TRY(auto loaded, cases::Routes::load(options_.routes.empty() ? dir() / "routes.toml" : fs::path(options_.routes)));
    routes_.emplace(std::move(loaded));
  }
  return &*routes_;
}
Result<const cases::Codes*> Center::codes() {
  if (!codes_) {
    NORA_TRY(auto opened, cases::Codes::open(dir() / "code.key", env_.random));
    codes_.emplace(std::move(opened));
  }
  return &*codes_;
}
Result<law::Audit*> Center::audit() {
  if (!audit_) {
    NORA_TRY(const auto* signing, key());
    NORA_TRY(auto opened, law::Audit::open(audit_dir(), signing->public_key().name, *signing, env_));
    audit_.emplace(std::move(opened));
  }
  return &*audit_;
}
Result<registry::Registry*> Center::registry() {
  if (!registry_) {
    NORA_TRY(auto opened, registry::Registry::open(store_url()));
    registry_.emplace(std::move(opened));
  }
  return &*registry_;
}
Result<cases::CaseBook*> Center::book() {
  if (!book_) {
    NORA_TRY(auto* reg, registry());
    NORA_TRY(const auto* known, codes());
    book_.emplace(*reg, *known);
  }
  return &*book_;
}
Result<cases::OnSite*> Center::onsite() {
  if (!onsite_) {
    NORA_TRY(auto opened, cases::OnSite::open(onsite_url()));
    onsite_.emplace(std::move(opened));
  }
  return &*onsite_;
}
Result<cases::ListMaker> Center::list_maker() {
  NORA_TRY(auto* reg, registry());
  NORA_TRY(auto* cases_book, book());
  NORA_TRY(const auto* prefixes, routes());
  NORA_TRY(auto* log, audit());
  NORA_TRY(const auto* signing, key());
  return cases::ListMaker{env_, *reg, *cases_book, *prefixes, *log, *signing, signing->public_key().name, dir() / "lists"};
}
Result<flow::Pipeline*> Center::pipeline() {
  if (!pipeline_) {
    NORA_TRY(auto* reg, registry());
    NORA_TRY(auto* cases_book, book());
    NORA_TRY(const auto* prefixes, routes());
    NORA_TRY(const auto dirs, rules_in_force());
    NORA_TRY(auto known, flow::Knowledge::load(dirs));
    NORA_TRY(auto* site, onsite());
    flow::PipelineOptions options;
    options.onsite = site;
    options.store = store_url();
    options.reverse_name = reverse_names(dir() / "rdns.tsv");
    auto made = std::make_unique<flow::Pipeline>(env_, *reg, *cases_book, *prefixes, std::move(known), std::move(options));
    NORA_TRY([[maybe_unused]] const auto done, made->catch_up_wholly());
    pipeline_ = std::move(made);
  }
  return pipeline_.get();
}
Result<flow::Naming> Center::naming() {
  NORA_TRY(auto* reg, registry());
  NORA_TRY(auto* way, pipeline());
  NORA_TRY(auto* log, audit());
  NORA_TRY(auto dirs, rules_in_force());
  return flow::Naming(env_, *reg, *way, std::move(dirs), log);
}

std::function<std::string(Ip)> Center::reverse_names(const fs::path& file) {
  auto names = std::make_shared<std::map<Ip, std::string>>();
  if (auto text = read_file(file, 64u << 20)) {
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const auto tab = line.find('\t');
      if (tab == std::string_view::npos) continue;
      if (auto ip = Ip::parse(line.substr(0, tab))) (*names)[*ip] = std::string(line.substr(tab + 1));
    }
  }
  return [names](Ip ip) {
    const auto it = names->find(ip);
    return it == names->end() ? std::string() : it->second;
  };
}

}  // namespace nora::app
