// nora portal: the pages that owners see. Own process, store and keys; asks the center over a Unix socket.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "http/server.h"
#include "portal/portal.h"

namespace nora::app {
namespace {

struct Options {
  std::vector<std::string> listen;
  std::string center, messages, web, store = "sqlite:portal.db", key_dir = "portal-keys", audit;
  portal::SiteText text;
  bool behind_tls = false;
};

Result<SigningKey> portal_key(const std::filesystem::path& file, Random& random) {
  std::error_code error;
  if (std::filesystem::exists(file, error)) return SigningKey::load(file);
  std::filesystem::create_directories(file.parent_path(), error);
  auto key = SigningKey::make("portal", random);
  NORA_CHECK(key.save(file));
  return key;
}

Result<int> serve(Env env, bool json, const Options& options) {
  http::StopSignal stop;  // before any thread
  const std::filesystem::path keys = options.key_dir;
  const std::filesystem::path data = data_dir();
  const auto web = !options.web.empty()                                ? std::filesystem::path(options.web)
                   : std::filesystem::is_directory(data / "web")       ? data / "web"
                                                                       : data.parent_path() / "web";
  NORA_TRY(const auto messages, Messages::load(options.messages.empty() ? data / "messages" : std::filesystem::path(options.messages)));
  NORA_TRY(const auto files, http::StaticFiles::load(web));
  NORA_TRY(const auto signing_key, portal_key(keys / "portal.key", env.random));
  NORA_TRY(auto csrf_key, http::load_or_make_key(keys / "csrf.key", env.random));
  NORA_TRY(auto code_key, http::load_or_make_key(keys / "code.key", env.random));
  NORA_TRY(auto audit, law::Audit::open(options.audit.empty() ? keys / "audit" : std::filesystem::path(options.audit), "portal", signing_key, env));
  NORA_TRY(const auto records, portal::Records::open(options.store, std::move(code_key), env));
  const http::Csrf csrf(std::move(csrf_key), env);
  portal::SocketCenter center(options.center);
  portal::Portal site({env, messages, files, csrf, center, *records, audit, options.text});
  http::Router router;
  site.add_routes(router);
  http::ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.behind_tls = options.behind_tls;
  server_options.handler_threads = portal::checks_at_once_max + 8;  // a check holds its thread for up to a minute; pages must not wait for it
  NORA_TRY(const auto server, http::Server::start(env, server_options, [&router](http::Request& request) { return router(request); }));
  for (const auto& address : server->addresses()) {
    if (json) std::printf("{\"event\":\"ready\",\"url\":\"http://%s/\"}\n", address.c_str());
    else std::printf("portal http://%s/\n", address.c_str());
  }
  std::fflush(stdout);
  stop.wait();
  server->stop();
  return 0;
}

}  // namespace

void add_portal(CLI::App& root, Run& run) {
  auto options = std::make_shared<Options>();
  auto* command = with_json(root.add_subcommand("portal", "the owners' pages: notice by code, self-check of the visitor's own line"), run);
  command->add_option("--listen", options->listen, "ADDRESS:PORT or fd:N (an inherited socket); may be repeated")->required();
  command->add_option("--center", options->center, "Unix socket of `nora serve --portal-socket`")->required();
  command->add_option("--messages", options->messages, "folder of message catalogues (ja, easy, en)");
  command->add_option("--web", options->web, "folder of style sheets and icons");
  command->add_option("--store", options->store, "own store: sqlite:PATH or postgres://…")->capture_default_str();
  command->add_option("--key-dir", options->key_dir, "own keys; made on first start, 0600")->capture_default_str();
  command->add_option("--audit", options->audit, "own audit log (default: KEY-DIR/audit)");
  command->add_option("--scan-address", options->text.scan_addresses, "address that the survey comes from, shown to visitors; may be repeated");
  command->add_option("--phone", options->text.phone, "help line, shown to visitors");
  command->add_option("--contact", options->text.contact, "contact for opt-out and complaints, shown to visitors");
  command->add_flag("--behind-tls", options->behind_tls, "a proxy with TLS stands in front: send Strict-Transport-Security");
  command->callback([&run, options] { run.action = [&run, options] { return serve(run.env, run.json, *options); }; });
}

}  // namespace nora::app
