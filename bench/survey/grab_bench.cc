// grab_bench: how fast the grabber reads pages from many hosts, with a permit each and every page parsed in the jail, and what hosts cost that
// never answer.
//   grab_bench run SOURCE GOOD COUNT PIT COUNT PARSER   addresses from GOOD and PIT upwards, mixed in a random order; prints one JSON line
//   grab_bench pit                                      the tarpit: port 80, half of the connections silent, half a byte a second; never returns
// Used by bench/survey/grab.sh inside namespaces of its own.
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "base/files.h"
#include "law/mandate.h"
#include "survey/grabber.h"
#include "survey/parser_client.h"

namespace {

using namespace nora;
using namespace nora::survey;

const std::string data = std::string(NORA_SOURCE_DIR) + "/data";

void open_many_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int pit() {
  open_many_files();
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(80);
  if (bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || listen(s, 4096) != 0) return 1;
  std::vector<int> dripping;
  std::size_t taken = 0;
  for (auto next = time(nullptr) + 1;;) {
    pollfd p{s, POLLIN, 0};
    poll(&p, 1, 200);
    for (int c; (c = accept4(s, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;)
      if (taken++ % 2 == 0) dripping.push_back(c);  // the other half is held open and never looked at again
    if (time(nullptr) < next) continue;
    ++next;
    std::erase_if(dripping, [](int c) {
      if (send(c, "H", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN) return false;
      close(c);
      return true;
    });
  }
}

long status_kib(long pid, const char* field) {
  auto text = read_file(fmt::format("/proc/{}/status", pid), 1 << 16);
  const auto at = text ? text->find(field) : std::string::npos;
  return at == std::string::npos ? 0 : std::strtol(text->c_str() + at + std::string_view(field).size(), nullptr, 10);
}
double cpu(int who) {
  rusage u{};
  getrusage(who, &u);
  return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

Result<law::Mandate> mandate(Ip source, const std::vector<Prefix>& ranges, Env env) {
  NORA_TRY(const std::string tsv, read_file(data + "/probes/catalogue.tsv"));
  NORA_TRY(auto probes, law::ProbeList::parse(tsv));
  law::MandateText m;
  m.id = "bench";
  m.authority = "Bench";
  m.legal_basis = "none: own namespaces";
  m.law_profile = "jp";
  m.purpose = "measurement";
  m.contact = "bench@example";
  m.not_before = Instant{env.clock.now().us / 86'400'000'000 * 86'400'000'000};
  m.not_after = m.not_before + Span::days(2);
  m.sources = {source};
  m.ranges = ranges;
  m.ports = {{Proto::tcp, {80}}};
  m.classes = {law::ProbeClass::p0};
  m.catalogue = probes.hash();
  m.rate_total_pps = m.rate_per_24_pps = 1'000'000;
  m.rate_per_target_pps = 1000;
  m.probes_per_target_per_day = 60'000;
  NORA_TRY(auto profile, law::LawProfile::load(data + "/law", "jp"));
  NORA_TRY(const auto text, law::write_mandate(m));
  const auto key = SigningKey::make("bench.example", env.random);
  return law::Mandate::open(sign_note(text, key), {1, {key.public_key()}}, std::move(probes), std::move(profile), {});
}

struct Count {
  int good_answered = 0, good_lost = 0, parsed = 0, pit_ended = 0;
  Span longest_pit{};
};

Status run(Ip source, Ip good, int good_count, Ip pit, int pit_count, const char* parser_program) {
  SystemEnv system("grab_bench");
  const auto env = system.env();
  NORA_TRY(const auto m, mandate(source, {Prefix::of(good, 18), Prefix::of(pit, 18)}, env));
  const auto* probe = m.probes().find("http");
  std::vector<int> order(static_cast<std::size_t>(good_count + pit_count));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  Count count;
  Span last_good{};
  const auto cpu_before = cpu(RUSAGE_SELF);
  const auto rss_before = status_kib(getpid(), "VmRSS:");
  long parser_rss = 0;
  Span from{};
  std::size_t most = 0;
  {
    Grabber grabber(env);
    ParserClient parser(parser_program, env);
    NORA_CHECK(parser.start());
    std::vector<Span> begun(order.size());
    from = env.clock.monotonic();
    std::size_t next = 0;
    while (next < order.size() || grabber.running() > 0 || !parser.idle()) {
      for (int burst = 0; burst < 64 && next < order.size() && grabber.has_room() && !parser.full(); ++burst) {
        const int i = order[next++];
        const Ip ip = i < good_count ? good.plus(static_cast<std::uint64_t>(i)) : pit.plus(static_cast<std::uint64_t>(i - good_count));
        auto permit = m.permit({ip, 80}, *probe, env.clock.now());
        if (!permit) return fail(Code::failed, "no permit: " + std::string(law::sentence(permit.error())));
        ScriptSpec spec;
        spec.probe = "http";
        spec.ip = ip;
        spec.port = 80;
        spec.own = source.text();
        begun[static_cast<std::size_t>(i)] = env.clock.monotonic();
        NORA_CHECK(grabber.start(*permit, std::move(spec), static_cast<std::uint64_t>(i)));
      }
      most = std::max(most, grabber.running());
      pollfd p[2] = {{grabber.fd(), POLLIN, 0}, {parser.fd(), static_cast<short>(POLLIN | (parser.wants_write() ? POLLOUT : 0)), 0}};
      poll(p, 2, next < order.size() && grabber.has_room() ? 0 : 5);
      grabber.serve([&](Grabbed&& g) {
        if (g.tag >= static_cast<std::uint64_t>(good_count)) {
          ++count.pit_ended;
          count.longest_pit = std::max(count.longest_pit, env.clock.monotonic() - begun[g.tag]);
          return;
        }
        if (g.ended != Ended::answered) {
          ++count.good_lost;
          return;
        }
        ++count.good_answered;
        parser.submit({"http", g.spec.ip.text(), 80, std::move(g.parts)}, [&](Item&&, std::optional<Parsed>&& parsed) {
          if (parsed && parsed->protocol == "http" && parsed->find("html_title")) ++count.parsed;
          last_good = env.clock.monotonic();
        });
      });
      parser.serve();
    }
    parser_rss = status_kib(parser.pid(), "VmHWM:");
  }  // the parser has ended: its time counts among our children's
  const auto all = env.clock.monotonic() - from;
  const auto seconds = (last_good - from).as_seconds();
  const auto own_cpu = cpu(RUSAGE_SELF) - cpu_before + cpu(RUSAGE_CHILDREN);
  fmt::print("{{\"good\":{},\"answered\":{},\"lost\":{},\"parsed\":{},\"pits\":{},\"pits_ended\":{},\"longest_pit_s\":{:.2f},\"good_seconds\":{:.3f},\"good_per_s\":{:.0f},"
             "\"all_seconds\":{:.2f},\"own_cpu_s\":{:.3f},\"parsed_per_own_cpu_s\":{:.0f},\"most_at_once\":{},\"rss_before_kib\":{},\"rss_peak_kib\":{},\"parser_rss_peak_kib\":{}}}\n",
             good_count, count.good_answered, count.good_lost, count.parsed, pit_count, count.pit_ended, count.longest_pit.as_seconds(), seconds, good_count / seconds,
             all.as_seconds(), own_cpu, count.parsed / own_cpu, most, rss_before, status_kib(getpid(), "VmHWM:"), parser_rss);
  std::fflush(stdout);
  return count.good_answered == good_count && count.parsed == good_count ? Status{} : fail(Code::failed, "not every good host gave its page");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "pit") return pit();
  if (argc != 8 || std::string_view(argv[1]) != "run") {
    std::fprintf(stderr, "usage: grab_bench run SOURCE GOOD COUNT PIT COUNT PARSER | grab_bench pit\n");
    return 2;
  }
  const auto source = Ip::parse(argv[2]), good = Ip::parse(argv[3]), pit_base = Ip::parse(argv[5]);
  if (!source || !good || !pit_base) return 2;
  const auto done = run(*source, *good, std::atoi(argv[4]), *pit_base, std::atoi(argv[6]), argv[7]);
  if (!done) std::fprintf(stderr, "grab_bench: %s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
