// The survey on real wires: engine, sender and jailed parser against a far namespace that counts every frame. Needs user namespaces and
// iproute2.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <set>

#include "net/in_namespace.h"
#include "registry/jobs.h"
#include "survey/engine.h"
#include "survey/journal.h"
#include "survey/node.h"
#include "survey/record.h"
#include "survey/spool.h"
#include "survey/test_world.h"

namespace nora::survey {
namespace {

// Prints and leaves the forked child with a code, because gtest's own failures do not cross the fork.
#define CHECK_OR(code, condition, message)                                                   \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, std::string(message).c_str()); \
      return code;                                                                           \
    }                                                                                        \
  } while (false)

struct Trial {
  std::filesystem::path dir;
  law::MandateFiles files;
  Trial(std::filesystem::path d, law::MandateFiles f) : dir(std::move(d)), files(std::move(f)) {}
  int window_ms = 60;
  std::uint64_t segment_size = 16;
  bool calibrate = false;
  std::filesystem::path wall_status;

  Status plan(Env env) const {
    std::filesystem::create_directories(dir / "spool");
    NORA_TRY(auto mandate, law::Mandate::load(files));
    NORA_TRY(auto text, read_file(files.catalogue));
    NORA_TRY(auto catalogue, Catalogue::parse(text));
    PlanOptions p;
    p.answer_window_ms = window_ms;
    p.segment_size = segment_size;
    NORA_TRY(auto plan, make_plan(mandate, catalogue, p, env));
    return plan.save(dir / "spool");
  }
  Result<Summary> go(Env env, std::atomic<bool>& stop) const {
    NORA_TRY(auto mandate, law::Mandate::load(files));
    NORA_TRY(auto text, read_file(files.catalogue));
    NORA_TRY(auto catalogue, Catalogue::parse(text));
    auto key_file = dir / "key";
    if (!std::filesystem::exists(key_file)) NORA_CHECK(SigningKey::make("test.example", env.random).save(key_file));
    NORA_TRY(auto key, SigningKey::load(key_file));
    NORA_TRY(auto audit, law::Audit::open(dir / "audit", "test", key, env));
    EngineShared shared{mandate, catalogue, audit};
    EngineOptions o;
    o.files = files;
    o.dir = dir / "spool";
    o.iface = "eth0";
    o.programs = std::string(NORA_BINARY_DIR) + "/bin";
    o.calibrate = calibrate;
    o.wall_status = wall_status;
    o.daily = dir / "daily";
    return run_engine(o, shared, nullptr, {}, stop, env);
  }
};

struct Fresh {
  std::filesystem::path path;
  Fresh() {
    char name[] = "/tmp/nora-scan-XXXXXX";
    path = mkdtemp(name);
  }
  ~Fresh() { std::filesystem::remove_all(path); }
};

struct Spooled {
  std::set<std::pair<std::string, std::int64_t>> replies;  // (ip, port)
  int lines = 0, silent = 0;
};
Spooled read_spool(const std::filesystem::path& file) {
  Spooled out;
  auto text = read_file(file);
  for (std::size_t at = 0; text && at < text->size();) {
    auto end = text->find('\n', at);
    auto o = json::parse_object(std::string_view(*text).substr(at, end - at));
    at = end + 1;
    if (!o) continue;
    ++out.lines;
    if (json::string_or(*o, "type") == "reply") out.replies.emplace(json::string_or(*o, "ip"), json::int_or(*o, "port", 0));
    if (json::string_or(*o, "outcome") == "silent") ++out.silent;
  }
  return out;
}

void expect_clean(int code) {
  ASSERT_NE(code, net::no_namespace) << "user namespaces are not allowed here";
  ASSERT_NE(code, net::no_setup) << "iproute2 is missing";
  EXPECT_EQ(code, 0);
}

