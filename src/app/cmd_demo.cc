// `nora demo`: the whole loop on real servers, without root where user namespaces are allowed, without the internet.
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/demo.h"

namespace nora::app {

void add_demo(CLI::App& root, Run& run) {
  auto* demo = with_json(root.add_subcommand("demo", "The whole loop on this machine: two ISPs, 25 real devices, from mandate to proof of repair"), run);
  auto o = std::make_shared<DemoOptions>();
  demo->add_flag("--headless", o->headless, "play the owner too, run to the end, print the summary; exit 0 only if every step held");
  demo->add_option("--keep", o->keep, "keep stores, lists, mails and logs of the run in this folder");
  demo->add_option("--root", o->root, "where the stand-in servers are unpacked (default: beside the build, made by `make deps`)");
  demo->footer(
      "--json fields of the last line: devices_true, devices_found, false_devices, frames_outside_mandate, credential_bytes_sent, identified_products, clusters,\n"
      "findings, by_pattern {A,B,C,D}, lists, notices_sent, wrong_lines, ambiguous, selfcheck_seconds, fixed_proven, isolated_and_released, onsite_cases,\n"
      "sighting_joined, audit_ok, seconds; also per step {\"step\",\"title\",\"held\",\"text\",\"seconds\"}. All are counted by the run.");
  demo->callback([&run, o] {
    run.action = [&run, o]() -> Result<int> {
      o->json = run.json;
      o->program = program_dir();
      o->data = data_dir();
      if (o->root.empty()) {
        const char* set = std::getenv("NORA_STANDINS");
        o->root = set != nullptr && *set != '\0' ? std::filesystem::path(set) : o->program.parent_path() / "standins/root";
        std::error_code error;
        // A build folder elsewhere: the servers of the source tree's own build folder do as well.
        if (!std::filesystem::exists(o->root, error)) o->root = std::filesystem::path(NORA_SOURCE_DIR) / "build/standins/root";
      }
      return run_demo(*o, run.env);
    };
  });
}

}  // namespace nora::app
