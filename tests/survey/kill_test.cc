// The whole `nora scan` under faults, on a real wire: SIGKILL of the process group at random points, of the sender or the parser alone, writes
// that fail, a disk that fills. The far end counts every probe; afterwards nothing was skipped, no more than the one reserved segment went out
// twice, and the store holds every reply once. NORA_KILLS=100 for the long run (`make nightly`).
#include <sys/mount.h>

#include "scan_process.h"

namespace nora::survey {
namespace {

TEST(Kill, TheWholeGroupAtRandomPoints) {
  const int kills = number_from("NORA_KILLS", 10);
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    auto env = system.env();
    // An undisturbed run says how long one takes.
    auto survey_in = [&](const std::string& name) {
      Survey s{fresh.path / name};
      std::filesystem::create_directories(s.dir);
      (void)world_mandate(s.dir, 700, 100);
      return s;
    };
    auto calm = survey_in("calm");
    auto began = env.clock.monotonic();
    CHECK_OR(11, wait_for(start(calm.run_args(), calm.log())) == 0, calm.said());
    auto length = env.clock.monotonic() - began;
    if (int wrong = judge(calm, world, 0)) return wrong;
    SeededRandom random(static_cast<std::uint64_t>(number_from("NORA_SEED", 7)));
    int hit = 0, most = 0, all = 0;
    for (int k = 0; k < kills; ++k) {
      reset(world);
      auto s = survey_in("k" + std::to_string(k));
      auto at = Span{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(length.us)))};
      pid_t child = start(s.run_args(), s.log());
      env.clock.sleep(at);
      kill(-child, SIGKILL);
      bool killed = wait_for(child) == 128 + SIGKILL;
      hit += killed;
      usleep(50'000);  // what is under way arrives
      if (killed) {
        int rc = s.to_the_end();
        CHECK_OR(12, rc == 0, "resumed: " + std::to_string(rc) + "\n" + s.said());
      }
      int twice = 0;
      if (int wrong = judge(s, world, segment_size, &twice)) {
        std::fprintf(stderr, "killed after %lld ms\n", static_cast<long long>(at.us / 1000));
        return wrong;
      }
      most = std::max(most, twice);
      all += twice;
      std::filesystem::remove_all(s.dir);
    }
    std::fprintf(stderr, "%d kills, %d before the end (a run takes %lld ms): skipped 0, twice at most %d of a segment of %d, %d in all\n", kills, hit,
                 static_cast<long long>(length.us / 1000), most, segment_size, all);
    CHECK_OR(13, hit > kills / 2, "hardly any kill came before the end");
    return 0;
  }));
}

TEST(Kill, TheSenderOrTheParserAlone) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SeededRandom random(3);
    for (int k = 0; k < 6; ++k) {
      reset(world);
      Survey s{fresh.path / ("s" + std::to_string(k))};
      std::filesystem::create_directories(s.dir);
      (void)world_mandate(s.dir, 500, 100);
      std::string victim = k % 2 == 0 ? "nora-sender" : "nora-parse";
      pid_t run = start(s.run_args(), s.log());
      int hits = 0;
      for (int tries = 0; tries < 200 && hits < 2; ++tries) {
        usleep(20'000 + static_cast<useconds_t>(random.below(150'000)));
        if (world.counts->total < 20 && hits == 0) continue;
        if (pid_t pid = child_of(run, victim)) hits += ::kill(pid, SIGKILL) == 0;
        if (waitpid(run, nullptr, WNOHANG | WNOWAIT) > 0) break;
        siginfo_t info{};
        if (waitid(P_PID, static_cast<id_t>(run), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == run) break;
      }
      int rc = wait_for(run);
      CHECK_OR(11, rc == 0 && hits > 0, victim + ": exit " + std::to_string(rc) + " after " + std::to_string(hits) + " kills\n" + s.said());
      if (victim == "nora-sender") {
        CHECK_OR(12, s.said().find("the sender was killed by signal 9; it is started again") != std::string::npos, s.said());
        if (int wrong = judge(s, world, segment_size)) return wrong;
      } else {
        // What the parser died over is stored as its bytes; everything else as usual. No probe is sent again.
        auto registry = registry::Registry::open("sqlite:" + (s.dir / "center.db").string());
        std::set<std::pair<std::string, int>> places;
        auto seen = registry->observations_after(0, 10'000);
        for (const auto& o : *seen) places.emplace(o.where.ip.text(), o.where.port.value);
        CHECK_OR(13, static_cast<int>(places.size()) == pages, "replies " + std::to_string(places.size()) + "\n" + s.said());
        CHECK_OR(14, world.counts->total == probes, "probes " + std::to_string(world.counts->total));
      }
    }
    return 0;
  }));
}

