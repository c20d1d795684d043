#include <fmt/core.h>

#include <thread>

#include "app/demo.h"
#include "base/escape.h"
#include "base/files.h"
#include "neighbourhood/sockets.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;
using neighbourhood::Command;
using neighbourhood::Finished;

constexpr auto service_deadline = std::chrono::seconds(15);

std::string last_lines(std::string_view text) {
  if (text.size() > 600) text.remove_prefix(text.size() - 600);
  return to_terminal(text);
}

}  // namespace

DemoSession::DemoSession(DemoOptions options, Env env, fs::path state, std::vector<DemoDoor> doors)
    : options_(std::move(options)), env_(env), state_(std::move(state)), doors_(std::move(doors)) {}

Status DemoSession::build_world() {
  std::error_code ec;
  for (auto party : {"authority", "center", "portal", "hikari", "sakura", "logs", "spool"}) {
    fs::create_directories(state_ / party, ec);
    fs::permissions(state_ / party, fs::perms::owner_all, ec);
  }
  NORA_TRY(world_, neighbourhood::World::build({state_ / "world", options_.program / "nora-neighbour"}));
  measured["world_up"] = seconds();
  return {};
}

bool DemoSession::step(int number, std::string_view title, const std::function<Result<std::string>()>& work) {
  auto before = seconds();
  if (demo_interrupted()) return false;
  auto result = work();
  bool held = result.has_value();
  if (!held) ++failed_steps_;
  auto text = held ? *result : result.error().text();
  say(fmt::format("{} {:2} {:<10} {}  ({:.1f} s)", held ? "ok  " : "FAIL", number, title, to_terminal(text), seconds() - before));
  if (options_.json) {
    fmt::print("{}\n", json::text(json::Object{{"step", number}, {"title", title}, {"held", held}, {"text", to_clean_utf8(text)}, {"seconds", seconds() - before}}));
    std::fflush(stdout);
  }
  return held;
}

Result<Finished> DemoSession::nora_any(const std::string& netns, std::vector<std::string> args, std::string_view input, std::chrono::seconds deadline) {
  args.insert(args.begin(), program("nora"));
  Command c{.argv = std::move(args), .netns = netns, .env = {"NORA_DATA=" + options_.data.string()}, .directory = state_};
  return neighbourhood::run(c, input, deadline);
}

Result<std::string> DemoSession::nora(const std::string& netns, std::vector<std::string> args, std::string_view input, std::chrono::seconds deadline) {
  std::string shown = "nora";
  for (const auto& a : args) shown += " " + a;
  NORA_TRY(auto done, nora_any(netns, std::move(args), input, deadline));
  if (done.timed_out) return fail(Code::failed, fmt::format("`{}` did not end within {} s: {}", shown, deadline.count(), last_lines(done.err)));
  if (done.code != 0) return fail(Code::failed, fmt::format("`{}` ended with {}: {}", shown, done.code, last_lines(done.err.empty() ? done.out : done.err)));
  return done.out;
}

Status DemoSession::serve(const std::string& name, const std::string& netns, std::vector<std::string> argv, std::vector<std::pair<int, int>> pass_fds) {
  if (argv.empty()) return fail(Code::usage, "no program");
  argv[0] = program(argv[0]);
  auto log = state_ / "logs" / (name + ".log");
  Command c{.argv = std::move(argv), .netns = netns, .env = {"NORA_DATA=" + options_.data.string()}, .log = log, .directory = state_, .pass_fds = std::move(pass_fds)};
  NORA_TRY(auto pid, neighbourhood::spawn(c));
  services_[name] = {pid, log};
  return {};
}

void DemoSession::stop(const std::string& name) {
  if (auto it = services_.find(name); it != services_.end()) {
    neighbourhood::end(it->second.pid, std::chrono::milliseconds(2000));
    services_.erase(it);
  }
}

Status DemoSession::wait_socket(const std::string& name, const std::string& socket) {
  auto& s = services_[name];
  auto until = std::chrono::steady_clock::now() + service_deadline;
  while (!neighbourhood::listening_sockets(s.pid).contains(socket)) {
    if (!neighbourhood::alive(s.pid) || std::chrono::steady_clock::now() > until)
      return fail(Code::failed, fmt::format("{} did not open {}: {}", name, socket, last_lines(neighbourhood::end_of_file(s.log))));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Status DemoSession::wait_file(const fs::path& file, const std::string& name) {
  auto& s = services_[name];
  auto until = std::chrono::steady_clock::now() + service_deadline;
  std::error_code ec;
  while (!fs::exists(file, ec)) {
    if (!neighbourhood::alive(s.pid) || std::chrono::steady_clock::now() > until)
      return fail(Code::failed, fmt::format("{} did not make {}: {}", name, file.filename().string(), last_lines(neighbourhood::end_of_file(s.log))));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Result<std::string> DemoSession::visit(const std::string& netns, std::string_view method, std::string_view address, std::string_view path, std::string_view body, int deadline_s,
                                       std::vector<std::string> headers) {
  std::string host(address.substr(0, address.rfind(':')));
  std::vector<std::string> argv = {program("nora-neighbour"), "visit", std::string(method), std::string(address), std::string(path), host, std::to_string(deadline_s)};
  argv.insert(argv.end(), headers.begin(), headers.end());
  NORA_TRY(auto done, neighbourhood::run({.argv = argv, .netns = netns}, body, std::chrono::seconds(deadline_s + 3)));
  if (done.code != 0) return fail(Code::failed, fmt::format("{} {}{}: {}", method, address, path, done.err.empty() ? "no answer" : last_lines(done.err)));
  return done.out;
}

const DemoDoor* DemoSession::door(std::string_view name) const {
  for (const auto& d : doors_)
    if (d.name == name) return &d;
  return nullptr;
}

double DemoSession::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

void DemoSession::say(std::string_view text) const { fmt::print(stderr, "{}\n", text); }

}  // namespace nora::app
