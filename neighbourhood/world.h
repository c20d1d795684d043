// The demo world: network, devices, and what their owners can do to them. Used by `nora demo`, nora-neighbour and the tests.
// Lives inside namespaces.h enter(), single-threaded. Nothing has to be taken down: the end of the process namespace ends it all.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "neighbourhood/devices.h"
#include "neighbourhood/isp_side.h"

namespace nora::neighbourhood {

struct WorldOptions {
  std::filesystem::path state;   // directory of this run
  std::filesystem::path helper;  // the nora-neighbour program
};
inline constexpr auto start_deadline = std::chrono::seconds(30);

class World {
 public:
  // Builds everything and waits until every server listens. Errors: environment, naming the server and the end of its log.
  static Result<std::unique_ptr<World>> build(const WorldOptions& options);

  Status start(const std::string& device);   // all its servers, as after switching it on
  Status close(const std::string& device);   // "patched": the servers no longer listen, the line answers with RST
  Status unplug(const std::string& device);  // the cable is out: nothing answers at all
  Status plug(const std::string& device);    // the cable is back in
  // The infected recorder sends its SYNs into the darknet: bounded count, one source port, sequence number = destination.
  Status attack(int packets);

  IspSide& isp() { return *isp_; }
  const std::filesystem::path& state() const { return options_.state; }
  const std::filesystem::path& helper() const { return options_.helper; }
  double seconds_to_start() const { return seconds_to_start_; }

 private:
  struct Running {
    pid_t pid = 0;
    Service service;
  };
  explicit World(WorldOptions options) : options_(std::move(options)) {}
  Status launch(const std::string& device);
  Status await(const std::string& device);

  WorldOptions options_;
  std::map<std::string, std::vector<Running>> running_;
  std::unique_ptr<IspSide> isp_;
  double seconds_to_start_ = 0;
};

}  // namespace nora::neighbourhood