// The disk is full from the n-th write on: nothing is lost, the sentence says what to do, and it goes on.
TEST(Kill, WritesThatFail) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    int failed = 0, tried = 0;
    for (auto [program, at] : std::vector<std::pair<const char*, int>>{{"nora", 8}, {"nora", 13}, {"nora", 17}, {"nora", 21}, {"nora", 27}, {"nora", 34}, {"nora", 47}, {"nora", 60}, {"nora", 80}, {"nora", 110},
                                                                       {"nora-sender", 1}, {"nora-sender", 5}, {"nora-sender", 20}}) {
      reset(world);
      ++tried;
      Survey s{fresh.path / (std::string(program) + std::to_string(at))};
      std::filesystem::create_directories(s.dir);
      (void)world_mandate(s.dir, 1500, 100);
      auto args = s.run_args();
      args.erase(std::find(args.begin(), args.end(), "--store"), std::find(args.begin(), args.end(), "--answer-window-ms"));  // SQLite's own writes are its own matter
      int rc = wait_for(start(args, s.log(), program, at));
      CHECK_OR(11, rc == 0 || rc == 5 || rc == 1, std::string(program) + " " + std::to_string(at) + ": exit " + std::to_string(rc) + "\n" + s.said());
      if (rc != 0) {
        ++failed;
        CHECK_OR(12, s.said().find("No space left on device") != std::string::npos, s.said());
        if (rc == 5) CHECK_OR(15, s.said().find("nora scan resume") != std::string::npos, s.said());
      }
      auto resumed = std::filesystem::exists(s.dir / "spool/run.json") ? s.resume_args() : s.run_args();
      if (resumed[1] == "run") std::filesystem::remove_all(s.dir / "spool");
      else resumed.insert(resumed.end(), {"--store", "sqlite:" + (s.dir / "center.db").string()});
      int again = wait_for(start(resumed, s.log()));
      CHECK_OR(13, again == 0, std::string(program) + " " + std::to_string(at) + ", resumed: " + std::to_string(again) + "\n" + s.said());
      if (int wrong = judge(s, world, segment_size)) return wrong;
    }
    std::fprintf(stderr, "the disk was full in %d of %d runs\n", failed, tried);
    CHECK_OR(14, failed >= 8, "only " + std::to_string(failed) + " of the writes were met");
    return 0;
  }));
}

// A disk that fills: sending stops before it is full, nothing is dropped, and it goes on by itself when there is room.
TEST(Kill, ADiskThatFills) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    Survey s{fresh.path / "d"};
    std::filesystem::create_directories(s.dir / "spool");
    (void)world_mandate(s.dir, 100, 100);  // slow enough for the engine's look at the disk, once a second
    CHECK_OR(11, unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "no mount namespace");
    CHECK_OR(12, mount("disk", (s.dir / "spool").c_str(), "tmpfs", 0, "size=1m") == 0, "tmpfs: " + errno_text(errno));
    // A tenth is the reserve, and a survey of this size needs some 250 KiB: it must stop in the middle.
    CHECK_OR(20, replace_file((s.dir / "spool/somebody-elses").string(), std::string(694 << 10, 'x')), "no filler");
    auto args = s.run_args();
    for (auto& a : args)
      if (a == "--no-calibration") a = "-q";
    pid_t run = start(args, s.log());
    for (int i = 0; i < 100 && s.said().find("sending stops until there is room") == std::string::npos; ++i) usleep(100'000);
    CHECK_OR(13, s.said().find("sending stops until there is room, nothing is dropped") != std::string::npos, "no sentence\n" + s.said());
    usleep(1'500'000);
    int before = world.counts->total;
    usleep(700'000);
    CHECK_OR(14, world.counts->total == before && before < probes, "probes " + std::to_string(before) + ", then " + std::to_string(world.counts->total));
    siginfo_t info{};
    CHECK_OR(15, waitid(P_PID, static_cast<id_t>(run), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0, "it ended\n" + s.said());
    CHECK_OR(16, mount("disk", (s.dir / "spool").c_str(), "tmpfs", MS_REMOUNT, "size=20m") == 0, "tmpfs: " + errno_text(errno));
    int rc = wait_for(run);
    CHECK_OR(17, rc == 0, "exit " + std::to_string(rc) + "\n" + s.said());
    CHECK_OR(18, s.said().find("there is room in the spool again") != std::string::npos, s.said());
    auto registry = registry::Registry::open("sqlite:" + (s.dir / "center.db").string());
    std::set<std::pair<std::string, int>> places;
    auto seen = registry->observations_after(0, 10'000);
    for (const auto& o : *seen) places.emplace(o.where.ip.text(), o.where.port.value);
    CHECK_OR(19, static_cast<int>(places.size()) == pages, "replies " + std::to_string(places.size()) + "\n" + s.said());
    return 0;
  }));
}

// One node alone, its store moved away for the whole run: it surveys to the end, and delivers when the store is back.
TEST(Kill, TheStoreIsAwayForTheWholeRun) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    Survey s{fresh.path};
    (void)world_mandate(s.dir, 700, 100);
    { auto made = registry::Registry::open("sqlite:" + (s.dir / "center.db").string()); }
    pid_t run = start(s.run_args(), s.log());
    for (int i = 0; i < 200 && world.counts->total < 20; ++i) usleep(10'000);
    // Away: the folder's files are moved, and the run is stopped and resumed without them.
    int rc = wait_for(start({"scan", "stop", "--dir", (s.dir / "spool").string()}, s.log()));
    CHECK_OR(11, rc == 0 && wait_for(run) == 5, "stop: " + std::to_string(rc) + "\n" + s.said());
    std::filesystem::create_directories(s.dir / "away");
    for (const char* end : {"", "-wal", "-shm"})
      if (std::filesystem::exists(s.dir / ("center.db" + std::string(end)))) std::filesystem::rename(s.dir / ("center.db" + std::string(end)), s.dir / "away" / ("center.db" + std::string(end)));
    rc = wait_for(start(s.resume_args(), s.log()));
    CHECK_OR(12, rc == 7, "without its store: " + std::to_string(rc) + "\n" + s.said());
    CHECK_OR(13, !std::filesystem::exists(s.dir / "center.db"), "an empty store was made in the place of the old one");
    for (const char* end : {"", "-wal", "-shm"})
      if (std::filesystem::exists(s.dir / "away" / ("center.db" + std::string(end)))) std::filesystem::rename(s.dir / "away" / ("center.db" + std::string(end)), s.dir / ("center.db" + std::string(end)));
    rc = wait_for(start(s.resume_args(), s.log()));
    CHECK_OR(14, rc == 0, "delivering: " + std::to_string(rc) + "\n" + s.said());
    return judge(s, world, 0);
  }));
}

}  // namespace
}  // namespace nora::survey
