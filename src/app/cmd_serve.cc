// `nora serve`: the survey center's process: desk pages and API, the scheduler that turns replies into cases, and the portal's narrow gate.
// No raw sockets and no outbound connection: it listens on the desk's address and on one Unix socket. Files of the center live in --dir:
// the files of app/center.h, and csrf.key.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>

#include "app/center.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/guarded.h"
#include "cases/codes.h"
#include "cases/onsite.h"
#include "cases/routes.h"
#include "desk/desk.h"
#include "flow/naming.h"
#include "flow/portal_gate.h"
#include "flow/scheduler.h"
#include "http/server.h"
#include "http/static_files.h"
#include "law/audit.h"
#include "law/mandate.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> listen{"127.0.0.1:8600"};
  CenterOptions center;
  std::string portal_socket, messages, web, mandate, roots, law_dir, catalogue;
  std::vector<std::string> rules, opt_out;
  std::int64_t suppress_below = desk::default_suppress_below;
  int checks_per_hour = 3;
  bool behind_tls = false;
};

// The knowledge in force. Named clusters may also come from another process (`nora cluster name`), so the folder is looked at again.
class CurrentKnowledge {
 public:
  CurrentKnowledge(Env env, flow::KnowledgeDirs dirs, std::shared_ptr<const flow::Knowledge> first)
      : env_(env), dirs_(std::move(dirs)), state_(State{std::move(first), stamp(), env.clock.monotonic()}) {}
  std::shared_ptr<const flow::Knowledge> get() {
    return state_.with([&](State& s) {
      if (env_.clock.monotonic() - s.looked < Span::seconds(1)) return s.now;
      s.looked = env_.clock.monotonic();
      auto seen = stamp();
      if (seen == s.stamp) return s.now;
      auto fresh = flow::Knowledge::load(dirs_);
      if (!fresh) {
        env_.log.error("rules changed but cannot be loaded, the old ones stay: " + fresh.error().text());
        return s.now;
      }
      s.now = std::move(*fresh);
      s.stamp = seen;
      return s.now;
    });
  }
  void look_now() { state_.with([](State& s) { s.looked = Span{-Span::hours(1).us}; }); }

 private:
  struct State {
    std::shared_ptr<const flow::Knowledge> now;
    std::string stamp;
    Span looked;
  };
  // Names, sizes and times of the operator's rule files.
  std::string stamp() const {
    std::vector<std::string> parts;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(dirs_.operator_rules, error))
      parts.push_back(fmt::format("{} {} {}", entry.path().filename().string(), entry.file_size(error), entry.last_write_time(error).time_since_epoch().count()));
    std::sort(parts.begin(), parts.end());
    return fmt::format("{}", fmt::join(parts, "\n"));
  }
  Env env_;
  flow::KnowledgeDirs dirs_;
  Guarded<State> state_;
};

// The desk's naming over flow: one call at a time, each with its own store connection.
class CenterNaming : public desk::Naming {
 public:
  struct Parts {
    Env env;
    std::string store;
    const cases::Routes& routes;
    const cases::Codes& codes;
    flow::KnowledgeDirs dirs;
    CurrentKnowledge& knowledge;
    law::Audit& audit;
    flow::PipelineOptions pipeline;
  };
  explicit CenterNaming(Parts parts) : parts_(std::move(parts)) {}
  Result<std::vector<identify::NamedRule>> preview(const identify::Naming& naming) override {
    auto trial = naming;
    trial.accepted_by = "(second person)";
    return run<std::vector<identify::NamedRule>>([&](flow::Naming& n) { return n.preview(trial); });
  }
  Status propose(const identify::Naming& naming) override {
    NORA_CHECK(run<registry::Id>([&](flow::Naming& n) { return n.propose(naming); }));
    return {};
  }
  Result<std::int64_t> accept(registry::Id proposal, std::string_view user) override {
    auto named = run<std::int64_t>([&](flow::Naming& n) { return n.accept(proposal, user); });
    parts_.knowledge.look_now();
    return named;
  }
  Status undo(std::string_view cluster, std::string_view user) override {
    auto done = run<int>([&](flow::Naming& n) -> Result<int> {
      NORA_CHECK(n.undo(cluster, user));
      return 0;
    });
    parts_.knowledge.look_now();
    if (!done) return pass(done.error());
    return {};
  }

