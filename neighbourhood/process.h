// Starting and ending programs inside the demo's namespaces. Used by the world, by `nora demo` and by the tests.
// Single-threaded: spawn() forks and prepares the child by plain system calls.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace nora::neighbourhood {

struct Command {
  std::vector<std::string> argv = {};               // argv[0] is looked up in PATH
  std::string netns = {};                           // name of make_netns; empty: where the caller is
  std::vector<std::string> env = {};                // "NAME=value", added to a minimal environment
  std::filesystem::path log = {};                   // stdout and stderr are appended here; empty: /dev/null
  std::filesystem::path directory = {};             // working directory; empty: /
  std::string hostname = {};                        // own host name (a login prompt shows it); empty: the caller's
  bool plain_user = false;                     // uid 1000 in a user namespace of its own: for daemons that refuse to be root
  bool private_tmp = false;                    // an own, empty /tmp
  std::vector<std::pair<int, int>> pass_fds = {};   // {descriptor here, number there}
};

// Starts it in a session of its own (a Ctrl-C at the terminal does not reach it). Errors: environment.
Result<pid_t> spawn(const Command& command);

struct Finished {
  int code = 0;        // exit code, or 128 + signal
  std::string out;     // stdout, at most max_output_bytes
  std::string err;     // stderr, at most max_output_bytes
  bool timed_out = false;
};
inline constexpr std::size_t max_output_bytes = 8u << 20;
// Runs it to its end, feeding it `input`; kills it at the deadline. The log, if any, is ignored. Errors: environment.
Result<Finished> run(const Command& command, std::string_view input = {}, std::chrono::milliseconds deadline = std::chrono::seconds(30));

bool alive(pid_t pid);
// SIGTERM to its session, SIGKILL after the grace time, then waits for it.
void end(pid_t pid, std::chrono::milliseconds grace = std::chrono::milliseconds(300));

}  // namespace nora::neighbourhood
