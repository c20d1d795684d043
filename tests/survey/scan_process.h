// Test support: the real `nora scan` in a process group of its own against the world behind a veth (survey/test_world.h), and the judgement that
// every fault test ends with. Used by kill_test.cc only.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <set>

#include "law/audit.h"
#include "net/in_namespace.h"
#include "registry/registry.h"
#include "survey/journal.h"
#include "survey/test_world.h"

namespace nora::survey {

#define CHECK_OR(code, condition, message)                                                   \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, std::string(message).c_str()); \
      return code;                                                                           \
    }                                                                                        \
  } while (false)

constexpr int segment_size = 64, probes = 256, pages = 128;

struct Fresh {
  std::filesystem::path path;
  Fresh() {
    char name[] = "/tmp/nora-kill-XXXXXX";
    path = mkdtemp(name);
  }
  ~Fresh() { std::filesystem::remove_all(path); }
};

inline void expect_clean(int code) {
  ASSERT_NE(code, net::no_namespace) << "user namespaces are not allowed here";
  ASSERT_NE(code, net::no_setup) << "iproute2 is missing";
  EXPECT_EQ(code, 0);
}

// `nora` with these arguments in a process group of its own, its messages in `log`.
// fail_in, fail_at: from this write on, this program finds its disk full (fail_write.c).
inline pid_t start(std::vector<std::string> args, const std::filesystem::path& log, const char* fail_in = nullptr, int fail_at = 0) {
  pid_t child = fork();
  if (child != 0) {
    setpgid(child, child);
    return child;
  }
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (fail_in != nullptr) {
    setenv("LD_PRELOAD", NORA_BINARY_DIR "/lib/libnora_fail_write.so", 1);
    setenv("NORA_FAIL_IN", fail_in, 1);
    setenv("NORA_FAIL_WRITE", std::to_string(fail_at).c_str(), 1);
  }
  int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, 1);
  dup2(out, 2);
  args.insert(args.begin(), std::string(NORA_BINARY_DIR) + "/bin/nora");
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}
inline int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct Survey {
  std::filesystem::path dir;
  std::filesystem::path log() const { return dir / "log"; }
  std::string said() const { return read_file(log()).value_or(""); }
  std::vector<std::string> run_args() const {
    return {"scan",     "run",   "--mandate", (dir / "mandate.txt").string(), "--roots",        (dir / "roots.txt").string(), "--law-dir", std::string(NORA_SOURCE_DIR) + "/data/law",
            "--catalogue", std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv", "--dir", (dir / "spool").string(), "--iface", "eth0",
            "--store",  "sqlite:" + (dir / "center.db").string(), "--answer-window-ms", "100", "--segment-size", std::to_string(segment_size), "--no-calibration", "--send", "packet"};
  }
  std::vector<std::string> resume_args() const { return {"scan", "resume", "--dir", (dir / "spool").string()}; }
  // Started again as often as it takes; a kill before the plan was saved leaves nothing to resume.
  int to_the_end() const {
    if (!std::filesystem::exists(dir / "spool/run.json")) {
      std::error_code ignored;
      std::filesystem::remove_all(dir / "spool", ignored);
      return wait_for(start(run_args(), log()));
    }
    return wait_for(start(resume_args(), log()));
  }
};

// Nothing skipped, at most `twice_max` twice, every reply in the store once, the log whole.
inline int judge(const Survey& s, World& world, int twice_max, int* twice = nullptr) {
  int skipped = 0, doubled = 0;
  for (int i = 0; i < world_targets; ++i) {
    for (int n : {world.counts->syn[i][0].load(), world.counts->syn[i][1].load()}) skipped += n == 0, doubled += std::max(0, n - 1);
    skipped += world.counts->dns[i] < 2;
    doubled += std::max(0, world.counts->dns[i] - 2);
  }
  CHECK_OR(30, skipped == 0, "skipped " + std::to_string(skipped) + "\n" + s.said());
  CHECK_OR(31, doubled <= twice_max, "twice " + std::to_string(doubled) + "\n" + s.said());
  auto journal = Journal::read(s.dir / "spool");
  CHECK_OR(32, journal && journal->finished, "not finished\n" + s.said());
  CHECK_OR(33, doubled <= journal->again_at_most, "twice " + std::to_string(doubled) + ", in the journal " + std::to_string(journal->again_at_most) + "\n" + s.said());
  auto registry = registry::Registry::open("sqlite:" + (s.dir / "center.db").string());
  CHECK_OR(34, registry, registry.error().text());
  auto seen = registry->observations_after(0, 10'000);
  std::set<std::pair<std::string, int>> places;
  for (const auto& o : *seen) places.emplace(o.where.ip.text(), o.where.port.value);
  std::string missing;
  for (int i = 0; i < world_targets; ++i)
    for (int port : {23, 80})
      if (auto ip = "203.0.113." + std::to_string(i); !places.contains({ip, port})) missing += " " + ip + ":" + std::to_string(port);
  CHECK_OR(35, missing.empty() && static_cast<int>(places.size()) == pages, "replies of " + std::to_string(places.size()) + " ports, not of" + missing + "\n" + s.said());
  CHECK_OR(36, static_cast<int>(seen->size()) == pages, "rows " + std::to_string(seen->size()) + ": stored twice\n" + s.said());
  auto surveys = registry->surveys();
  CHECK_OR(37, surveys && surveys->size() == 1 && surveys->front().finished, "survey row");
  auto segments = registry->segments(surveys->front().id);
  for (const auto& x : *segments) CHECK_OR(38, x.state == registry::SegmentState::committed, "segment " + x.id + " is not committed in the store");
  CHECK_OR(39, segments->size() == probes / segment_size, "segments " + std::to_string(segments->size()));
  auto key = SigningKey::load(s.dir / "spool/audit.key");
  auto audit = law::audit_verify(s.dir / "spool/audit", key->public_key());
  CHECK_OR(40, audit, audit.error().text());
  CHECK_OR(41, world.counts->outside == 0, "frames outside: " + std::to_string(world.counts->outside));
  if (twice != nullptr) *twice = doubled;
  return 0;
}

inline void reset(World& world) {
  for (int i = 0; i < world_targets; ++i) world.counts->syn[i][0] = 0, world.counts->syn[i][1] = 0, world.counts->dns[i] = 0;
  world.counts->total = 0;
}

inline int number_from(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text != nullptr && std::atoi(text) > 0 ? std::atoi(text) : fallback;
}

// The child of `parent` with this name.
inline pid_t child_of(pid_t parent, const std::string& name) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    auto comm = read_file(entry.path() / "comm", 64);
    if (!comm || *comm != name + "\n") continue;
    auto status = read_file(entry.path() / "status", 1u << 16);
    if (status && status->find("PPid:\t" + std::to_string(parent) + "\n") != std::string::npos) return std::atoi(entry.path().filename().c_str());
  }
  return 0;
}

}  // namespace nora::survey