TEST(Scan, EveryProbeOnceEveryAnswerStored) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    Trial run{fresh.path, world_mandate(fresh.path, 3000, 50)};
    run.segment_size = 64;
    run.calibrate = true;
    CHECK_OR(11, run.plan(system.env()), "no plan");
    std::atomic<bool> stop = false;
    auto summary = run.go(system.env(), stop);
    CHECK_OR(12, summary, summary.error().text());
    CHECK_OR(13, summary->complete, summary->why);
    // 64 targets x (tcp 23, tcp 80, two DNS probes)
    CHECK_OR(14, summary->probes == 256, std::to_string(summary->probes));
    const auto& loss = summary->loss;
    int asked_again = static_cast<int>(summary->sent - 256);
    CHECK_OR(15, summary->refused == 0, std::to_string(summary->refused));
    CHECK_OR(16, world.counts->total == 256 + asked_again, "far end saw " + std::to_string(world.counts->total));
    CHECK_OR(17, loss.again.asked > 50 && loss.again.missed == 0, "asked again " + json::text(loss.to_json()));
    CHECK_OR(25, loss.recapture.second > 10 && loss.recapture.first == loss.recapture.second && loss.recapture.both == loss.recapture.second,
             "second look " + json::text(loss.to_json()));
    CHECK_OR(18, summary->unique >= 128 && summary->duplicates == 0, "unique " + std::to_string(summary->unique));
    CHECK_OR(19, world.counts->outside == 0, "frames outside: " + std::to_string(world.counts->outside));
    CHECK_OR(20, world.counts->credentials == 0, "telnet bytes beyond option refusals");
    auto spool = read_spool(fresh.path / "spool/results.ndjson");
    CHECK_OR(21, spool.replies.size() == 128, "replies " + std::to_string(spool.replies.size()));
    auto key = SigningKey::load(fresh.path / "key");
    auto audit = law::audit_verify(fresh.path / "audit", key->public_key());
    CHECK_OR(22, audit && audit->size == 10,
             audit ? std::to_string(audit->size) : audit.error().text());  // 4 segments and the calibration, two leaves each
    // The segment files name exactly what was sent.
    std::size_t records = 0;
    for (int n = 0; n < 5; ++n) {
      auto file = read_file(fresh.path / "spool/segments" / (std::to_string(n) + ".bin"));
      CHECK_OR(23, file, "segment file");
      records += read_records(as_bytes(*file))->size();
    }
    CHECK_OR(24, static_cast<std::int64_t>(records) == summary->sent, "records " + std::to_string(records));
    return 0;
  }));
}

// What nora-sender may still do while it sends: nothing.
std::string sender_status() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    auto name = read_file(entry.path() / "comm", 64);
    if (!name || *name != "nora-sender\n") continue;
    auto parent = read_file(entry.path() / "status", 1u << 16);
    if (parent && parent->find("PPid:\t" + std::to_string(getpid()) + "\n") != std::string::npos) return *parent;
  }
  return {};
}

TEST(Scan, TheSenderHasNoRightsWhileItSends) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    Trial run{fresh.path, world_mandate(fresh.path, 200, 20)};
    run.segment_size = 128;
    CHECK_OR(11, run.plan(system.env()), "no plan");
    std::atomic<bool> stop = false;
    std::string status;
    std::thread look([&] {
      while (world.counts->total == 0) usleep(10'000);
      status = sender_status();
      stop = true;
    });
    auto summary = run.go(system.env(), stop);
    look.join();
    CHECK_OR(12, summary, summary.error().text());
    for (auto line : {"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapInh:\t0000000000000000", "CapBnd:\t0000000000000000",
                      "NoNewPrivs:\t1"})
      CHECK_OR(13, status.find(line) != std::string::npos, std::string("missing ") + line + " in\n" + status);
    return 0;
  }));
}

