// `nora user add|link|disable|list`: the center's staff. A user logs in by a link that works once; there is no password.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "desk/users.h"

namespace nora::app {
namespace {

struct Options {
  std::string store = "sqlite:center/nora.db", id, name, url = "http://127.0.0.1:8600";
  std::vector<std::string> roles;
};

Status print_link(desk::DeskUsers& users, const Options& o, Run& run) {
  NORA_TRY(auto path, http::make_login_link(users, o.id, run.env));
  auto base = o.url;
  while (base.ends_with('/')) base.pop_back();
  if (run.json) std::printf("%s\n", json::text(json::Object{{"user", o.id}, {"link", base + path}, {"hours", http::login_link_life.us / Span::hours(1).us}}).c_str());
  else std::printf("%s\nworks once, within %lld hours\n", (base + path).c_str(), static_cast<long long>(http::login_link_life.us / Span::hours(1).us));
  return {};
}

Result<int> with_users(const Options& o, const std::function<Status(desk::DeskUsers&)>& work) {
  desk::StorePool pool([&o] { return store::Db::open(o.store); });
  desk::DeskUsers users(pool);
  NORA_CHECK(users.migrate());
  NORA_CHECK(work(users));
  return 0;
}

}  // namespace

void add_user(CLI::App& root, Run& run) {
  auto* user = root.add_subcommand("user", "The center's staff: add, link, disable, list");
  user->require_subcommand(1);
  auto o = std::make_shared<Options>();
  auto verb = [&](const char* name, const char* help) {
    auto* command = with_json(user->add_subcommand(name, help), run);
    command->add_option("--store", o->store, "the center's store")->capture_default_str();
    return command;
  };
  auto* add = verb("add", "add somebody, or change name and roles, and print a one-time login link");
  add->add_option("id", o->id, "a-z 0-9 . _ -")->required();
  add->add_option("--role", o->roles, "analyst, operator, approver, auditor; may be repeated")->required();
  add->add_option("--name", o->name, "shown on pages (default: the id)");
  add->add_option("--url", o->url, "address of the desk, for the link")->capture_default_str();
  add->footer("--json: {user, link, hours}");
  add->callback([&run, o] {
    run.action = [&run, o] {
      return with_users(*o, [&](desk::DeskUsers& users) -> Status {
        NORA_CHECK(users.add(o->id, o->name.empty() ? o->id : o->name, o->roles, run.env.clock.now()));
        return print_link(users, *o, run);
      });
    };
  });
  auto* link = verb("link", "print a fresh one-time login link");
  link->add_option("id", o->id, "the user")->required();
  link->add_option("--url", o->url, "address of the desk, for the link")->capture_default_str();
  link->callback([&run, o] { run.action = [&run, o] { return with_users(*o, [&](desk::DeskUsers& users) { return print_link(users, *o, run); }); }; });
  auto* disable = verb("disable", "end somebody's access and sessions at once");
  disable->add_option("id", o->id, "the user")->required();
  disable->callback([&run, o] { run.action = [o] { return with_users(*o, [&](desk::DeskUsers& users) { return users.disable(o->id); }); }; });
  auto* list = verb("list", "who has which roles");
  list->callback([&run, o] {
    run.action = [&run, o] {
      return with_users(*o, [&](desk::DeskUsers& users) -> Status {
        NORA_TRY(auto all, users.all());
        for (const auto& u : all) {
          if (run.json) {
            json::Array roles;
            for (const auto& r : u.user.roles) roles.emplace_back(r);
            std::printf("%s\n", json::text(json::Object{{"user", u.user.id}, {"name", u.user.name}, {"roles", roles}, {"added", u.added.text()}, {"disabled", u.disabled}}).c_str());
          } else {
            std::printf("%-16s %-24s %s%s\n", u.user.id.c_str(), to_terminal(u.user.name).c_str(), fmt::format("{}", fmt::join(u.user.roles, ",")).c_str(), u.disabled ? "  disabled" : "");
          }
        }
        return {};
      });
    };
  });
}

}  // namespace nora::app
