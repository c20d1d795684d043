// nora-sender: emits the probes of a survey, each under a permit. Started by `nora scan` with its socket on descriptor 3; needs CAP_NET_RAW
// until its sockets are open, and nothing afterwards.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "survey/sender.h"

int main(int argc, char** argv) {
  using namespace nora;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the whole group; nora scan decides how to end
  CLI::App app{"nora-sender: started by nora scan; emits the probes of a survey under its mandate."};
  survey::SenderOptions options;
  int fd = 3;
  app.add_option("--mandate", options.files.mandate, "signed mandate")->required();
  app.add_option("--roots", options.files.roots, "root file: threshold and signers")->required();
  app.add_option("--law-dir", options.files.law_dir, "law profiles")->required();
  app.add_option("--catalogue", options.files.catalogue, "probe catalogue")->required();
  app.add_option("--opt-out", options.files.opt_outs, "opt-out list (may be repeated)");
  app.add_option("--iface", options.iface, "interface")->required();
  app.add_option("--daily", options.daily, "folder of the daily counts per target");
  std::string send = "auto";
  app.add_option("--send", send, "auto, packet, xdp or live")->capture_default_str();
  app.add_option("--fd", fd, "descriptor of the socket to nora scan")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const auto path = law::parse_send_path(send);
  if (!path) return std::fprintf(stderr, "nora-sender: %s\n", path.error().text().c_str()), exit_code(path.error().code);
  options.send = *path;
  SystemEnv system("nora-sender");
  auto done = survey::run_sender(options, survey::Channel(Fd(fd)), system.env());
  if (done) return 0;
  std::fprintf(stderr, "nora-sender: %s\n", done.error().text().c_str());
  return exit_code(done.error().code);
}
