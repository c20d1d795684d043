#include "neighbourhood/world.h"

#include <fmt/core.h>

#include <thread>

#include "base/files.h"
#include "neighbourhood/network.h"
#include "neighbourhood/sockets.h"

namespace nora::neighbourhood {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

}  // namespace

Result<std::unique_ptr<World>> World::build(const WorldOptions& options) {
  auto begun = Clock::now();
  std::unique_ptr<World> world(new World(options));
  NORA_CHECK(prepare_shared(options.state / "shared"));
  NORA_CHECK(build_network());
  NORA_TRY(world->isp_, IspSide::start(options.state, options.helper));
  std::vector<std::string> late;
  for (const auto& d : devices) {
    // Sakura's homes have no address before Kea has given them one.
    if (d.isp == "sakura" && d.id != "sk-mape") late.emplace_back(d.id);
    else NORA_CHECK(world->launch(std::string(d.id)));
  }
  NORA_CHECK(world->isp_->lease_addresses());
  for (const auto& id : late) NORA_CHECK(world->launch(id));
  for (const auto& d : devices) NORA_CHECK(world->await(std::string(d.id)));
  NORA_CHECK(world->isp_->await());
  world->seconds_to_start_ = std::chrono::duration<double>(Clock::now() - begun).count();
  return world;
}

Status World::launch(const std::string& id) {
  const auto* device = find_device(id);
  if (!device) return fail(Code::usage, "no device " + id);
  auto directory = options_.state / "devices" / id;
  std::error_code ec;
  fs::create_directories(directory, ec);
  NORA_TRY(auto services, services_of(*device, {directory, options_.state / "shared", options_.helper}));
  for (auto& service : services) {
    NORA_TRY(auto pid, spawn(service.command));
    running_[id].push_back({pid, std::move(service)});
  }
  return {};
}

Status World::await(const std::string& id) {
  auto until = Clock::now() + start_deadline;
  for (auto& r : running_[id]) {
    for (const auto& socket : r.service.ready) {
      while (!listening_sockets(r.pid).contains(socket)) {
        if (!alive(r.pid) || Clock::now() > until)
          return fail(Code::environment, fmt::format("{} of {} did not come up: {}", r.service.name, id, end_of_file(r.service.command.log)));
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    for (const auto& command : r.service.after_start) {
      NORA_TRY(auto done, run(command));
      if (done.code != 0) return fail(Code::environment, fmt::format("{} of {}: {}", r.service.name, id, done.err));
    }
  }
  return {};
}

Status World::start(const std::string& id) {
  NORA_CHECK(close(id));
  NORA_CHECK(launch(id));
  return await(id);
}

Status World::close(const std::string& id) {
  if (!find_device(id)) return fail(Code::usage, "no device " + id);
  for (auto& r : running_[id]) end(r.pid);
  running_[id].clear();
  return {};
}

Status World::unplug(const std::string& id) { return find_device(id) ? unplug_home(id) : fail(Code::usage, "no device " + id); }

Status World::plug(const std::string& id) { return plug_home(id); }

Status World::attack(int packets) {
  NORA_TRY(auto done, run({.argv = {options_.helper.string(), "mirai-syn", "203.0.113.52", std::string(plan::darknet_range), std::to_string(packets)}, .netns = "hk-recorder"}));
  if (done.code != 0) return fail(Code::failed, "mirai-syn: " + done.err);
  return {};
}

}  // namespace nora::neighbourhood
