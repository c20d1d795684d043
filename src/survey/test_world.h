// Test support: a world behind a veth for survey's own tests: a scan namespace (192.0.2.10) and a far namespace in which every address of
// 203.0.113.0/26 answers on tcp 80 (a page) and tcp 23 (a telnet prompt), and a counter that sees every frame at the far end.
// Used by scan_test.cc only. Forks; call it from a single-threaded child (net/in_namespace.h).
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "law/mandate.h"
#include "net/packet_socket.h"
#include "survey/answer.h"

namespace nora::survey {

inline constexpr int world_targets = 64;

struct WorldCounts {
  std::atomic<int> syn[world_targets][2];  // raw SYNs of the sender: [address][0: port 23, 1: port 80]
  std::atomic<int> dns[world_targets];
  std::atomic<int> total{0};                // probes of the sender
  std::atomic<int> outside{0};              // IP frames to any other address or port
  std::atomic<int> credentials{0};          // telnet bytes that are no option command
  std::atomic<std::int64_t> times[20'000];  // of the probes, us
  std::atomic<int> relayed{0};
};

inline void serve_tcp(std::uint16_t port, std::string_view hello, bool wait_for_request, WorldCounts* counts) {
  int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  if (bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || listen(s, 512) != 0) _exit(50);
  std::thread([s, hello, wait_for_request, counts] {
    for (;;) {
      int c = accept(s, nullptr, nullptr);
      if (c < 0) continue;
      std::thread([c, hello, wait_for_request, counts] {
        char buffer[2048];
        if (wait_for_request && recv(c, buffer, sizeof buffer, 0) <= 0) {
          close(c);
          return;
        }
        (void)::send(c, hello.data(), hello.size(), MSG_NOSIGNAL);
        if (!wait_for_request) {
          for (ssize_t n; (n = recv(c, buffer, sizeof buffer, 0)) > 0;)
            for (ssize_t i = 0; i < n; i += 3)
              if (static_cast<unsigned char>(buffer[i]) != 255) ++counts->credentials;
        }
        close(c);
      }).detach();
    }
  }).detach();
}

// In the far namespace: never returns.
[[noreturn]] inline void far_side(WorldCounts* counts) {
  serve_tcp(80, "HTTP/1.1 200 OK\r\nServer: test/1\r\nContent-Length: 20\r\n\r\n<title>page</title>\r\n", true, counts);
  serve_tcp(23, "\xff\xfd\x01\xff\xfb\x03\r\nbox login: ", false, counts);
  auto ring = net::PacketRing::open("far");
  if (!ring) _exit(51);
  auto base = Ip::parse("203.0.113.0")->v4_value();
  for (;;) {
    (void)ring->read(Span::ms(100), [&](ByteView frame, Instant at) {
      auto p = net::parse_frame(frame);
      if (!p || !p->is_ip || !p->source.is_v4()) return;
      if (!p->has_ports) return;
      auto i = static_cast<std::int64_t>(p->dest.v4_value()) - base;
      bool inside = i >= 0 && i < world_targets;
      bool probe = false;
      if (p->is(net::ip_tcp) && inside && (p->dest_port == 23 || p->dest_port == 80)) {
        if (p->tcp_flags == net::tcp_flag::syn && p->source_port >= tcp_source_base) ++counts->syn[i][p->dest_port == 80], probe = true;
      } else if (p->is(net::ip_udp) && inside && p->dest_port == 53) {
        ++counts->dns[i], probe = true;
      } else {
        ++counts->outside;
      }
      if (probe)
        if (int n = counts->total++; n < 20'000) counts->times[n] = at.us;
    });
  }
}

struct World {
  WorldCounts* counts = nullptr;
  pid_t far = -1;
  ~World() {
    if (far > 0) kill(far, SIGKILL);
  }
  // Called in a fresh user and network namespace. Returns false when iproute2 is missing.
  bool make() {
    counts = static_cast<WorldCounts*>(mmap(nullptr, sizeof(WorldCounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int ready[2], go[2];
    if (pipe(ready) != 0 || pipe(go) != 0) return false;
    far = fork();
    if (far == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      char c = 'x';
      if (unshare(CLONE_NEWNET) != 0 || write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1) _exit(52);
      if (std::system(
              "ip link set lo up && ip addr add 192.0.2.1/24 dev far && ip link set far address 02:00:00:00:00:01 && ip link set far up && "
              "ip route add local 203.0.113.0/26 dev lo && ip neigh replace 192.0.2.10 lladdr 02:00:00:00:00:0a dev far nud permanent") !=
          0)
        _exit(53);
      if (write(ready[1], &c, 1) != 1) _exit(54);
      far_side(counts);
    }
    char c = 'g';
    if (read(ready[0], &c, 1) != 1) return false;
    auto setup =
        "ip link add eth0 address 02:00:00:00:00:0a type veth peer name far netns " + std::to_string(far) +
        " && ip link set lo up && ip addr add 192.0.2.10/24 dev eth0 && ip link set eth0 up && ip route add default via 192.0.2.1 && "
        "ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent";
    if (std::system(setup.c_str()) != 0) return false;
    if (write(go[1], &c, 1) != 1 || read(ready[0], &c, 1) != 1) return false;
    usleep(200'000);  // the ring of the counter opens
    return true;
  }
};

// A signed mandate for this world in `dir`.
inline law::MandateFiles world_mandate(const std::filesystem::path& dir, std::uint32_t pps, std::uint32_t per_target,
                                       std::vector<std::filesystem::path> opt_outs = {}) {
  law::MandateFiles files{dir / "mandate.txt", dir / "roots.txt", std::string(NORA_SOURCE_DIR) + "/data/law",
                          std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv", std::move(opt_outs)};
  SystemEnv system("test");
  auto env = system.env();
  law::MandateText m;
  m.id = "test";
  m.authority = "Test Authority";
  m.legal_basis = "Test Act";
  m.law_profile = "jp";
  m.purpose = "test";
  m.contact = "test@example";
  m.not_before = Instant::seconds(env.clock.now().us / 1'000'000 - 3600);
  m.not_after = m.not_before + Span::days(1);
  m.sources = {*Ip::parse("192.0.2.10")};
  m.ranges = {*Prefix::parse("203.0.113.0/26")};
  m.ports = {{Proto::tcp, {23}}, {Proto::tcp, {80}}, {Proto::udp, {53}}};
  m.classes = {law::ProbeClass::p0, law::ProbeClass::p1};
  m.catalogue = law::ProbeList::parse(*read_file(files.catalogue))->hash();
  m.rate_total_pps = m.rate_per_24_pps = pps;
  m.rate_per_target_pps = per_target;
  m.probes_per_target_per_day = 10'000;
  auto key = SigningKey::make("authority.example", env.random);
  (void)replace_file(files.mandate, sign_note(*law::write_mandate(m), key));
  (void)replace_file(files.roots, law::write_roots({1, {key.public_key()}}));
  return files;
}

}  // namespace nora::survey
