// The frame of the demo: doors on the loopback, namespaces, the order of the steps, and the end.
#include "app/demo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files.h"
#include "neighbourhood/namespaces.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

volatile sig_atomic_t interrupted = 0;

// The first port that is asked for, so that the printed addresses are the same from run to run where that is possible.
constexpr std::uint16_t first_door = 8650;

Result<DemoDoor> open_door(std::string name, std::uint16_t wanted) {
  for (std::uint16_t port : {wanted, std::uint16_t{0}}) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int yes = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    socklen_t size = sizeof at;
    if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || ::listen(fd.get(), 64) != 0) continue;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    return DemoDoor{std::move(name), fd.release(), ntohs(at.sin_port)};
  }
  return fail(Code::environment, "no free port on 127.0.0.1");
}

Result<std::vector<DemoDoor>> open_doors(const DemoOptions& o) {
  std::vector<DemoDoor> doors;
  if (o.headless) return doors;  // the visitor is played from inside
  std::vector<std::string> names = {"demo", "desk", "isp-hikari", "isp-sakura"};
  for (const auto& d : neighbourhood::devices)
    if (d.playable) names.push_back(fmt::format("line-{}", d.id));
  for (std::size_t i = 0; i < names.size(); ++i) {
    NORA_TRY(auto door, open_door(names[i], static_cast<std::uint16_t>(first_door + i)));
    doors.push_back(std::move(door));
  }
  return doors;
}

Result<fs::path> state_directory(const DemoOptions& o) {
  std::error_code ec;
  if (!o.keep.empty()) {
    if (fs::exists(o.keep, ec) && !fs::is_empty(o.keep, ec)) return fail(Code::usage, fmt::format("{} is not empty", o.keep.string()), "Name a new folder with --keep");
    fs::create_directories(o.keep, ec);
    if (ec) return fail(Code::usage, fmt::format("cannot make {}", o.keep.string()));
    return fs::canonical(o.keep, ec);
  }
  const char* base = std::getenv("TMPDIR");
  std::string name = fmt::format("{}/nora-demo-XXXXXX", base != nullptr && *base != '\0' ? base : "/tmp");
  if (::mkdtemp(name.data()) == nullptr) return fail(Code::environment, fmt::format("cannot make a folder in {}: {}", base ? base : "/tmp", errno_text(errno)));
  return fs::path(name);
}

// Inside the namespaces.
int play(DemoSession& s) {
  struct sigaction act{};
  act.sa_handler = [](int) { interrupted = 1; };
  ::sigaction(SIGINT, &act, nullptr);
  ::sigaction(SIGTERM, &act, nullptr);
  if (!s.step(0, "World", [&]() -> Result<std::string> {
        NORA_CHECK(s.build_world());
        return fmt::format("{} homes and one business up in {:.1f} s", neighbourhood::devices.size() - 1, s.world().seconds_to_start());
      }))
    return exit_code(Code::environment);
  for (auto part : {demo_mandate, demo_survey, demo_sighting, demo_cases, demo_isp}) {
    part(s);
    if (demo_interrupted()) return exit_code(Code::interrupted);
  }
  if (!s.options().headless) {
    demo_staff_links(s);
    demo_page(s);
    return s.failed_steps() == 0 ? 0 : 1;
  }
  for (auto part : {demo_owner, demo_naming, demo_onsite, demo_isolation, demo_again, demo_overview}) {
    part(s);
    if (demo_interrupted()) return exit_code(Code::interrupted);
  }
  bool held = s.failed_steps() == 0;
  auto summary = demo_summary(s, held);
  if (!summary) {
    s.say("summary: " + summary.error().text());
    return exit_code(summary.error().code);
  }
  fmt::print("{}\n", json::text(*summary));
  std::fflush(stdout);
  return held ? 0 : 1;
}

}  // namespace

bool demo_interrupted() { return interrupted != 0; }

std::string DemoDoor::url() const { return fmt::format("http://127.0.0.1:{}/", port); }

Result<int> run_demo(const DemoOptions& options, const Env& env) {
  auto checked = options;
  std::error_code ec;
  checked.root = fs::weakly_canonical(options.root, ec);
  checked.data = fs::weakly_canonical(options.data, ec);
  NORA_TRY(auto doors, open_doors(checked));
  NORA_TRY(auto state, state_directory(checked));
  // Ctrl-C is for the player inside; this process stays to clean up behind it.
  auto before = ::signal(SIGINT, SIG_IGN);
  auto code = neighbourhood::enter({checked.root, state}, [&] {
    DemoSession session(checked, env, state, doors);
    return play(session);
  });
  ::signal(SIGINT, before);
  for (auto& door : doors) ::close(door.fd);
  if (options.keep.empty()) fs::remove_all(state, ec);
  return code;
}

}  // namespace nora::app
