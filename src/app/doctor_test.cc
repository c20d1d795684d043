// The checks against invented machines: every failure must carry a fix, and the fix must fit the cause.
#include "app/doctor.h"

#include <gtest/gtest.h>

#include <map>

namespace nora::app {
namespace {

struct InventedMachine : Machine {
  bool is_root = false;
  std::map<std::string, std::string, std::less<>> files{{"/proc/sys/kernel/osrelease", "6.1.0-18-amd64"},
                                                        {"/proc/sys/kernel/seccomp/actions_avail", "kill_process kill_thread trap errno allow"},
                                                        {"/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable:    4000000 kB"}};
  std::vector<std::string> absent;
  NamespaceProbe probe{true, "", true, true, true, true, true, false};
  ClockState clock_state{true, 12'000, Instant::seconds(1'795'600'000)};
  std::optional<std::int64_t> disk = 20ll << 30;
  std::int64_t files_max = 4096;
  bool fonts = true;
  std::string node = "v20.20.2";

  bool root() override { return is_root; }
  std::optional<std::string> read(std::string_view path) override {
    auto at = files.find(path);
    return at == files.end() ? std::nullopt : std::optional(at->second);
  }
  std::optional<std::string> program(std::string_view name) override {
    for (const auto& a : absent) if (a == name) return {};
    return "/usr/bin/" + std::string(name);
  }
  std::string version_of(const std::string&) override { return node; }
  NamespaceProbe try_namespaces() override { return probe; }
  ClockState clock() override { return clock_state; }
  std::optional<std::int64_t> free_bytes(std::string_view) override { return disk; }
  std::int64_t open_files_max() override { return files_max; }
  bool folder_has(std::string_view, std::string_view) override { return fonts; }
};

const CheckResult& the(const std::vector<CheckResult>& all, std::string_view check) {
  for (const auto& f : all) if (f.check == check) return f;
  ADD_FAILURE() << "no check " << check;
  static CheckResult none;
  return none;
}

TEST(Doctor, AHealthyMachineHasNoFix) {
  InventedMachine m;
  auto all = examine(m, {});
  EXPECT_EQ(worst(all), Health::ok);
  for (const auto& f : all) EXPECT_EQ(f.fix, "") << f.check;
}

TEST(Doctor, EveryProblemCarriesAFix) {
  InventedMachine m;
  m.files = {{"/proc/sys/kernel/osrelease", "4.19.0"}};
  m.absent = {"unshare", "nsenter", "mount", "ip", "dpkg", "apt-get", "cmake", "ninja", "g++", "node", "chromium"};
  m.probe = {true, "", false, false, false, false, false, false};
  m.clock_state.synchronised = false;
  m.disk = 1000;
  m.files_max = 64;
  m.fonts = false;
  auto all = examine(m, {});
  EXPECT_EQ(worst(all), Health::fail);
  for (const auto& f : all) {
    if (f.check == "user-namespaces") continue;
    EXPECT_NE(f.health, Health::ok) << f.check;
    EXPECT_NE(f.fix, "") << f.check;
    EXPECT_NE(f.what, "") << f.check;
  }
}

TEST(Doctor, TheFixFitsTheSwitchThatForbidsNamespaces) {
  InventedMachine m;
  m.probe = {};
  m.probe.error = "Operation not permitted (1)";
  auto fix = [&] { return the(examine(m, {}), "user-namespaces").fix; };
  EXPECT_NE(fix().find("sudo"), std::string::npos);
  m.files["/proc/sys/kernel/unprivileged_userns_clone"] = "0";
  EXPECT_NE(fix().find("kernel.unprivileged_userns_clone=1"), std::string::npos);
  m.files["/proc/sys/kernel/unprivileged_userns_clone"] = "1";
  m.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1";
  EXPECT_NE(fix().find("apparmor_restrict_unprivileged_userns=0"), std::string::npos);
  m.files.erase("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  m.files["/proc/sys/user/max_net_namespaces"] = "0";
  EXPECT_NE(fix().find("user.max_net_namespaces"), std::string::npos);
  EXPECT_NE(the(examine(m, {}), "user-namespaces").what.find("Operation not permitted"), std::string::npos);
}

TEST(Doctor, KernelAndNodeVersionsAreComparedAsNumbers) {
  InventedMachine m;
  m.files["/proc/sys/kernel/osrelease"] = "5.9.1";
  EXPECT_EQ(the(examine(m, {}), "kernel").health, Health::fail);
  m.files["/proc/sys/kernel/osrelease"] = "5.11.0";
  EXPECT_EQ(the(examine(m, {}), "kernel").health, Health::ok);
  m.node = "v9.4.0";
  EXPECT_EQ(the(examine(m, {}), "node").health, Health::warn);
}

TEST(Doctor, AClockBeforeThisSoftwareFails) {
  InventedMachine m;
  m.clock_state.now = Instant::seconds(0);
  EXPECT_EQ(the(examine(m, {}), "clock").health, Health::fail);
}

// The real probe must come back with an answer or a reason, and leave this process where it was.
TEST(Doctor, TheRealMachineAnswers) {
  auto before = this_machine().read("/proc/self/status");
  auto probe = this_machine().try_namespaces();
  EXPECT_TRUE(probe.entered || !probe.error.empty());
  EXPECT_TRUE(this_machine().read("/proc/sys/kernel/osrelease"));
  EXPECT_TRUE(this_machine().program("sh"));
  EXPECT_FALSE(this_machine().program("no-such-program-of-nora"));
  EXPECT_GT(this_machine().free_bytes(".").value_or(0), 0);
  EXPECT_FALSE(this_machine().free_bytes("/no/such/folder"));
  auto all = examine(this_machine(), {});
  EXPECT_GT(all.size(), 15u);
}

}  // namespace
}  // namespace nora::app
