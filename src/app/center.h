// Center: the survey center's directory as its commands open it (`nora serve|list|case|cluster|find --dir DIR`): key, routes, codes, audit log,
// stores. Files: center.key(.pub), routes.toml, code.key, audit/, lists/, rules/ (named clusters), nora.db, onsite.db, rdns.tsv (may be absent).
// One per process and thread; parts open when first asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "app/command.h"
#include "cases/lists.h"
#include "cases/onsite.h"
#include "flow/naming.h"
#include "flow/pipeline.h"
#include "law/audit.h"
#include "registry/registry.h"

namespace nora::app {

struct CenterOptions {
  std::string dir = "center", store, onsite_store, key, routes, audit, rules, data;  // empty: the place in dir (data: data_dir())
  void add_to(CLI::App* command);
};

class Center {
 public:
  Center(CenterOptions options, Env env);
  std::filesystem::path dir() const { return options_.dir; }
  std::string store_url() const;
  std::string onsite_url() const;
  std::filesystem::path audit_dir() const;
  flow::KnowledgeDirs knowledge_dirs() const;
  // With the further rule folders that the center's server reads (`nora serve --rules`): one center, one set of rules.
  Result<flow::KnowledgeDirs> rules_in_force();
  static Status keep_rule_folders(registry::Registry& registry, const std::vector<std::string>& folders);
  Result<const SigningKey*> key();
  Result<const cases::Routes*> routes();
  Result<const cases::Codes*> codes();
  Result<law::Audit*> audit();
  Result<registry::Registry*> registry();
  Result<cases::CaseBook*> book();
  Result<cases::OnSite*> onsite();
  Result<cases::ListMaker> list_maker();
  // Of the rules in force. Where the history stopped with others it is brought to these first: what a command says of it is said by one set of rules.
  Result<flow::Pipeline*> pipeline();
  Result<flow::Naming> naming();
  // Reverse names from rdns.tsv ("address<TAB>name" a line), for the owner finder: somebody looked them up; Nora asks no resolver.
  static std::function<std::string(Ip)> reverse_names(const std::filesystem::path& file);

 private:
  CenterOptions options_;
  Env env_;
  std::optional<SigningKey> key_;
  std::optional<cases::Routes> routes_;
  std::optional<cases::Codes> codes_;
  std::optional<law::Audit> audit_;
  std::optional<registry::Registry> registry_;
  std::optional<cases::CaseBook> book_;
  std::optional<cases::OnSite> onsite_;
  std::unique_ptr<flow::Pipeline> pipeline_;
};

}  // namespace nora::app
