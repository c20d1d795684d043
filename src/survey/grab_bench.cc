// How many banners a second one grabber thread fetches from one local server, in a network namespace of its own: grab_bench [conversations]
// [in flight]. Not a test. The peer figure of the survey notes: a bare epoll loop without permits, scripts and parts, 13-14 k banners/s on
// the same kind of machine.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

#include "net/in_namespace.h"
#include "survey/grabber.h"
#include "survey/test_plan.h"

namespace nora::survey {
namespace {

[[noreturn]] void serve_pages() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(80);
  if (bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || listen(s, 4096) != 0) _exit(1);
  int e = epoll_create1(0);
  epoll_event ev{};
  ev.events = EPOLLIN;
  ev.data.fd = s;
  epoll_ctl(e, EPOLL_CTL_ADD, s, &ev);
  constexpr std::string_view page = "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Length: 20\r\n\r\n<title>page</title>\r\n";
  for (;;) {
    epoll_event events[256];
    int n = epoll_wait(e, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      int fd = events[i].data.fd;
      if (fd == s) {
        for (int c; (c = accept4(s, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
          ev.data.fd = c;
          epoll_ctl(e, EPOLL_CTL_ADD, c, &ev);
        }
        continue;
      }
      char buffer[4096];
      if (recv(fd, buffer, sizeof buffer, 0) <= 0) close(fd);
      else (void)::send(fd, page.data(), page.size(), MSG_NOSIGNAL);
    }
  }
}

int bench(int total, std::size_t in_flight) {
  if (fork() == 0) serve_pages();
  usleep(200'000);
  TestPlan t;
  SystemEnv system("bench");
  auto env = system.env();
  auto now = *Instant::parse("2026-11-26T00:00:00Z");
  struct Fixed : FakeClock {  // the plan's dates with a clock that runs
    Clock& real;
    Fixed(Clock& r, Instant at) : FakeClock(at), real(r) {}
    Span monotonic() const override { return real.monotonic(); }
  } clock(env.clock, now);
  Grabber grabber({clock, env.random, env.log});
  const auto* probe = t.mandate.probes().find("http");
  int started = 0, answered = 0, other = 0;
  auto from = env.clock.monotonic();
  while (answered + other < total) {
    while (started < total && grabber.running() < in_flight) {
      Ip ip = Ip::v4(0xcb007100 + static_cast<std::uint32_t>(started % 90));
      auto permit = t.mandate.permit({ip, 80}, *probe, now);
      ScriptSpec spec;
      spec.probe = "http";
      spec.ip = ip;
      spec.port = 80;
      spec.own = "192.0.2.10";
      if (!permit || !grabber.start(*permit, std::move(spec), static_cast<std::uint64_t>(started))) return 2;
      ++started;
    }
    pollfd p{grabber.fd(), POLLIN, 0};
    poll(&p, 1, 20);
    grabber.serve([&](Grabbed&& g) { g.ended == Ended::answered ? ++answered : ++other; });
  }
  auto seconds = (env.clock.monotonic() - from).as_seconds();
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  double cpu =
      static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
  std::printf("%d banners (%d without an answer) in %.2f s: %.0f/s, %.0f per CPU second of ours\n", answered, other, seconds,
              answered / seconds, answered / cpu);
  std::fflush(stdout);  // the namespace helper ends with _exit
  return other == 0 ? 0 : 1;
}

}  // namespace
}  // namespace nora::survey

int main(int argc, char** argv) {
  int total = argc > 1 ? std::atoi(argv[1]) : 16384;
  auto in_flight = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 200u;
  return nora::net::in_namespace("ip link set lo up; ip addr add 192.0.2.10/32 dev lo; ip route add local 203.0.113.0/25 dev lo",
                                 [&] { return nora::survey::bench(total, in_flight); });
}
