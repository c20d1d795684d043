// nora-neighbour: the small stand-in programs, and for developers `nora-neighbour world ROOT STATE [COMMAND…]`, which builds the
// demo world and runs a command in it (default: a shell; look round with `ip netns exec NAME …`).
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "neighbourhood/namespaces.h"
#include "neighbourhood/programs.h"
#include "neighbourhood/world.h"

namespace nora::neighbourhood {
namespace {

int world(const std::vector<std::string>& args) {
  if (args.size() < 2) return 2;
  std::error_code ec;
  std::filesystem::create_directories(args[1], ec);
  auto root = std::filesystem::absolute(args[0]), state = std::filesystem::absolute(args[1]);
  auto helper = std::filesystem::read_symlink("/proc/self/exe");
  auto code = enter({root, state}, [&] {
    auto built = World::build({state, helper});
    if (!built) {
      fmt::print(stderr, "world: {}\n", built.error().text());
      return exit_code(built.error().code);
    }
    auto& w = **built;
    fmt::print(stderr, "world: {} devices up in {:.2f} s\n", devices.size(), w.seconds_to_start());
    if (auto ok = w.isp().account(history(), ::time(nullptr)); !ok) {
      fmt::print(stderr, "world: {}\n", ok.error().text());
      return 1;
    }
    fmt::print(stderr, "world: accounting sent\n");
    std::vector<const char*> argv;
    for (std::size_t i = 2; i < args.size(); ++i) argv.push_back(args[i].c_str());
    if (argv.empty()) argv.push_back("/bin/sh");
    argv.push_back(nullptr);
    ::setenv("NORA_NEIGHBOUR", helper.c_str(), 1);
    ::execvp(argv[0], const_cast<char**>(argv.data()));
    return 127;
  });
  if (!code) {
    fmt::print(stderr, "world: {}\n", code.error().text());
    return exit_code(code.error().code);
  }
  return *code;
}

}  // namespace
}  // namespace nora::neighbourhood

int main(int argc, char** argv) {
  using namespace nora::neighbourhood;
  const std::map<std::string, int (*)(const std::vector<std::string>&)> programs = {
      {"world", world}, {"modbus-plc", modbus_plc}, {"rtsp-camera", rtsp_camera}, {"mirai-syn", mirai_syn}, {"relay", relay}, {"nas", nas}, {"faces", faces}, {"wire-count", wire_count}, {"visit", visit},
  };
  auto program = argc > 1 ? programs.find(argv[1]) : programs.end();
  if (program == programs.end()) {
    fmt::print(stderr, "usage: nora-neighbour world ROOT STATE [COMMAND…] | modbus-plc | rtsp-camera | mirai-syn | relay | nas | wire-count | visit | faces\n");
    return 2;
  }
  return program->second({argv + 2, argv + argc});
}