// Killed at several points; afterwards no target is skipped and at most the reserved segment went out twice.
TEST(Scan, KilledAnywhereAndResumed) {
  std::srand(7);
  for (int kill_after_ms : {50, 230}) {
    Fresh fresh;
    expect_clean(net::in_namespace("true", [&] {
      World world;
      CHECK_OR(10, world.make(), "no world");
      SystemEnv system("test");
      Trial run{fresh.path, world_mandate(fresh.path, 700, 100)};
      CHECK_OR(11, run.plan(system.env()), "no plan");
      auto start = [&] {
        pid_t child = fork();
        if (child == 0) {
          SystemEnv inner("test");
          std::atomic<bool> stop = false;
          auto summary = run.go(inner.env(), stop);
          _exit(summary && summary->complete ? 0 : 1);
        }
        return child;
      };
      int kills = 0, status = 0;
      for (; kills < 3; ++kills) {
        pid_t child = start();
        usleep(static_cast<useconds_t>(kill_after_ms * 1000 * (kills + 1)));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        if (WIFEXITED(status)) break;
        usleep(100'000);  // the sender follows its parent
      }
      pid_t last = start();
      waitpid(last, &status, 0);
      auto journal = Journal::read(fresh.path / "spool");
      CHECK_OR(12, journal && journal->finished, "not finished");
      int skipped = 0, doubled = 0;
      for (int i = 0; i < world_targets; ++i)
        for (int n : {world.counts->syn[i][0].load(), world.counts->syn[i][1].load()}) {
          skipped += n == 0;
          doubled += std::max(0, n - 1);
        }
      for (int i = 0; i < world_targets; ++i) {
        skipped += world.counts->dns[i] < 2;
        doubled += std::max(0, world.counts->dns[i] - 2);
      }
      CHECK_OR(13, skipped == 0, "skipped " + std::to_string(skipped));
      CHECK_OR(14, doubled <= kills * static_cast<int>(run.segment_size),
               "doubled " + std::to_string(doubled) + " after " + std::to_string(kills) + " kills");
      int logged = 0;
      for (const auto& [n, s] : journal->segments) logged += s.times - 1;
      CHECK_OR(15, logged <= kills && doubled <= journal->again_at_most, "repeats are not in the journal: " + std::to_string(doubled) + " > " + std::to_string(journal->again_at_most));
      auto spool = read_spool(fresh.path / "spool/results.ndjson");
      CHECK_OR(16, spool.replies.size() == 128, "replies " + std::to_string(spool.replies.size()));
      auto key = SigningKey::load(fresh.path / "key");
      auto audit = law::audit_verify(fresh.path / "audit", key->public_key());
      CHECK_OR(17, audit, audit.error().text());
      CHECK_OR(18, world.counts->outside == 0, "frames outside: " + std::to_string(world.counts->outside));
      std::fprintf(stderr, "killed %d times: doubled %d of 256, skipped 0\n", kills, doubled);
      return 0;
    }));
  }
}

TEST(Scan, TheRateOfTheMandateHolds) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    constexpr int pps = 200;
    Trial run{fresh.path, world_mandate(fresh.path, pps, 20)};
    run.segment_size = 256;
    CHECK_OR(11, run.plan(system.env()), "no plan");
    std::atomic<bool> stop = false;
    auto summary = run.go(system.env(), stop);
    CHECK_OR(12, summary && summary->complete, "not complete");
    std::vector<std::int64_t> times;
    for (int i = 0; i < world.counts->total; ++i) times.push_back(world.counts->times[i]);
    std::sort(times.begin(), times.end());
    std::size_t most = 0;
    for (std::size_t i = 0, from = 0; i < times.size(); ++i) {
      while (times[i] - times[from] >= 1'000'000) ++from;
      most = std::max(most, i - from + 1);
    }
    CHECK_OR(13, most <= pps, "in one second: " + std::to_string(most));
    CHECK_OR(14, most > pps / 3, "far below the rate: " + std::to_string(most));
    return 0;
  }));
}

