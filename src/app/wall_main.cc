// nora-wall: the second, independent enforcement of the mandate, in another network namespace than the sender, at the far end of its veth.
// Starts closed, opens when the mandate says so, is renewed each second, and stays closed when it ends: its rules are never taken away.
// Status file (JSON, replaced each 200 ms): {"at","mandate","state","blocked","incident","error","counters":{…}}; whoever polls it stops
// at "incident": true, and also when "at" is older than a few seconds.
#include <cap-ng.h>
#include <net/if.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/crypto.h"
#include "base/env.h"
#include "base/files.h"
#include "base/json.h"
#include "law/wall_rules.h"

namespace {

using namespace nora;
using namespace nora::law;

constexpr Span status_every = Span::ms(200), renew_every = Span::seconds(1);
constexpr std::size_t max_file_bytes = 64u << 20;

volatile sig_atomic_t stop = 0;

struct Options {
  std::filesystem::path mandate, roots, status;
  std::vector<std::filesystem::path> opt_outs;
  std::string iface;
};

class WallLoop {
 public:
  WallLoop(Options options, wall::Plan plan, wall::Nft nft, Env env)
      : options_(std::move(options)), plan_(std::move(plan)), nft_(std::move(nft)), env_(env) {}

  Status start() {
    NORA_CHECK(nft_.run(wall::install_script(plan_, options_.iface)));
    NORA_CHECK(opt_outs(true));
    return renew();
  }

  // Runs until a signal; an error closes the wall and is told in the status file.
  Status run() {
    Span next_renewal = env_.clock.monotonic() + renew_every;
    while (!stop) {
      if (env_.clock.monotonic() >= next_renewal) {
        next_renewal = env_.clock.monotonic() + renew_every;
        Status s = opt_outs(false);
        if (s) s = renew();
        if (!s) {
          (void)nft_.run(wall::state_script(plan_, wall::State::closed));
          state_ = wall::State::closed;
          error_ = s.error().text();
          (void)write_status();
          return s;
        }
      }
      NORA_CHECK(write_status());
      env_.clock.sleep(status_every);
    }
    const Status s = nft_.run(wall::state_script(plan_, wall::State::closed));
    state_ = wall::State::closed;
    (void)write_status();
    return s;
  }

 private:
  std::int64_t now_s() const { return env_.clock.now().us / 1'000'000; }

  Status renew() {
    const std::int64_t now = now_s();
    const bool open = wall::open_at(plan_, now);
    if (open) last_open_s_ = now;
    const wall::State next = open ? wall::State::open
                             : last_open_s_ && now - last_open_s_ < wall::closing_s ? wall::State::closing : wall::State::closed;
    if (!installed_ || next != state_) NORA_CHECK(nft_.run(wall::state_script(plan_, next)));
    installed_ = true;
    state_ = next;
    return open ? nft_.run(wall::alive_script(options_.iface)) : Status{};
  }

  // The sets hold what the lists say now, and the signed list whatever happens to its file. An address is fresh for the first minute.
  Status opt_outs(bool first) {
    std::map<std::string, std::int64_t> seen;
    std::vector<wall::Net> settled, fresh;
    bool found = plan_.opt_out_hex == "none";
    for (const auto& file : options_.opt_outs) {
      NORA_TRY(const std::string text, read_file(file, max_file_bytes));
      NORA_TRY(const auto nets, wall::read_opt_out(text));
      const bool is_signed = to_hex(sha256(as_bytes(text))) == plan_.opt_out_hex;
      if (is_signed && first) signed_ = nets;
      found = found || is_signed;
      for (const auto& n : nets) {
        const auto before = seen_.find(n.text);
        const std::int64_t since = first ? 0 : before != seen_.end() ? before->second : now_s();
        if (!seen.emplace(n.text, since).second) continue;
        (now_s() - since >= wall::fresh_opt_out_s ? settled : fresh).push_back(n);
      }
    }
    if (first && !found) return fail(Code::refused, "wall: the opt-out list that the mandate names is missing or altered");
    for (const auto& n : signed_)
      if (seen.emplace(n.text, 0).second) settled.push_back(n);
    const auto count = std::pair(settled.size(), fresh.size());
    if (!first && seen == seen_ && count == counts_) return {};
    NORA_CHECK(nft_.run(wall::opt_out_script(settled, fresh)));
    seen_ = std::move(seen);
    counts_ = count;
    return {};
  }

  Status write_status() {
    NORA_TRY(const auto counters, nft_.counters());
    json::Object c;
    for (const auto& [name, value] : counters) c[name] = value;
    const auto blocked = counters.contains("blocked") ? counters.at("blocked") : 0;
    constexpr const char* states[] = {"open", "closing", "closed"};
    const json::Object o{{"at", env_.clock.now().text()}, {"mandate", plan_.id}, {"state", states[static_cast<int>(state_)]}, {"blocked", blocked},
                         {"incident", blocked > 0}, {"error", error_}, {"counters", c}};
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
  wall::Nft nft_;
  Env env_;
  wall::State state_ = wall::State::closed;
  bool installed_ = false;
  std::int64_t last_open_s_ = 0;
  std::vector<wall::Net> signed_;
  std::map<std::string, std::int64_t> seen_;  // prefix -> second at which it was first read; 0 = at the start
  std::pair<std::size_t, std::size_t> counts_{};
  std::string error_;
};

Status guard(const Options& options, Env env) {
  NORA_TRY(const std::string note, read_file(options.mandate, 1u << 20));
  NORA_TRY(const std::string roots, read_file(options.roots, 1u << 20));
  NORA_TRY(wall::Plan plan, wall::read_signed(note, roots));
  // Newer kernels take a rule for an interface that is not there (yet); a wall before nothing is a mistake.
  if (::if_nametoindex(options.iface.c_str()) == 0)
    return fail(Code::environment, "there is no interface \"" + options.iface + "\" in this network namespace", "Start nora-wall in the namespace that holds the far end of the sender's veth.");
  NORA_TRY(wall::Nft nft, wall::Nft::open());
  WallLoop loop(options, std::move(plan), std::move(nft), env);
  NORA_CHECK(loop.start());
  // From here on only the filter may be changed.
  capng_clear(CAPNG_SELECT_BOTH);
  capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET), CAP_NET_ADMIN);
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
