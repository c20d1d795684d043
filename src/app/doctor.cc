// The checks themselves. What a check asks for, and why, stands beside it.
#include "app/doctor.h"

#include <fmt/core.h>

#include <charconv>

namespace nora::app {
namespace {

struct Tool {
  std::string_view name, package, needed_for;
  Health without;
};
// The demo and the tests call these by name. Libraries are linked and need no check.
constexpr Tool tools[] = {
    {"unshare", "util-linux", "demo", Health::fail},   {"nsenter", "util-linux", "demo", Health::fail},
    {"mount", "mount", "demo", Health::fail},          {"ip", "iproute2", "demo", Health::fail},
    {"dpkg", "dpkg", "demo", Health::fail},            {"apt-get", "apt", "build", Health::warn},
    {"cmake", "cmake", "build", Health::warn},         {"ninja", "ninja-build", "build", Health::warn},
    {"g++", "build-essential", "build", Health::warn},
};

std::optional<std::int64_t> number(const std::optional<std::string>& text) {
  if (!text) return {};
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end == text->data()) return {};
  return value;
}

// First run of digits in "v20.20.2" or "Chromium 156.0.8078.108".
int major_version(std::string_view text) {
  auto at = text.find_first_of("0123456789");
  if (at == text.npos) return 0;
  int value = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value;
}

void check_kernel(Machine& m, std::vector<CheckResult>& out) {
  auto release = m.read("/proc/sys/kernel/osrelease").value_or("");
  int major = major_version(release);
  int minor = 0;
  if (auto dot = release.find('.'); dot != release.npos) minor = major_version(std::string_view(release).substr(dot));
  // 5.11 is the first kernel that mounts overlayfs inside a user namespace.
  bool good = major > 5 || (major == 5 && minor >= 11);
  out.push_back({"kernel", good ? Health::ok : Health::fail, release.empty() ? "kernel release not readable" : "Linux " + release,
                 good ? "" : "Install a kernel of 5.11 or later: sudo apt-get install linux-image-amd64, then restart", "demo"});
}

// Which of the known switches keeps user namespaces away; the newcomer gets the one command that turns it.
std::string namespace_fix(Machine& m) {
  if (number(m.read("/proc/sys/kernel/unprivileged_userns_clone")) == 0)
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1  (or run the command with sudo)";
  if (number(m.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")) == 1)
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0  (or run the command with sudo)";
  for (auto kind : {"user", "net", "mnt", "pid"})
    if (number(m.read(fmt::format("/proc/sys/user/max_{}_namespaces", kind))).value_or(1) <= 0)
      return fmt::format("sudo sysctl -w user.max_{}_namespaces=10000  (or run the command with sudo)", kind);
  return "Run the command with sudo; inside a container, start the container with permission to make namespaces";
}

void check_namespaces(Machine& m, std::vector<CheckResult>& out) {
  auto probe = m.try_namespaces();
  if (!probe.entered) {
    out.push_back({"user-namespaces", Health::fail, "user and network namespaces are not allowed: " + probe.error, namespace_fix(m), "demo"});
    return;  // what lies inside cannot be tried
  }
  out.push_back({"user-namespaces", Health::ok, m.root() ? "namespaces work (as root)" : "user and network namespaces work", "", "demo"});
  auto part = [&](const char* id, bool good, const char* yes, const char* no, const char* fix, Health bad = Health::fail) {
    out.push_back({id, good ? Health::ok : bad, good ? yes : no, good ? "" : fix, "demo"});
  };
  part("veth", probe.veth, "virtual cables work", "the kernel makes no veth pair", "sudo modprobe veth");
  part("nftables", probe.netfilter, "nf_tables answers: the wall can be built", "nf_tables does not answer: there would be no wall",
       "sudo modprobe nf_tables");
  part("packet-sockets", probe.packet_socket, "packet sockets work", "packet sockets are refused inside the namespace", "sudo modprobe af_packet");
  part("overlay", probe.overlay, "overlay mounts work", "overlay mounts are refused: the stand-in servers cannot be shown",
       "sudo modprobe overlay");
  part("ipv6", probe.ipv6, "IPv6 works", "IPv6 is switched off in this kernel; two of the demo's devices have it",
       "Remove ipv6.disable=1 from the kernel command line, then restart");
}

void check_seccomp(Machine& m, std::vector<CheckResult>& out) {
  auto actions = m.read("/proc/sys/kernel/seccomp/actions_avail").value_or("");
  bool good = actions.find("kill_process") != actions.npos;
  out.push_back({"seccomp", good ? Health::ok : Health::fail, good ? "seccomp can jail the parser" : "the kernel offers no seccomp filter",
                 good ? "" : "Use a kernel with CONFIG_SECCOMP_FILTER=y; hostile bytes are never parsed outside the jail", "demo"});
}

void check_limits(Machine& m, const DoctorOptions& options, std::vector<CheckResult>& out) {
  auto files = m.open_files_max();
  out.push_back({"open-files", files >= min_open_files ? Health::ok : Health::fail, fmt::format("{} open files allowed", files),
                 files >= min_open_files ? "" : fmt::format("ulimit -n {}", min_open_files), "serve"});
  auto free = m.free_bytes(options.dir);
  if (!free)
    out.push_back({"disk", Health::fail, fmt::format("folder {} is not there", options.dir), fmt::format("mkdir -p '{}'", options.dir), "serve"});
  else
    out.push_back({"disk", *free >= min_disk_bytes ? Health::ok : Health::fail,
                   fmt::format("{:.1f} GB free in {}", static_cast<double>(*free) / 1e9, options.dir),
                   *free >= min_disk_bytes ? "" : "Free at least 1 GB there, or choose another folder with --dir", "serve"});
  auto meminfo = m.read("/proc/meminfo").value_or("");
  std::int64_t available = -1;
  if (auto at = meminfo.find("MemAvailable:"); at != meminfo.npos) {
    auto digits = meminfo.find_first_of("0123456789", at);
    if (digits != meminfo.npos) available = number(meminfo.substr(digits)).value_or(-1) * 1024;
  }
  out.push_back({"memory", available >= min_memory_bytes ? Health::ok : Health::warn,
                 available < 0 ? "free memory unknown" : fmt::format("{:.1f} GB of memory available", static_cast<double>(available) / 1e9),
                 available >= min_memory_bytes ? "" : "Close other programs, or build with one job: make build JOBS=1", "build"});
}

// An address is joined to a line by its instant: a wrong clock warns the wrong person (workflow.md, "near_boundary").
void check_clock(Machine& m, std::vector<CheckResult>& out) {
  auto clock = m.clock();
  if (clock.now < Instant::seconds(1'735'689'600)) {  // 2025-01-01: before this software existed
    out.push_back({"clock", Health::fail, "the clock says " + clock.now.text(), "sudo timedatectl set-ntp true", "isp"});
  } else if (!clock.synchronised) {
    out.push_back({"clock", Health::warn, "the clock is not disciplined by a time server: lookups by instant need it",
                   "sudo apt-get install systemd-timesyncd && sudo timedatectl set-ntp true", "isp"});
  } else {
    out.push_back({"clock", Health::ok, fmt::format("synchronised, error at most {} ms", clock.error_us / 1000), "", "isp"});
  }
}

void check_browser(Machine& m, std::vector<CheckResult>& out) {
  auto node = m.program("node");
  int node_major = node ? major_version(m.version_of(*node)) : 0;
  out.push_back({"node", node_major >= 18 ? Health::ok : Health::warn,
                 node ? fmt::format("Node.js {}", node_major) : "Node.js is not installed: the browser tests cannot run",
                 node_major >= 18 ? "" : "sudo apt-get install nodejs  (18 or later)", "tests"});
  auto chromium = m.program("chromium");
  out.push_back({"chromium", chromium ? Health::ok : Health::warn, chromium ? *chromium : "Chromium is not installed: the browser tests cannot run",
                 chromium ? "" : "sudo apt-get install chromium", "tests"});
  bool fonts = m.folder_has("/usr/share/fonts/opentype/noto", "NotoSansCJK") || m.folder_has("/usr/share/fonts/noto-cjk", "NotoSansCJK");
  out.push_back({"fonts", fonts ? Health::ok : Health::warn, fonts ? "Japanese fonts are there" : "no Japanese font: pages show boxes on this screen",
                 fonts ? "" : "sudo apt-get install fonts-noto-cjk", "tests"});
}

}  // namespace

std::string_view name(Health health) {
  switch (health) {
    case Health::ok: return "ok";
    case Health::warn: return "warn";
    default: return "fail";
  }
}

std::vector<CheckResult> examine(Machine& m, const DoctorOptions& options) {
  std::vector<CheckResult> out;
  check_kernel(m, out);
  check_namespaces(m, out);
  check_seccomp(m, out);
  for (const auto& tool : tools) {
    auto path = m.program(tool.name);
    out.push_back({fmt::format("tool-{}", tool.name), path ? Health::ok : tool.without,
                   path ? *path : fmt::format("{} is not installed", tool.name),
                   path ? "" : fmt::format("sudo apt-get install {}", tool.package), std::string(tool.needed_for)});
  }
  check_limits(m, options, out);
  check_clock(m, out);
  check_browser(m, out);
  return out;
}

Health worst(const std::vector<CheckResult>& results) {
  auto health = Health::ok;
  for (const auto& f : results) health = std::max(health, f.health);
  return health;
}

json::Object to_json(const CheckResult& f) {
  json::Object o;
  o["check"] = f.check;
  o["health"] = std::string(name(f.health));
  o["what"] = f.what;
  o["fix"] = f.fix;
  o["needed_for"] = f.needed_for;
  return o;
}

}  // namespace nora::app