// Somebody opts out in the middle: not one frame more, neither probe nor conversation, after the list is in force (it is read each second).
TEST(Scan, AnOptOutTakesEffectWhileItRuns) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    auto list = fresh.path / "opt-out.txt";
    CHECK_OR(11, replace_file(list, "# nobody yet\n"), "list");
    Trial run{fresh.path, world_mandate(fresh.path, 40, 20, {list})};  // 256 probes at 28/s: 9 s
    run.segment_size = 128;
    CHECK_OR(12, run.plan(system.env()), "no plan");
    std::atomic<bool> stop = false;
    int before = 0, after = 0;
    auto half = [&] {  // probes so far to 203.0.113.32/27
      int n = 0;
      for (int i = 32; i < world_targets; ++i) n += world.counts->syn[i][0] + world.counts->syn[i][1] + world.counts->dns[i];
      return n;
    };
    std::thread owner([&] {
      usleep(1'500'000);
      (void)replace_file(list, "203.0.113.32/27\n");
      usleep(1'500'000);
      before = half();
    });
    auto summary = run.go(system.env(), stop);
    owner.join();
    after = half();
    CHECK_OR(13, summary && summary->complete, summary ? summary->why : summary.error().text());
    CHECK_OR(14, before == after && after < 128, "probes after the opt-out: " + std::to_string(after - before));
    CHECK_OR(15, summary->refused_by["opted_out"] > 20, "refused " + std::to_string(summary->refused_by["opted_out"]));
    CHECK_OR(16, summary->sent + summary->refused == 256, "every index is sent or refused with its reason");
    return 0;
  }));
}

TEST(Scan, ABlockedFrameStopsTheSurvey) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    Trial run{fresh.path, world_mandate(fresh.path, 100, 20)};
    run.wall_status = fresh.path / "wall.json";
    CHECK_OR(11, replace_file(run.wall_status, "{\"blocked\":0}"), "status");
    CHECK_OR(12, run.plan(system.env()), "no plan");
    std::thread incident([&] {
      usleep(700'000);
      (void)replace_file(run.wall_status, "{\"blocked\":1}");
    });
    std::atomic<bool> stop = false;
    auto summary = run.go(system.env(), stop);
    incident.join();
    CHECK_OR(13, summary, summary.error().text());
    CHECK_OR(14, !summary->complete && summary->code == Code::refused, summary->why);
    int seen = world.counts->total;
    usleep(500'000);
    CHECK_OR(15, world.counts->total == seen && seen < 200, "frames after the stop");
    auto again = run.go(system.env(), stop);
    CHECK_OR(16, !again && again.error().code == Code::refused, "an open incident must keep the survey closed");
    return 0;
  }));
}

TEST(Scan, StoppedByItsOperatorAndResumed) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    Trial run{fresh.path, world_mandate(fresh.path, 300, 50)};
    run.segment_size = 64;
    CHECK_OR(11, run.plan(system.env()), "no plan");
    std::atomic<bool> stop = false;
    std::thread operator_thread([&] {
      usleep(600'000);
      stop = true;
    });
    auto summary = run.go(system.env(), stop);
    operator_thread.join();
    CHECK_OR(12, summary && !summary->complete && summary->code == Code::interrupted, "not interrupted");
    stop = false;
    summary = run.go(system.env(), stop);
    CHECK_OR(13, summary && summary->complete, summary ? summary->why : summary.error().text());
    CHECK_OR(14, read_spool(fresh.path / "spool/results.ndjson").replies.size() == 128, "replies");
    return 0;
  }));
}

