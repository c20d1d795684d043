// `nora doctor`: what this machine lacks, each line with the command that fixes it. Exit 0 when everything needed is there, 6 otherwise.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/doctor.h"
#include "base/escape.h"

namespace nora::app {
namespace {

void print(const std::vector<CheckResult>& results, bool colour) {
  for (const auto& r : results) {
    const char* paint = r.health == Health::ok ? "\033[32m" : r.health == Health::warn ? "\033[33m" : "\033[31m";
    std::printf("%s%-4s%s  %-16s %s\n", colour ? paint : "", std::string(name(r.health)).c_str(), colour ? "\033[0m" : "", r.check.c_str(),
                to_terminal(r.what).c_str());
    if (!r.fix.empty()) std::printf("      %-16s fix (%s): %s\n", "", r.needed_for.c_str(), r.fix.c_str());
  }
}

}  // namespace

void add_doctor(CLI::App& root, Run& run) {
  auto* doctor = with_json(root.add_subcommand("doctor", "What this machine lacks, and the command that fixes it (exit 6 when something needed fails)"), run);
  auto options = std::make_shared<DoctorOptions>();
  auto purpose = std::make_shared<std::string>();
  doctor->add_option("--dir", options->dir, "folder where state will be kept")->capture_default_str();
  doctor->add_option("--for", *purpose, "only what this needs: demo, serve, tests, build, isp")
      ->check(CLI::IsMember({"demo", "serve", "tests", "build", "isp"}));
  doctor->footer("--json fields: check, health (ok, warn, fail), what, fix, needed_for; one record a line.");
  doctor->callback([&run, options, purpose] {
    run.action = [&run, options, purpose]() -> Result<int> {
      auto results = examine(this_machine(), *options);
      if (!purpose->empty()) std::erase_if(results, [&](const auto& r) { return r.needed_for != *purpose; });
      if (run.json) {
        for (const auto& r : results) std::printf("%s\n", json::text(to_json(r)).c_str());
      } else {
        const char* no_color = std::getenv("NO_COLOR");
        print(results, isatty(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0'));
      }
      if (worst(results) != Health::fail) {
        if (!run.json) std::printf("\nNothing that is needed is missing. Next: nora demo\n");
        return 0;
      }
      if (!run.json) std::printf("\nSomething needed is missing: run the commands above, then nora doctor again.\n");
      return exit_code(Code::environment);
    };
  });
}

}  // namespace nora::app
