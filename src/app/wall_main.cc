// nora-wall: the second, independent enforcement of the mandate, in another network namespace than the sender, at the far end of its veth.
// Starts closed, opens when the mandate says so, is renewed each second, and stays closed when it ends: what it installed is never taken away
// ("ip link set dev IFACE xdp off", "nft delete table netdev nora_wall" do that). --wall: native XDP where it can be had, otherwise nft rules.
// Status file (JSON, replaced each 200 ms): {"at","mandate","kind","state","blocked","incident","error","note","counters":{…}}; whoever polls it
// stops at "incident": true, and also when "at" is older than a few seconds.
#include <cap-ng.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "base/env.h"
#include "base/files.h"
#include "base/json.h"
#include "law/wall.h"
#include "law/wall_opt_out.h"

namespace {

using namespace nora;
using namespace nora::law;

constexpr Span status_every = Span::ms(200), renew_every = Span::seconds(1);

volatile sig_atomic_t stop = 0;

struct Options {
  std::filesystem::path mandate, roots, status;
  std::vector<std::filesystem::path> opt_outs;
  std::string iface;
  wall::Kind kind = wall::Kind::automatic;
  bool sink = false;
};

class WallLoop {
 public:
  WallLoop(Options options, wall::Plan plan, Env env)
      : options_(std::move(options)), plan_(std::move(plan)), opt_outs_(options_.opt_outs, plan_.opt_out_hex), env_(env) {}

  Status start() {
    NORA_TRY(auto opt_outs, opt_outs_.first());
    const wall::Site site{.plan = plan_, .iface = options_.iface, .opt_outs = std::move(opt_outs), .sink = options_.sink};
    NORA_TRY(wall_, wall::install(options_.kind, site, [&](const std::string& why) {
      note_ = why;
      env_.log.warn(why);
    }));
    if (wall_->kind() == "xdp generic") env_.log.warn(note_ = "the interface takes no native XDP: the wall runs in generic mode, which is slower");
    return renew();
  }

  bool needs_net_admin() const { return wall_->needs_net_admin(); }

  // Runs until a signal or an error. Either way the wall is closed, and the status file says why.
  Status run() {
    const Status watched = watch();
    const Status closed = wall_->set_state(wall::State::closed);
    state_ = wall::State::closed;
    if (!watched) error_ = watched.error().text();
    const Status told = write_status();
    return !watched ? watched : !closed ? closed : told;
  }

 private:
  Status watch() {
    Span next_renewal = env_.clock.monotonic() + renew_every;
    while (!stop) {
      if (env_.clock.monotonic() >= next_renewal) {
        next_renewal = env_.clock.monotonic() + renew_every;
        NORA_CHECK(opt_outs());
        NORA_CHECK(renew());
      }
      NORA_CHECK(write_status());
      env_.clock.sleep(status_every);
    }
    return {};
  }

  std::int64_t now_s() const { return env_.clock.now().us / 1'000'000; }

  Status opt_outs() {
    NORA_TRY(const auto changed, opt_outs_.next(now_s()));
    return changed ? wall_->set_opt_outs(*changed) : Status{};
  }

  Status renew() {
    const std::int64_t now = now_s();
    const bool open = wall::open_at(plan_, now);
    if (open) last_open_s_ = now;
    const wall::State next = open ? wall::State::open
                             : last_open_s_ && now - last_open_s_ < wall::closing_s ? wall::State::closing : wall::State::closed;
    if (!stated_ || next != state_) NORA_CHECK(wall_->set_state(next));
    stated_ = true;
    state_ = next;
    return open ? wall_->renew() : Status{};
  }

  Status write_status() {
    NORA_TRY(const auto counters, wall_->counters());
    json::Object c;
    for (const auto& [name, value] : counters) c[name] = value;
    const auto blocked = counters.contains("blocked") ? counters.at("blocked") : 0;
    constexpr const char* states[] = {"open", "closing", "closed"};
    const json::Object o{{"at", env_.clock.now().text()}, {"mandate", plan_.id}, {"kind", wall_->kind()}, {"state", states[static_cast<int>(state_)]}, {"blocked", blocked},
                         {"incident", blocked > 0}, {"error", error_}, {"note", note_}, {"counters", c}};
    // Replaced by rename, without fsync: after a power cut there is no sender to be told.
    const std::filesystem::path temporary = options_.status.string() + ".new";
    std::FILE* file = std::fopen(temporary.c_str(), "we");
    if (!file) return fail(Code::failed, "the status file cannot be written: " + errno_text(errno));
    const std::string text = json::text(o) + "\n";
    const bool ok = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !ok || std::rename(temporary.c_str(), options_.status.c_str()) != 0)
      return fail(Code::failed, "the status file cannot be written: " + errno_text(errno));
    return {};
  }

  Options options_;
  wall::Plan plan_;
  wall::OptOutBook opt_outs_;
  Env env_;
  std::unique_ptr<wall::Wall> wall_;
  wall::State state_ = wall::State::closed;
  bool stated_ = false;
  std::int64_t last_open_s_ = 0;
  std::string error_, note_;
};

Status guard(const Options& options, Env env) {
  NORA_TRY(const std::string note, read_file(options.mandate, 1u << 20));
  NORA_TRY(const std::string roots, read_file(options.roots, 1u << 20));
  NORA_TRY(wall::Plan plan, wall::read_signed(note, roots));
  WallLoop loop(options, std::move(plan), env);
  NORA_CHECK(loop.start());
  // From here on only the filter may be changed; the XDP wall is steered through memory and needs no right at all.
  capng_clear(CAPNG_SELECT_BOTH);
  if (loop.needs_net_admin()) capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET), CAP_NET_ADMIN);
  if (capng_apply(CAPNG_SELECT_BOTH) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(Code::environment, "the wall cannot give up its capabilities");
  return loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  struct sigaction end {};
  end.sa_handler = [](int) { stop = 1; };
  sigaction(SIGTERM, &end, nullptr);
  sigaction(SIGINT, &end, nullptr);
  CLI::App app{"nora-wall: holds the mandate at the far end of the sender's veth. A blocked frame is an incident."};
  Options options;
  app.add_option("--mandate", options.mandate, "signed mandate")->required();
  app.add_option("--roots", options.roots, "root file: threshold and signers")->required();
  // The name goes into the rules: only what an interface is usually called.
  const auto iface_name = [](const std::string& s) {
    const bool fine = !s.empty() && s.size() < 16 && s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == s.npos;
    return fine ? std::string() : std::string("not an interface name");
  };
  app.add_option("--iface", options.iface, "the veth end at which the sender's frames arrive")->required()->check(iface_name);
  app.add_option("--opt-out", options.opt_outs, "opt-out list, read again each second (may be repeated)");
  app.add_option("--wall", options.kind, "auto (native XDP, otherwise nft), xdp, nft")
      ->transform(CLI::Transformer(std::map<std::string, wall::Kind>{{"auto", wall::Kind::automatic}, {"xdp", wall::Kind::xdp}, {"nft", wall::Kind::nft}}));
  app.add_flag("--sink", options.sink, "benchmarks only: what would pass is counted and dropped (XDP)");
  app.add_option("--status", options.status, "status file, replaced each 200 ms")->required();
  app.footer("Exit codes: 0 ended by a signal (the wall stays closed), 4 refused by the mandate, 6 the machine lacks something.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Code::usage);
  }
  SystemEnv system("nora-wall");
  const auto done = guard(options, system.env());
  if (done) return 0;
  std::fprintf(stderr, "nora-wall: %s\n", done.error().text().c_str());
  return exit_code(done.error().code);
}