// The node: a check of one address from the store's queue, with its events while they happen, and the outcomes that prove a repair.
TEST(Node, ACheckIsOneAddressAndIsTold) {
  Fresh fresh;
  expect_clean(net::in_namespace("true", [&] {
    World world;
    CHECK_OR(10, world.make(), "no world");
    SystemEnv system("test");
    auto env = system.env();
    auto files = world_mandate(fresh.path, 3000, 50);
    auto mandate = law::Mandate::load(files);
    auto catalogue = Catalogue::parse(*read_file(files.catalogue));
    auto key = SigningKey::make("test.example", env.random);
    auto audit = law::Audit::open(fresh.path / "audit", "test", key, env);
    CHECK_OR(11, mandate && catalogue && audit, "set-up");
    EngineShared shared{*mandate, *catalogue, *audit};
    NodeOptions o;
    o.engine.files = files;
    o.engine.dir = fresh.path / "node";
    o.engine.iface = "eth0";
    o.engine.programs = std::string(NORA_BINARY_DIR) + "/bin";
    o.store = "sqlite:" + (fresh.path / "center.db").string();
    o.name = "node1";
    o.check_window_ms = 200;
    auto registry = registry::Registry::open(o.store);
    CHECK_OR(12, registry, registry.error().text());
    registry::Jobs jobs(registry->db());
    auto ip = *Ip::parse("203.0.113.7");
    auto good = jobs.enqueue("check", "{\"ip\":\"203.0.113.7\"}", ip, "portal", env.clock.now());
    auto outside = jobs.enqueue("check", "{}", *Ip::parse("203.0.113.200"), "portal", env.clock.now());
    CHECK_OR(13, good && outside, "enqueue");
    std::atomic<bool> stop = false;
    Status ran;
    std::thread node([&] { ran = run_node(o, shared, stop, env); });
    std::optional<registry::Job> job, refused;
    for (int i = 0; i < 200; ++i) {
      usleep(100'000);
      job = *jobs.job(*good);
      refused = *jobs.job(*outside);
      if (job->state == "done" && refused->state == "failed") break;
    }
    stop = true;
    node.join();
    CHECK_OR(14, job->state == "done", job->state + ": " + job->result);
    CHECK_OR(15, refused->state == "failed" && refused->result.find("does not cover") != std::string::npos, refused->result);
    CHECK_OR(16, *job->finished - job->created < Span::seconds(30), "too slow");
    std::set<std::string> lines;
    auto told = jobs.events_after(*good, 0);
    for (const auto& e : *told) lines.insert(e.line);
    for (auto wanted :
         {"{\"step\":\"started\"}", "{\"step\":\"probe\",\"what\":\"http\",\"port\":80,\"proto\":\"tcp\",\"result\":\"open\"}",
          "{\"step\":\"probe\",\"what\":\"http\",\"port\":80,\"proto\":\"tcp\",\"result\":\"answered\"}",
          "{\"step\":\"probe\",\"what\":\"telnet\",\"port\":23,\"proto\":\"tcp\",\"result\":\"answered\"}"})
      CHECK_OR(17, lines.contains(wanted), std::string("no event ") + wanted);
    auto seen = registry->observations_of(ip);
    CHECK_OR(18, seen && seen->size() == 2, "observations");
    registry::Id last = 0;
    auto outcomes = registry->outcomes_after(0, 100, &last);
    int closed = 0;
    for (const auto& x : *outcomes) closed += x.proto == Proto::udp && x.port.value == 53 && x.outcome == "closed";
    CHECK_OR(19, closed >= 1, "the closed DNS port is positive evidence");
    auto surveys = registry->surveys();
    CHECK_OR(20, surveys && surveys->size() == 1 && surveys->front().kind == "check" && surveys->front().finished, "survey row");
    auto segments = registry->segments(surveys->front().id);
    CHECK_OR(
        21,
        segments && segments->size() == 1 && segments->front().state == registry::SegmentState::committed && segments->front().sent == 4,
        "segment row");
    int elsewhere = world.counts->total - world.counts->syn[7][0] - world.counts->syn[7][1] - world.counts->dns[7];
    CHECK_OR(22, elsewhere == 0 && world.counts->outside == 0, "probes to other addresses");
    return 0;
  }));
}

}  // namespace
}  // namespace nora::survey
