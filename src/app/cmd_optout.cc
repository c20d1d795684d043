// `nora optout add|remove|list`: the list of addresses that every survey leaves alone, as the operator keeps it. The sender and the wall read the
// same file each second, so an entry is in force on the wire within two seconds.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "base/crypto.h"
#include "base/escape.h"
#include "base/json.h"
#include "law/audit.h"
#include "law/opt_out_file.h"

namespace nora::app {
namespace {

struct Options {
  std::string file, prefix, reason, who, audit, key;
};

// The leaf comes before the act; the log is the party's.
Status leaf(const Options& o, std::string_view kind, const Prefix& prefix, Env env) {
  NORA_TRY(const auto key, SigningKey::load(o.key));
  NORA_TRY(auto audit, law::Audit::open(o.audit, key.public_key().name, key, env));
  NORA_CHECK(audit.append(kind, {{"prefix", prefix.text()}, {"by", o.who}, {"reason", o.reason}}));
  return {};
}

Result<int> change(Run& run, const Options& o, bool add) {
  NORA_TRY(const auto prefix, Prefix::parse(o.prefix));
  NORA_TRY(auto file, law::OptOutFile::open(o.file));
  NORA_CHECK(leaf(o, add ? "opt_out" : "opt_out_ended", prefix, run.env));
  NORA_TRY(const bool changed, add ? file.add(prefix, o.who, o.reason, run.env.clock.now()) : file.remove(prefix));
  if (run.json) std::printf("%s\n", json::text(json::Object{{"prefix", prefix.text()}, {"changed", changed}}).c_str());
  else if (add) std::printf("%s\n", changed ? (prefix.text() + " is left alone from now on").c_str() : (prefix.text() + " was left alone already").c_str());
  else std::printf("%s\n", changed ? (prefix.text() + " may be surveyed again").c_str() : (prefix.text() + " is not an entry of this list").c_str());
  if (!add && !changed) return exit_code(Code::not_found);
  return 0;
}

Result<int> show(Run& run, const Options& o) {
  NORA_TRY(const auto file, law::OptOutFile::open(o.file));
  NORA_TRY(const auto entries, file.list());
  for (const auto& e : entries) {
    if (run.json) std::printf("%s\n", json::text(json::Object{{"prefix", e.prefix.text()}, {"remark", to_clean_utf8(e.remark)}}).c_str());
    else std::printf("%-43s %s\n", e.prefix.text().c_str(), to_terminal(e.remark).c_str());
  }
  return 0;
}

}  // namespace

void add_optout(CLI::App& root, Run& run) {
  auto* optout = root.add_subcommand("optout", "Addresses that every survey leaves alone");
  optout->require_subcommand(1);
  const auto changing = [&](const char* verb, const char* help, bool add) {
    auto o = std::make_shared<Options>();
    auto* c = with_json(optout->add_subcommand(verb, help), run);
    c->add_option("file", o->file, "the list; the same file as --opt-out of `nora scan` and nora-wall")->required();
    c->add_option("prefix", o->prefix, "address or prefix")->required();
    c->add_option("--who", o->who, "who asked, or who decided")->required();
    c->add_option("--reason", o->reason, "one line");
    c->add_option("--audit", o->audit, "folder of the party's audit log")->required();
    c->add_option("--key", o->key, "the party's signing key")->required();
    c->footer("--json fields: prefix, changed.");
    c->callback([&run, o, add] { run.action = [&run, o, add] { return change(run, *o, add); }; });
  };
  changing("add", "Leave an address or a prefix alone, at once", true);
  changing("remove", "Take an entry out again", false);
  auto o = std::make_shared<Options>();
  auto* c = with_json(optout->add_subcommand("list", "The entries, with when, who and why"), run);
  c->add_option("file", o->file, "the list")->required();
  c->footer("--json fields: prefix, remark; one record an entry.");
  c->callback([&run, o] { run.action = [&run, o] { return show(run, *o); }; });
}

}  // namespace nora::app
