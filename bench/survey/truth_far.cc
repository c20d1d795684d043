// truth_far: the far end of bench/survey/truth.sh, and its judge.
//   truth_far serve IFACE FORGED SECONDS   answers each probe SYN of the addresses that answer with three SYN-ACKs, resets conversations, and sends
//                                          FORGED forged SYN-ACKs from addresses that do not answer, over SECONDS; until SIGTERM, then one JSON line
//   truth_far judge JOURNAL                what a survey's journal found against the truth, one JSON line
//   truth_far judge-list FILE              the same for a peer's list of addresses, one a line
// Needs root (XDP, raw sockets) in a namespace of its own. Stands outside of src/: it is no part of the product and sends only into its own veth.
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "net/bpf_object.h"
#include "net/packet_socket.h"

NORA_BPF_OBJECT(truth)

namespace {

using namespace nora;

constexpr std::uint32_t base = 0x0a000000, size = 1u << 20;
constexpr std::uint16_t probe_ports = 61000;  // survey/answer.h: probes leave from there on, conversations from below
constexpr int copies = 3;

std::uint32_t hash32(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352d;
  x ^= x >> 15;
  x *= 0x846ca68b;
  x ^= x >> 16;
  return x;
}
bool answers(std::uint32_t ip) { return ip >> 20 == base >> 20 && hash32(ip) % 100 == 0; }

std::atomic<bool> over = false;

int raw_socket(const char* iface) {
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(iface));
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) std::perror("raw socket"), _exit(1);
  int on = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  return fd;
}

int serve(const char* iface, long forged, double seconds) {
  auto object = net::BpfObject::open(bpf_bytes_truth(), "truth");
  if (!object || !object->load()) return std::fprintf(stderr, "the XDP program cannot be loaded\n"), 6;
  int program = object->program("truth"), map = object->map("seen");
  auto index = static_cast<int>(if_nametoindex(iface));
  if (bpf_xdp_attach(index, program, XDP_FLAGS_SKB_MODE, nullptr) != 0) return std::fprintf(stderr, "the XDP program cannot be attached\n"), 6;
  auto ring = net::PacketRing::open(iface);
  if (!ring) return std::fprintf(stderr, "%s\n", ring.error().text().c_str()), 6;
  int out = raw_socket(iface);
  auto asked = std::make_unique<std::bitset<size>>();
  std::uint64_t probes = 0, sent = 0, refused = 0;
  net::Link back{};
  std::atomic<std::uint64_t> forged_sent = 0;
  std::atomic<bool> link_known = false;
  Ip scanner;
  std::thread forger([&] {
    while (!link_known && !over) usleep(1000);
    int fd = raw_socket(iface);
    std::mt19937_64 random(7);
    auto began = std::chrono::steady_clock::now();
    for (long i = 0; i < forged && !over; ++i) {
      std::uint32_t from = 0;
      do from = base + static_cast<std::uint32_t>(random() % size);
      while (answers(from));
      net::TcpFields f;
      f.source = Ip::v4(from);
      f.dest = scanner;
      f.source_port = 80;
      f.dest_port = static_cast<std::uint16_t>(probe_ports + random() % 4096);
      f.seq = static_cast<std::uint32_t>(random());
      f.ack = static_cast<std::uint32_t>(random());
      f.flags = net::tcp_flag::syn | net::tcp_flag::ack;
      std::array<std::uint8_t, 128> frame;
      auto n = net::build_tcp(frame, back, f);
      forged_sent += send(fd, frame.data(), n, 0) > 0;
      if (i % 256 == 0) std::this_thread::sleep_until(began + std::chrono::duration<double>(seconds * static_cast<double>(i) / static_cast<double>(forged)));
    }
  });
  std::puts("ready");
  std::fflush(stdout);
  while (!over) {
    (void)ring->read(Span::ms(20), [&](ByteView bytes, Instant) {
      auto p = net::parse_frame(bytes);
      if (!p || !p->is_ip || !p->is(net::ip_tcp) || !p->has_ports || !p->source.is_v4() || !answers(p->dest.v4_value()) || p->tcp_flags != net::tcp_flag::syn) return;
      if (!link_known) {
        back = {p->eth_dest, p->eth_source};
        scanner = p->source;
        link_known = true;
      }
      net::TcpFields f;
      f.source = p->dest;
      f.dest = p->source;
      f.source_port = p->dest_port;
      f.dest_port = p->source_port;
      f.seq = hash32(p->seq);
      f.ack = p->seq + 1;
      bool probe = p->source_port >= probe_ports || p->source_port < 32768;  // zmap's and masscan's ports as well
      f.flags = probe ? net::tcp_flag::syn | net::tcp_flag::ack : net::tcp_flag::rst | net::tcp_flag::ack;
      std::array<std::uint8_t, 128> frame;
      auto n = net::build_tcp(frame, back, f);
      if (!probe) {
        refused += send(out, frame.data(), n, 0) > 0;
        return;
      }
      ++probes;
      asked->set(p->dest.v4_value() - base);
      for (int i = 0; i < copies; ++i) sent += send(out, frame.data(), n, 0) > 0;
    });
  }
  forger.join();
  std::uint64_t counts[2] = {};
  int cpus = libbpf_num_possible_cpus();
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(cpus));
  for (std::uint32_t key = 0; key < 2; ++key)
    if (bpf_map_lookup_elem(map, &key, per_cpu.data()) == 0)
      for (auto c : per_cpu) counts[key] += c;
  bpf_xdp_detach(index, XDP_FLAGS_SKB_MODE, nullptr);
  fmt::print("{{\"answering\":{},\"asked\":{},\"probes\":{},\"answers\":{},\"conversations_reset\":{},\"forged\":{},\"frames_to_others\":{},\"responder_drops\":{}}}\n", 10444,
             asked->count(), probes, sent, refused, forged_sent.load(), counts[1], ring->counters().drops);
  return 0;
}

int judge(std::istream& in, bool journal) {
  std::map<std::uint32_t, int> found;
  for (std::string line; std::getline(in, line);) {
    if (journal) {
      if (line.find("\"ev\":\"open\"") == line.npos) continue;
      auto at = line.find("\"ip\":\"");
      if (at == line.npos) continue;
      line = line.substr(at + 6, line.find('"', at + 6) - at - 6);
    }
    in_addr ip{};
    if (inet_pton(AF_INET, line.c_str(), &ip) == 1) ++found[ntohl(ip.s_addr)];
  }
  int truth = 0, hit = 0, wrong = 0, twice = 0;
  for (std::uint32_t i = 0; i < size; ++i) truth += answers(base + i), hit += answers(base + i) && found.contains(base + i);
  for (auto [ip, n] : found) wrong += !answers(ip), twice += n - 1;
  fmt::print("{{\"truth\":{},\"found\":{},\"missed\":{},\"false\":{},\"duplicates\":{}}}\n", truth, hit, truth - hit, wrong, twice);
  return truth == hit && wrong == 0 && twice == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string verb = argc > 1 ? argv[1] : "";
  signal(SIGTERM, [](int) { over = true; });
  signal(SIGINT, [](int) { over = true; });
  if (verb == "serve" && argc == 5) return serve(argv[2], std::atol(argv[3]), std::atof(argv[4]));
  if ((verb == "judge" || verb == "judge-list") && argc == 3) {
    std::ifstream in(argv[2]);
    return judge(in, verb == "judge");
  }
  std::fprintf(stderr, "usage: truth_far serve IFACE FORGED SECONDS | judge JOURNAL | judge-list FILE\n");
  return 2;
}
