// `nora cluster list|show|name|undo`: devices that no rule names, and their naming by two persons. flow/naming does the work.
#include <fmt/format.h>

#include <memory>

#include "app/center.h"
#include "base/escape.h"

namespace nora::app {
namespace {

struct Options {
  CenterOptions center;
  std::string key, vendor, product, type, by, accept;
  std::int64_t proposal = 0;
  std::size_t min_members = 2;
  bool dry_run = false;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

json::Object cluster_json(const identify::Cluster& c) {
  json::Object shared, differs;
  json::Array ports, members;
  for (const auto& [feature, value] : c.shared) shared[to_clean_utf8(feature)] = to_clean_utf8(value);
  for (const auto& [feature, values] : c.differs) {
    json::Array all;
    for (const auto& v : values) all.emplace_back(to_clean_utf8(v));
    differs[to_clean_utf8(feature)] = all;
  }
  for (const auto& p : c.ports) ports.emplace_back(fmt::format("{}/{}", p.port.value, name(p.proto)));
  for (auto id : c.members) members.emplace_back(id);
  return {{"cluster", c.key}, {"members", members}, {"ports", ports}, {"shared", shared}, {"differs", differs}};
}

Result<int> list(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_TRY(const auto found, naming.clusters(o.min_members));
  for (const auto& c : found) {
    if (run.json) {
      print(cluster_json(c));
      continue;
    }
    const auto title = c.shared.find("html_title");
    fmt::print("{}  {} devices  {}\n", c.key, c.members.size(), title == c.shared.end() ? "" : to_terminal(title->second));
  }
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_TRY(const auto found, naming.clusters(1));
  for (const auto& c : found) {
    if (c.key != o.key) continue;
    if (run.json) {
      print(cluster_json(c));
      return 0;
    }
    fmt::print("{}  {} devices\n", c.key, c.members.size());
    for (const auto& [feature, value] : c.shared) fmt::print("  all show   {} = {}\n", to_terminal(feature), to_terminal(value.substr(0, 200)));
    for (const auto& [feature, values] : c.differs) fmt::print("  they differ in {} ({} values)\n", to_terminal(feature), values.size());
    NORA_TRY(const auto proposals, naming.proposals(c.key));
    for (const auto& p : proposals)
      if (!p.accepted_at && !p.undone_at) fmt::print("  proposal {} by {}: {} {} ({})\n", p.id, p.proposed_by, to_terminal(p.vendor), to_terminal(p.product), to_terminal(p.type));
    return 0;
  }
  return fail(Code::not_found, "there is no cluster " + o.key);
}

Result<int> name(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  auto proposal = o.proposal;
  if (proposal == 0) {
    if (o.key.empty() || o.product.empty() || o.by.empty()) return fail(Code::usage, "a name needs CLUSTER, --product and --by", "Or accept a proposal: --proposal N --accept USER");
    const identify::Naming n{o.key, o.vendor, o.product, o.type, o.by, "", run.env.clock.now()};
    if (o.dry_run) {
      auto trial = n;
      trial.accepted_by = "(second person)";
      NORA_TRY(const auto rules, naming.preview(trial));
      for (const auto& r : rules) fmt::print("{}\n", r.xml);
      return 0;
    }
    NORA_TRY(proposal, naming.propose(n));
  }
  if (o.accept.empty()) {
    if (run.json) print({{"proposal", proposal}, {"accepted", false}});
    else fmt::print("proposal {}: a second person accepts it by\n  nora cluster name --dir {} --proposal {} --accept USER\n", proposal, o.center.dir, proposal);
    return 0;
  }
  NORA_TRY(const auto named, naming.accept(proposal, o.accept));
  if (run.json) print({{"proposal", proposal}, {"accepted", true}, {"devices", named}});
  else fmt::print("{} devices carry the name now; the whole history was identified again\n", named);
  return 0;
}

Result<int> undo(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_CHECK(naming.undo(o.key, o.by));
  if (run.json) print({{"cluster", o.key}, {"undone", true}});
  else fmt::print("the name of {} is taken back\n", o.key);
  return 0;
}

}  // namespace

void add_cluster(CLI::App& root, Run& run) {
  auto* noun = root.add_subcommand("cluster", "Devices that no rule names, grouped by the face they share");
  noun->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto verb = [&](const char* name, const char* help, Result<int> (*work)(const Options&, Run&)) {
    auto* c = with_json(noun->add_subcommand(name, help), run);
    o->center.add_to(c);
    c->add_option("--rules", o->center.rules, "where rules of named clusters are written (default: DIR/rules)");
    c->callback([&run, o, work] { run.action = [&run, o, work] { return work(*o, run); }; });
    return c;
  };
  auto* l = verb("list", "clusters, largest first", list);
  l->add_option("--min", o->min_members, "at least so many devices")->capture_default_str();
  l->footer("--json: {cluster, members[], ports[], shared{}, differs{}}");
  auto* s = verb("show", "what the devices of a cluster share and where they differ", show);
  s->add_option("cluster", o->key, "cluster key")->required();
  auto* n = verb("name", "propose a name (--by), and let a second person accept it (--accept): every copy is identified again at once", name);
  n->add_option("cluster", o->key, "cluster key");
  n->add_option("--vendor", o->vendor, "maker");
  n->add_option("--product", o->product, "product");
  n->add_option("--type", o->type, "for example Broadband Router");
  n->add_option("--by", o->by, "who proposes");
  n->add_option("--proposal", o->proposal, "accept this proposal instead of making one");
  n->add_option("--accept", o->accept, "who accepts; another person than the proposer");
  n->add_flag("--dry-run", o->dry_run, "print the rules that the name would become");
  n->footer("--json: {proposal, accepted, devices}\nExample: nora cluster name c-1a2b3c4d5e --vendor Example --product CTL-100 --type Router --by analyst1 --accept analyst2");
  auto* u = verb("undo", "take a name back; everything is identified again without it", undo);
  u->add_option("cluster", o->key, "cluster key")->required();
  u->add_option("--by", o->by, "who takes it back")->required();
}

}  // namespace nora::app