 private:
  template <class T>
  Result<T> run(const std::function<Result<T>(flow::Naming&)>& work) {
    std::lock_guard lock(one_at_a_time_);
    NORA_TRY(auto registry, registry::Registry::open(parts_.store));
    cases::CaseBook book(registry, parts_.codes);
    flow::Pipeline pipeline(parts_.env, registry, book, parts_.routes, parts_.knowledge.get(), parts_.pipeline);
    flow::Naming naming(parts_.env, registry, pipeline, parts_.dirs, &parts_.audit);
    return work(naming);
  }
  Parts parts_;
  std::mutex one_at_a_time_;
};

Result<std::optional<law::Mandate>> open_mandate(const Options& o, const fs::path& data) {
  std::optional<law::Mandate> mandate;
  if (o.mandate.empty()) return mandate;
  law::MandateFiles files;
  files.mandate = o.mandate;
  files.roots = o.roots;
  files.law_dir = o.law_dir.empty() ? data / "law" : fs::path(o.law_dir);
  files.catalogue = o.catalogue.empty() ? data / "probes/catalogue.tsv" : fs::path(o.catalogue);
  for (const auto& f : o.opt_out) files.opt_outs.emplace_back(f);
  NORA_TRY(auto loaded, law::Mandate::load(files));
  mandate.emplace(std::move(loaded));
  return mandate;
}

Result<int> serve(Env env, bool json, const Options& o) {
  http::StopSignal stop;  // before any thread
  const fs::path dir = o.center.dir, data = data_dir();
  const auto web = !o.web.empty() ? fs::path(o.web) : fs::is_directory(data / "web") ? data / "web" : data.parent_path() / "web";
  NORA_TRY(const auto messages, Messages::load(o.messages.empty() ? data / "messages" : fs::path(o.messages)));
  NORA_TRY(const auto files, http::StaticFiles::load(web));
  Center center(o.center, env);
  NORA_TRY(const auto* key, center.key());
  NORA_TRY(auto* audit, center.audit());
  NORA_TRY(const auto* routes, center.routes());
  NORA_TRY(const auto* codes, center.codes());
  NORA_TRY(const auto mandate, open_mandate(o, data));
  const auto store = center.store_url(), onsite_store = center.onsite_url();

  auto dirs = center.knowledge_dirs();
  dirs.rules.assign(o.rules.begin(), o.rules.end());
  dirs.compile = true;
  NORA_TRY(auto first, flow::Knowledge::load(dirs));
  for (const auto& message : first->messages) env.log.warn(message);
  CurrentKnowledge knowledge(env, dirs, first);
  auto current = [&knowledge] { return knowledge.get(); };

  // The schema first, once, before several connections open.
  {
    NORA_TRY(auto registry, registry::Registry::open(store));
    NORA_CHECK(Center::keep_rule_folders(registry, o.rules));
  }
  desk::StorePool pool([&store] { return store::Db::open(store); });
  desk::DeskUsers users(pool);
  NORA_CHECK(users.migrate());
  { NORA_TRY(auto onsite, cases::OnSite::open(onsite_store)); }

  flow::PipelineOptions pipeline;
  if (mandate) {
    pipeline.is_social = [&mandate](Ip ip) { return mandate->is_social(ip); };
    pipeline.basis = "mandate " + mandate->text().id;
  }
  pipeline.reverse_name = Center::reverse_names(dir / "rdns.tsv");

  NORA_TRY(auto csrf_key, http::load_or_make_key(dir / "csrf.key", env.random));
  http::Csrf csrf(std::move(csrf_key), env);
  http::Sessions sessions(users, csrf, env, o.behind_tls);
  CenterNaming naming({env, store, *routes, *codes, dirs, knowledge, *audit, pipeline});
  desk::DeskParts parts{env, messages, pool, users, csrf, sessions, files.href("nora.css"), {}, center.audit_dir(), key->public_key(), nullptr, {}, nullptr, {}, &naming, {}, o.suppress_below, {}};
  parts.leaf = [audit](std::string_view kind, const json::Object& data) -> Status {
    NORA_CHECK(audit->append(kind, data));
    return {};
  };
  parts.mandate = mandate ? &*mandate : nullptr;
  parts.rules = [&knowledge] {
    auto now = knowledge.get();
    return std::shared_ptr<const identify::RuleSet>(now, &now->rules);
  };
  parts.knowledge = &first->products;  // `first` outlives the server
  for (const auto& isp : routes->isps()) parts.isp_names[isp.id] = isp.name;
  parts.onsite = [&onsite_store] { return cases::OnSite::open(onsite_store); };
  const desk::Desk desk(std::move(parts));
  http::Router router;
  files.add_routes(router);
  sessions.add_routes(router, files.href("nora.css"), "/");
  desk.add_routes(router);

  NORA_TRY(const auto scheduler, flow::Scheduler::start({env, *routes, *codes, current, pipeline}, {.store = store, .onsite_store = onsite_store}));
  std::unique_ptr<flow::PortalGate> gate;
  if (!o.portal_socket.empty()) {
    flow::GateParts gate_parts{env, *routes, *codes, *audit, current,
                               [&mandate, env](Ip ip) -> Status {
                                 if (!mandate) return fail(Code::refused, "no mandate is loaded, so nothing is checked");
                                 NORA_CHECK(mandate->usable(env.clock.now()));
                                 if (!mandate->in_range(ip)) return fail(Code::refused, "this address is not in the range that this center may check");
                                 return {};
                               },
                               pipeline};
    flow::GateOptions gate_options;
    gate_options.socket = o.portal_socket;
    gate_options.store = store;
    gate_options.onsite_store = onsite_store;
    gate_options.checks_per_hour = o.checks_per_hour;
    NORA_TRY(gate, flow::PortalGate::start(std::move(gate_parts), std::move(gate_options)));
  }

  http::ServerOptions server_options;
  server_options.listen = o.listen;
  server_options.behind_tls = o.behind_tls;
  NORA_TRY(const auto server, http::Server::start(env, server_options, [&router](http::Request& request) { return router(request); }));
  for (const auto& address : server->addresses()) {
    if (json) std::printf("{\"event\":\"ready\",\"url\":\"http://%s/\"}\n", address.c_str());
    else std::printf("desk http://%s/\n", address.c_str());
  }
  std::fflush(stdout);
  stop.wait();
  server->stop();
  return 0;
}

}  // namespace

