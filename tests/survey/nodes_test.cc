// Several scan nodes on one survey, as real processes on one wire, on SQLite and on a real PostgreSQL: segments by lease, caps shared, a node that
// dies, a node that is stopped and comes late, and a store that goes away and comes back. The far end counts every probe.
#include <fcntl.h>

#include "registry/nodes.h"
#include "scan_process.h"
#include "store/testing/private_postgres.h"

namespace nora::survey {
namespace {

constexpr int small_segment = 16, cap_pps = 300;

// Keeps a PostgreSQL in a process outside the namespaces, and kills and starts it on command.
class Keeper {
 public:
  static std::optional<Keeper> make() {
    Keeper k;
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) return std::nullopt;
    k.pid_ = fork();
    if (k.pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      close(down[1]);
      const char* root = std::getenv("NORA_STANDINS");
      auto server = store::testing::PrivatePostgres::start(root != nullptr ? root : NORA_SOURCE_DIR "/build/standins/root");
      auto answer = [&](const std::string& text) { return ::write(up[1], text.data(), text.size()) > 0; };
      if (!server) _exit(1);
      int made = 0;
      char c;
      while (read(down[0], &c, 1) == 1) {
        if (c == 'd') {
          auto url = server->new_database("nora_nodes" + std::to_string(++made));
          (void)answer(url ? *url + "\n" : "\n");
        } else if (c == 'k') {
          server->kill_hard();
          (void)answer("k\n");
        } else {
          (void)answer(server->start_again() ? "s\n" : "\n");
        }
      }
      server.value().~PrivatePostgres();
      _exit(0);
    }
    close(down[0]);
    close(up[1]);
    k.down_ = Fd(down[1]);
    k.up_ = Fd(up[0]);
    return k;
  }
  std::string ask(char what) {
    if (::write(down_.get(), &what, 1) != 1) return "";
    std::string line;
    for (char c; read(up_.get(), &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  void end() {
    down_ = Fd();
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  Fd down_, up_;
};

struct Node {
  std::filesystem::path dir;  // of the survey: mandate, roots; this node's part lies in dir/name
  std::string name, store, autonomy;
  std::filesystem::path log() const { return dir / (name + ".log"); }
  std::string said() const { return name + ":\n" + read_file(log()).value_or(""); }
  std::vector<std::string> args(bool opens) const {
    std::vector<std::string> a = {"scan", opens ? "run" : "join", "--mandate", (dir / "mandate.txt").string(), "--roots", (dir / "roots.txt").string(),
                                  "--law-dir", std::string(NORA_SOURCE_DIR) + "/data/law", "--catalogue", std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv",
                                  "--dir", (dir / name).string(), "--iface", "eth0", "--store", store, "--no-calibration", "--send", "packet", "--name", name, "--autonomy", autonomy};
    if (opens) a.insert(a.end(), {"--nodes", "3", "--answer-window-ms", "100", "--segment-size", std::to_string(small_segment)});
    return a;
  }
  std::vector<std::string> resume_args() const { return {"scan", "resume", "--dir", (dir / name).string()}; }
  json::Object summary() const {
    auto text = read_file(dir / name / "run-metadata.json");
    auto o = text ? json::parse_object(*text) : Result<json::Object>(json::Object{});
    auto s = o ? json::get_object(*o, "summary") : Result<json::Object>(json::Object{});
    return s ? *s : json::Object{};
  }
};

// Waits until the survey is in the store, so that others can join.
bool opened(const std::string& store, const Hash& mandate) {
  for (int i = 0; i < 100; ++i) {
    if (auto registry = registry::Registry::open(store)) {
      registry::Nodes nodes(registry->db());
      if (auto open = nodes.open_surveys(mandate); open && !open->empty()) return true;
    }
    usleep(50'000);
  }
  return false;
}

Hash mandate_hash(const std::filesystem::path& dir) {
  law::MandateFiles files{dir / "mandate.txt", dir / "roots.txt", std::string(NORA_SOURCE_DIR) + "/data/law", std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv", {}};
  return law::Mandate::load(files)->hash();
}

// Every probe went out, at most `twice_max` twice; no second held more than the cap; each reply is in the store once; all is committed.
int judge_nodes(const std::filesystem::path&, const std::string& store, World& world, int twice_max, const std::string& said) {
  int skipped = 0, doubled = 0;
  for (int i = 0; i < world_targets; ++i) {
    for (int n : {world.counts->syn[i][0].load(), world.counts->syn[i][1].load()}) skipped += n == 0, doubled += std::max(0, n - 1);
    skipped += world.counts->dns[i] < 2;
    doubled += std::max(0, world.counts->dns[i] - 2);
  }
  std::vector<std::int64_t> times;
  for (int i = 0; i < world.counts->total; ++i) times.push_back(world.counts->times[i]);
  std::sort(times.begin(), times.end());
  std::size_t most = 0;
  for (std::size_t i = 0, from = 0; i < times.size(); ++i) {
    while (times[i] - times[from] >= 1'000'000) ++from;
    most = std::max(most, i - from + 1);
  }
  auto registry = registry::Registry::open(store);
  CHECK_OR(50, registry, registry.error().text());
  auto seen = registry->observations_after(0, 10'000);
  std::set<std::pair<std::string, int>> places;
  for (const auto& o : *seen) places.emplace(o.where.ip.text(), o.where.port.value);
  std::fprintf(stderr, "  skipped %d, twice %d, most in one second %zu of %d, rows %zu for %zu ports\n", skipped, doubled, most, cap_pps, seen->size(), places.size());
  CHECK_OR(51, skipped == 0, "skipped " + std::to_string(skipped) + "\n" + said);
  CHECK_OR(52, doubled <= twice_max, "twice " + std::to_string(doubled) + "\n" + said);
  CHECK_OR(53, most <= cap_pps, "in one second " + std::to_string(most) + "\n" + said);
  CHECK_OR(54, places.size() == pages, "replies of " + std::to_string(places.size()) + " ports\n" + said);
  CHECK_OR(55, seen->size() == pages, "rows " + std::to_string(seen->size()) + "\n" + said);
  auto surveys = registry->surveys();
  CHECK_OR(56, surveys && surveys->size() == 1 && surveys->front().finished, "the survey is not finished\n" + said);
  auto segments = registry->segments(surveys->front().id);
  CHECK_OR(57, segments && segments->size() == probes / small_segment, "segments");
  for (const auto& s : *segments) CHECK_OR(58, s.state == registry::SegmentState::committed, s.id + " is not committed\n" + said);
  CHECK_OR(59, world.counts->outside == 0, "frames outside");
  return 0;
}

class Nodes : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam()) == "postgres") {
      keeper = Keeper::make();
      ASSERT_TRUE(keeper);
    }
  }
  void TearDown() override {
    if (keeper) keeper->end();
  }
  std::string store(const std::filesystem::path& dir) { return keeper ? keeper->ask('d') : "sqlite:" + (dir / "center.db").string(); }
  // A world, two nodes, and the first of them at work on a survey that the other may join.
  void with_nodes(const char* autonomy_s, const std::function<int(World&, Node& a, Node& b, pid_t first)>& body) {
    auto url = store(fresh.path);
    ASSERT_FALSE(url.empty());
    expect_clean(net::in_namespace("true", [&] {
      World world;
      CHECK_OR(10, world.make(), "no world");
      (void)world_mandate(fresh.path, cap_pps, 60);
      Node a{fresh.path, "a", url, autonomy_s}, b{fresh.path, "b", url, autonomy_s};
      pid_t first = start(a.args(true), a.log());
      CHECK_OR(11, opened(url, mandate_hash(fresh.path)), a.said());
      return body(world, a, b, first);
    }));
  }
  std::optional<Keeper> keeper;
  Fresh fresh;
};
INSTANTIATE_TEST_SUITE_P(Stores, Nodes, ::testing::Values("sqlite", "postgres"), [](const auto& info) { return std::string(info.param); });

TEST_P(Nodes, TwoShareOneSurveyAndItsCaps) {
  with_nodes("10", [&](World& world, Node& a, Node& b, pid_t first) {
    pid_t second = start(b.args(false), b.log());
    int rc1 = wait_for(first), rc2 = wait_for(second);
    CHECK_OR(12, rc1 == 0 && rc2 == 0, std::to_string(rc1) + ", " + std::to_string(rc2) + "\n" + a.said() + b.said());
    if (int wrong = judge_nodes(fresh.path, a.store, world, 0, a.said() + b.said())) return wrong;
    auto here1 = json::int_or(a.summary(), "segments_here", 0), here2 = json::int_or(b.summary(), "segments_here", 0);
    CHECK_OR(13, here1 + here2 == probes / small_segment && here1 >= 2 && here2 >= 2, "segments " + std::to_string(here1) + " and " + std::to_string(here2));
    return 0;
  });
}

// One node dies in the middle: after its lease the other does its segments. When it comes back, its late results change nothing.
TEST_P(Nodes, ADeadNodesSegmentsGoToAnother) {
  with_nodes("10", [&](World& world, Node& a, Node& b, pid_t first) {
    pid_t second = start(b.args(false), b.log());
    for (int i = 0; i < 200 && world.counts->total < 120; ++i) usleep(20'000);
    kill(-first, SIGKILL);
    CHECK_OR(12, wait_for(first) == 128 + SIGKILL, "it had ended before\n" + a.said());
    int held = world.counts->total;
    int rc = wait_for(second);
    CHECK_OR(13, rc == 0, std::to_string(rc) + "\n" + b.said());
    // Twice: at most what the dead one had sent; its segments are asked again as long as a port that it found is not visited.
    if (int wrong = judge_nodes(fresh.path, a.store, world, held, b.said())) return wrong;
    rc = wait_for(start(a.resume_args(), a.log()));
    CHECK_OR(14, rc == 0, "late: " + std::to_string(rc) + "\n" + a.said());
    return judge_nodes(fresh.path, a.store, world, held, a.said());
  });
}

// A node is frozen beyond its leases, another does its work, then it goes on: it must notice, stop, and its results must not count.
TEST_P(Nodes, AFrozenNodeComesTooLate) {
  with_nodes("10", [&](World& world, Node& a, Node& b, pid_t first) {
    for (int i = 0; i < 200 && world.counts->total < 60; ++i) usleep(20'000);
    kill(-first, SIGSTOP);
    int rc = wait_for(start(b.args(false), b.log()));
    CHECK_OR(12, rc == 0, std::to_string(rc) + "\n" + b.said());
    int before = world.counts->total;
    kill(-first, SIGCONT);
    rc = wait_for(first);
    CHECK_OR(13, rc == 0, std::to_string(rc) + "\n" + a.said());
    CHECK_OR(14, a.said().find("its lease went to another node") != std::string::npos, a.said());
    // Frozen in the middle of a round the sender may finish that round; no order follows.
    CHECK_OR(15, world.counts->total - before <= 64, "sent after the lease: " + std::to_string(world.counts->total - before));
    return judge_nodes(fresh.path, a.store, world, 4 * small_segment, a.said() + b.said());
  });
}

// The store goes away in the middle and comes back: nothing is lost, nothing is doubled.
TEST_P(Nodes, TheStoreGoesAwayAndComesBack) {
  with_nodes("60", [&](World& world, Node& a, Node& b, pid_t first) {
    pid_t second = start(b.args(false), b.log());
    for (int i = 0; i < 200 && world.counts->total < 80; ++i) usleep(20'000);
    auto db = fresh.path / "center.db";
    std::unique_ptr<store::Db> holder;
    if (keeper) {
      CHECK_OR(12, keeper->ask('k') == "k", "PostgreSQL was not killed");
      usleep(3'000'000);
      CHECK_OR(13, keeper->ask('s') == "s", "PostgreSQL did not start again");
    } else {
      // Somebody holds the file for longer than writers wait.
      auto opened_db = store::Db::open(a.store);
      holder = std::move(*opened_db);
      CHECK_OR(14, holder->exec("BEGIN EXCLUSIVE"), "no lock");
      usleep(13'000'000);
      CHECK_OR(15, holder->exec("ROLLBACK"), "no unlock");
      holder.reset();
    }
    int rc1 = wait_for(first), rc2 = wait_for(second);
    CHECK_OR(16, rc1 == 0 && rc2 == 0, std::to_string(rc1) + ", " + std::to_string(rc2) + "\n" + a.said() + b.said());
    CHECK_OR(17, (a.said() + b.said()).find("wait in the spool") != std::string::npos, "nobody noticed\n" + a.said() + b.said());
    return judge_nodes(fresh.path, a.store, world, 0, a.said() + b.said());
  });
}

}  // namespace
}  // namespace nora::survey
