// The command table of `nora`: each src/app/cmd_<noun>.cc defines add_<noun>(), main.cc calls them all (the list is made by CMake).
// A command only fills Run::action; main runs it, prints its error as "error: cause. fix" and maps it to the documented exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/env.h"
#include "base/result.h"

namespace nora::app {

// What a chosen command does. ExitCode 0 = ok; errors are mapped by exit_code().
struct Run {
  Env env;
  bool json = false;                     // --json: NDJSON on stdout, messages on stderr
  std::function<Result<int>()> action;   // returns the exit code, usually 0
};

// Adds the --json flag that every leaf command has.
inline CLI::App* with_json(CLI::App* command, Run& run) {
  command->add_flag("--json", run.json, "NDJSON on stdout, messages on stderr");
  return command;
}

// Where installed data lives: $NORA_DATA, else the source tree's data/ beside the build, else /usr/share/nora.
std::string data_dir();
// Where what can be made again is kept (compiled rules): NORA_CACHE, systemd's CACHE_DIRECTORY, XDG_CACHE_HOME or ~/.cache; empty: nowhere.
std::string cache_dir();
// Folder of the running program, for its siblings nora-sender, nora-parse, nora-wall.
std::string program_dir();

}  // namespace nora::app
