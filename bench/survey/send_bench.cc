// send_bench: how fast nora-sender itself sends, as `nora scan` drives it: a signed mandate, a plan, one long segment, the receive ring open.
//   send_bench prepare DIR SOURCE RANGE PORT PPS        writes DIR/mandate, DIR/roots (for nora-wall too)
//   send_bench run DIR IFACE SENDER packet|xdp|live SECONDS   prints one JSON line: path, sent, seconds, mpps, cpu_s_per_mpkt, refused
// Used by bench/survey/ladder.sh inside namespaces of its own. SECONDS <= 60.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/files.h"
#include "net/packet_socket.h"
#include "survey/channel.h"
#include "survey/plan.h"

namespace {

using namespace nora;
namespace fs = std::filesystem;

const std::string data = std::string(NORA_SOURCE_DIR) + "/data";

Status prepare(const fs::path& dir, const char* source, const char* range, const char* port, const char* pps) {
  SystemEnv system("send_bench");
  NORA_TRY(const std::string tsv, read_file(data + "/probes/catalogue.tsv"));
  NORA_TRY(const auto probes, law::ProbeList::parse(tsv));
  law::MandateText m;
  m.id = "bench";
  m.authority = "Bench";
  m.legal_basis = "none: own namespaces";
  m.law_profile = "jp";
  m.purpose = "measurement";
  m.contact = "bench@example";
  const auto today = system.env().clock.now().us / 86'400'000'000;
  m.not_before = Instant{today * 86'400'000'000};
  m.not_after = m.not_before + Span::days(2);
  NORA_TRY(const Ip own, Ip::parse(source));
  NORA_TRY(const Prefix prefix, Prefix::parse(range));
  NORA_TRY(const Port p, parse_port(port));
  m.sources = {own};
  m.ranges = {prefix};
  m.ports = {{Proto::tcp, p}};
  m.classes = {law::ProbeClass::p0};
  m.catalogue = probes.hash();
  m.rate_total_pps = m.rate_per_24_pps = static_cast<std::uint32_t>(std::strtoul(pps, nullptr, 10));
  m.rate_per_target_pps = 1000;
  m.probes_per_target_per_day = 60'000;
  NORA_TRY(const std::string text, law::write_mandate(m));
  const auto key = SigningKey::make("bench.example", system.env().random);
  fs::create_directories(dir);
  NORA_CHECK(replace_file(dir / "mandate", sign_note(text, key), 0644));
  return replace_file(dir / "roots", law::write_roots({1, {key.public_key()}}), 0644);
}

Status run(const fs::path& dir, const std::string& iface, const std::string& sender, const std::string& send, double span) {
  SystemEnv system("send_bench");
  const Env env = system.env();
  const law::MandateFiles files{dir / "mandate", dir / "roots", data + "/law", data + "/probes/catalogue.tsv", {}};
  NORA_TRY(const auto mandate, law::Mandate::load(files));
  NORA_TRY(const std::string tsv, read_file(files.catalogue));
  NORA_TRY(const auto catalogue, survey::Catalogue::parse(tsv));
  NORA_TRY(const auto plan, survey::make_plan(mandate, catalogue, {}, env));
  NORA_CHECK(plan.save(dir));
  fs::remove_all(dir / "daily");
  NORA_TRY(auto ends, survey::Channel::pair());
  const pid_t child = fork();
  if (child == 0) {
    const int fd = ends.second.fd();
    if (fd == 3) fcntl(3, F_SETFD, 0);
    else dup2(fd, 3);
    const auto daily = (dir / "daily").string(), law_dir = files.law_dir.string(), cat = files.catalogue.string(), m = files.mandate.string(), r = files.roots.string();
    execl(sender.c_str(), sender.c_str(), "--mandate", m.c_str(), "--roots", r.c_str(), "--law-dir", law_dir.c_str(), "--catalogue", cat.c_str(), "--iface", iface.c_str(),
          "--daily", daily.c_str(), "--send", send.c_str(), "--fd", "3", nullptr);
    _exit(127);
  }
  ends.second = survey::Channel();
  survey::Channel& channel = ends.first;
  const Fd plan_file(open((dir / "plan.json").c_str(), O_RDONLY));
  NORA_CHECK(channel.send({{"op", "start"}, {"key", "000102030405060708090a0b0c0d0e0f"}}, plan_file.get()));
  std::string path, why;
  std::optional<net::PacketRing> ring;
  while (!ring) {
    NORA_TRY(auto message, channel.receive(15'000));
    if (!message) return fail(Code::failed, "the sender is not ready");
    if (json::string_or(message->body, "op") == "error") return fail(Code::failed, json::string_or(message->body, "what"));
    path = json::string_or(message->body, "path");
    why = json::string_or(message->body, "why");
    NORA_TRY(auto adopted, net::PacketRing::adopt(std::move(message->fd)));
    ring.emplace(std::move(adopted));
  }
  const Fd records(open((dir / "records.bin").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  const auto stat = [&] {  // user and system ticks of the child
    auto text = read_file(fmt::format("/proc/{}/stat", child)).value_or("");
    unsigned long user = 0, kernel = 0;
    std::sscanf(text.c_str() + text.rfind(')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    return static_cast<double>(user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
  };
  const double cpu0 = stat();
  const auto t0 = std::chrono::steady_clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count(); };
  NORA_CHECK(channel.send({{"op", "segment"}, {"n", 0}, {"from", 0}, {"to", plan.space.size()}}, records.get()));
  std::int64_t sent = -1, refused = 0;
  bool stopping = false;
  double cpu = 0, took = 0;
  while (sent < 0) {
    NORA_TRY(auto message, channel.receive(5));
    (void)ring->read(Span{}, [](ByteView, Instant) {});
    if (!stopping && passed() >= span) {
      stopping = true;
      NORA_CHECK(channel.send({{"op", "stop"}}));
    }
    if (!message) continue;
    const auto op = json::string_or(message->body, "op");
    if (op == "error") return fail(Code::failed, json::string_or(message->body, "what"));
    if (op != "done") continue;
    took = passed();
    cpu = stat() - cpu0;
    sent = json::int_or(message->body, "sent", 0);
    refused = json::int_or(message->body, "refused", 0);
  }
  waitpid(child, nullptr, 0);
  std::printf("{\"path\":\"%s\",\"sent\":%lld,\"refused\":%lld,\"seconds\":%.3f,\"mpps\":%.4f,\"cpu_s_per_mpkt\":%.3f,\"cpu_share\":%.3f%s%s%s}\n", path.c_str(),
              static_cast<long long>(sent), static_cast<long long>(refused), took, static_cast<double>(sent) / took / 1e6, cpu / (static_cast<double>(sent) / 1e6), cpu / took,
              why.empty() ? "" : ",\"why\":\"", why.c_str(), why.empty() ? "" : "\"");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  nora::Status done = nora::fail(nora::Code::usage, "send_bench prepare DIR SOURCE RANGE PORT PPS | run DIR IFACE SENDER WAY SECONDS");
  if (argc == 7 && std::string_view(argv[1]) == "prepare") done = prepare(argv[2], argv[3], argv[4], argv[5], argv[6]);
  if (argc == 7 && std::string_view(argv[1]) == "run") done = run(argv[2], argv[3], argv[4], argv[5], std::min(60.0, std::atof(argv[6])));
  if (done) return 0;
  std::fprintf(stderr, "send_bench: %s\n", done.error().text().c_str());
  return nora::exit_code(done.error().code);
}