void add_serve(CLI::App& root, Run& run) {
  auto o = std::make_shared<Options>();
  auto* command = with_json(root.add_subcommand("serve", "the survey center: desk, API, scheduler and the portal's gate"), run);
  command->add_option("--listen", o->listen, "ADDRESS:PORT or fd:N (an inherited socket) of the desk; may be repeated")->capture_default_str();
  o->center.add_to(command);
  command->add_option("--portal-socket", o->portal_socket, "Unix socket on which the portal may ask; without it there is no gate");
  command->add_option("--mandate", o->mandate, "signed mandate: lawful basis on the pages, self-checks inside it");
  command->add_option("--roots", o->roots, "threshold and keys of the signers")->needs(command->get_option("--mandate"));
  command->get_option("--mandate")->needs(command->get_option("--roots"));
  command->add_option("--law-dir", o->law_dir, "law profiles (default: data/law)");
  command->add_option("--catalogue", o->catalogue, "probe catalogue (default: data/probes/catalogue.tsv)");
  command->add_option("--opt-out", o->opt_out, "opt-out list; may be repeated");
  command->add_option("--rules", o->rules, "further fingerprint folders; may be repeated");
  command->add_option("--onsite-store", o->center.onsite_store, "store of on-site contacts (default: sqlite:DIR/onsite.db)");
  command->add_option("--suppress-below", o->suppress_below, "counts below this are not shown to the public; 0 shows all")->capture_default_str();
  command->add_option("--checks-per-hour", o->checks_per_hour, "self-checks per address and hour")->capture_default_str();
  command->add_option("--messages", o->messages, "folder of message catalogues");
  command->add_option("--web", o->web, "folder of style sheets and icons");
  command->add_flag("--behind-tls", o->behind_tls, "a proxy with TLS stands in front: Secure cookies, Strict-Transport-Security");
  command->footer("--json: one record {\"event\":\"ready\",\"url\"} per address. Staff log in by a link: nora user add.");
  command->callback([&run, o] { run.action = [&run, o] { return serve(run.env, run.json, *o); }; });
}

}  // namespace nora::app
