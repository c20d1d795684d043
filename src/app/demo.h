// `nora demo`: the whole loop of the framework on one machine, on real servers in namespaces of its own (neighbourhood/).
// Used by cmd_demo. One process drives it, single-threaded: each step runs the real commands of Nora as child processes in the
// namespaces where they belong, and looks at what really happened (packets, stores, mail). Nothing of the host is changed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/json.h"
#include "base/result.h"
#include "neighbourhood/process.h"
#include "neighbourhood/world.h"

namespace nora::app {

struct DemoOptions {
  bool headless = false;               // play the visitor too, to the end
  bool json = false;                   // NDJSON of the steps on stdout, the summary as the last line
  std::filesystem::path keep;          // keep the state of the run here; empty: a temporary directory, removed at the end
  std::filesystem::path root;          // unpacked stand-in servers
  std::filesystem::path program;       // directory of nora, nora-sender, nora-wall, nora-parse, nora-neighbour
  std::filesystem::path data;          // data/ of the installation
};

// Builds the namespaces, runs the loop, returns the exit code: 0 only when every step held. Errors: environment, usage.
Result<int> run_demo(const DemoOptions& options, const Env& env);

// A loopback listener of the host, opened before the namespaces, so that the host's browser reaches what runs inside.
struct DemoDoor {
  std::string name;   // "desk", "isp-hikari", "line-hk-camera", "demo"
  int fd = -1;
  std::uint16_t port = 0;
  std::string url() const;
};

// What the steps share: the world, the directories of the parties, the running services, and what was measured on the way.
class DemoSession {
 public:
  DemoSession(DemoOptions options, Env env, std::filesystem::path state, std::vector<DemoDoor> doors);

  Status build_world();
  // Runs one step, says how it went, remembers a failure. Returns whether it held.
  bool step(int number, std::string_view title, const std::function<Result<std::string>()>& work);
  // Runs `nora ARGS…` in a namespace and wants exit code 0. Returns its stdout. Errors: failed, with the end of its stderr.
  Result<std::string> nora(const std::string& netns, std::vector<std::string> args, std::string_view input = {},
                           std::chrono::seconds deadline = std::chrono::seconds(60));
  // The same, any exit code.
  Result<neighbourhood::Finished> nora_any(const std::string& netns, std::vector<std::string> args, std::string_view input = {},
                                           std::chrono::seconds deadline = std::chrono::seconds(60));
  // Starts a long-running program of Nora; its output goes to logs/NAME.
  Status serve(const std::string& name, const std::string& netns, std::vector<std::string> argv, std::vector<std::pair<int, int>> pass_fds = {});
  void stop(const std::string& name);
  // Waits until the named service has that socket ("tcp/80") or that file exists.
  Status wait_socket(const std::string& name, const std::string& socket);
  Status wait_file(const std::filesystem::path& file, const std::string& name);
  // One HTTP request from inside a namespace; returns the answer with its head.
  Result<std::string> visit(const std::string& netns, std::string_view method, std::string_view address, std::string_view path, std::string_view body = {},
                            int deadline_s = 20, std::vector<std::string> headers = {});

  std::filesystem::path dir(std::string_view party) const { return state_ / party; }
  std::string store() const { return "sqlite:" + (state_ / "center/nora.db").string(); }
  std::string data(std::string_view what) const { return (options_.data / what).string(); }
  std::string program(std::string_view name) const { return (options_.program / name).string(); }
  const DemoOptions& options() const { return options_; }
  const std::filesystem::path& state() const { return state_; }
  const Env& env() const { return env_; }
  neighbourhood::World& world() { return *world_; }
  const DemoDoor* door(std::string_view name) const;
  const std::vector<DemoDoor>& doors() const { return doors_; }
  double seconds() const;             // since the start
  int failed_steps() const { return failed_steps_; }
  void say(std::string_view text) const;  // one line for people on stderr
  void remember_link(std::string link) { links_.push_back(std::move(link)); }  // one-time logins to print at "ready"
  const std::vector<std::string>& links() const { return links_; }
  json::Object measured;              // what the steps measured themselves (self-check seconds, packets before and after isolation)

 private:
  struct Service {
    pid_t pid = 0;
    std::filesystem::path log;
  };
  DemoOptions options_;
  Env env_;
  std::filesystem::path state_;
  std::vector<DemoDoor> doors_;
  std::unique_ptr<neighbourhood::World> world_;
  std::map<std::string, Service> services_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  int failed_steps_ = 0;
  std::vector<std::string> links_;
};

// The steps of the loop, in order; each file demo_<part>.cc holds some of them.
void demo_mandate(DemoSession& s);    // 1
Status demo_make_isps(DemoSession& s);  // the ISPs' directories and the center's routes
Status demo_start_services(DemoSession& s);
void demo_survey(DemoSession& s);     // 2, 3, 4, 5
void demo_sighting(DemoSession& s);   // 6
void demo_cases(DemoSession& s);      // 7, 8
void demo_isp(DemoSession& s);        // 9, 10
void demo_naming(DemoSession& s);     // 4, second half (headless: two analysts are played)
void demo_owner(DemoSession& s);      // 11 (headless: the visitor is played)
void demo_onsite(DemoSession& s);     // 12
void demo_isolation(DemoSession& s);  // 13
void demo_again(DemoSession& s);      // 7, second half: the re-measurement
void demo_overview(DemoSession& s);   // 14, 15
bool demo_interrupted();              // Ctrl-C was pressed

// Counts what the run left in wire counters, stores and mail spools, compares it with the truth file, and returns the summary
// (fields in docs and in the command's help). `held` becomes false when a count differs from the truth.
Result<json::Object> demo_summary(DemoSession& s, bool& held);

// One-time logins for the desk, for whoever plays with the demo.
void demo_staff_links(DemoSession& s);

// The demo-only page: what to click, and the buttons that patch or unplug a home's device for real. Serves one request at a time
// until Ctrl-C.
void demo_page(DemoSession& s);

}  // namespace nora::app
