// The one command line: `nora <noun> <verb>`. Thin: the domains do the work.
#include <signal.h>

#include <cstdio>

#include "app/command.h"
#include "base/escape.h"

namespace nora::app {

#define NORA_COMMAND(noun) void add_##noun(CLI::App& root, Run& run);
#include "app/commands.inc"
#undef NORA_COMMAND

}  // namespace nora::app

int main(int argc, char** argv) {
  using namespace nora;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error with a sentence, not a death
  SystemEnv system("nora");
  app::Run run{system.env(), false, {}};
  CLI::App root{"Nora (野良IoT): find stray IoT devices, have their owners told, prove that they are fixed.\n"
                "Start with `nora demo`; `nora doctor` says what this machine lacks."};
  root.require_subcommand(1);
  root.set_version_flag("--version", "nora " NORA_VERSION);
  // An unknown command or flag must not stop --help, and exits with 2 (usage).
#define NORA_COMMAND(noun) app::add_##noun(root, run);
#include "app/commands.inc"
#undef NORA_COMMAND
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = root.exit(error);
    return code == 0 ? 0 : exit_code(Code::usage);
  }
  if (!run.action) {
    std::fprintf(stderr, "error: this command has no verb given. see --help\n");
    return exit_code(Code::usage);
  }
  try {
    auto done = run.action();
    if (done) return *done;
    std::fprintf(stderr, "error: %s\n", to_terminal(done.error().text()).c_str());
    return exit_code(done.error().code);
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "error: unexpected: %s\n", to_terminal(bug.what()).c_str());
    return exit_code(Code::failed);
  }
}
