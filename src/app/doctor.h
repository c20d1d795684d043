// The checks of `nora doctor`: what this machine lacks to build, test, run the demo or serve, each with the exact command that fixes it.
// Used by cmd_doctor (prints) and by the demo (asks before it starts). Everything outside is behind Machine, so that the tests can play any
// machine. One thread. Limits: a probe child lives at most probe_timeout_ms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/json.h"

namespace nora::app {

inline constexpr int probe_timeout_ms = 10'000;
inline constexpr std::int64_t min_disk_bytes = 1ll << 30;         // a build tree with the unpacked stand-ins is about 900 MB
inline constexpr std::int64_t min_memory_bytes = 1ll << 30;       // two compilers at once need about as much
inline constexpr std::int64_t min_open_files = 1024;

enum class Health { ok, warn, fail };
std::string_view name(Health health);

// One line of the report. `fix` is a command (or one sentence) and is empty when health is ok.
struct CheckResult {
  std::string check;       // stable id, for example "user-namespaces"
  Health health = Health::ok;
  std::string what;        // what was found
  std::string fix;
  std::string needed_for;  // demo, serve, tests, build, isp
};

// What a child in fresh user, network and mount namespaces was able to do.
struct NamespaceProbe {
  bool entered = false;
  std::string error;       // why not, with errno
  bool veth = false, netfilter = false, packet_socket = false, overlay = false, ipv6 = false;
  bool more_than_one_uid = false;  // root, or newuidmap with a range: some daemons drop to another user
};

struct ClockState {
  bool synchronised = false;
  std::int64_t error_us = 0;  // the kernel's estimate of the largest error
  Instant now;
};

// The machine as the checks see it.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual bool root() = 0;
  virtual std::optional<std::string> read(std::string_view path) = 0;            // a small file, trimmed; none when absent or unreadable
  virtual std::optional<std::string> program(std::string_view name) = 0;         // full path from PATH (and the sbin folders)
  virtual std::string version_of(const std::string& path) = 0;                   // first line of `path --version`, or empty
  virtual NamespaceProbe try_namespaces() = 0;
  virtual ClockState clock() = 0;
  virtual std::optional<std::int64_t> free_bytes(std::string_view folder) = 0;
  virtual std::int64_t open_files_max() = 0;
  virtual bool folder_has(std::string_view folder, std::string_view name_start) = 0;
};
Machine& this_machine();

struct DoctorOptions {
  std::string dir = ".";   // where state will be kept
};

std::vector<CheckResult> examine(Machine& machine, const DoctorOptions& options);
Health worst(const std::vector<CheckResult>& results);
json::Object to_json(const CheckResult& result);

}  // namespace nora::app
