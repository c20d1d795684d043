// What the wall costs a frame, in namespaces of its own (root): the eBPF program alone (BPF_PROG_TEST_RUN, the same frame again and again), the program on a veth
// as the kernel's statistics see it (varied targets; two readings of the clock included), and what one sender gets through each kind of wall.
//   law_wall_bench [SECONDS]
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>
#include <linux/if_packet.h>

#include <time.h>

#include <chrono>
#include <cstdio>

#include "law/test_mandate.h"
#include "law/wall.h"
#include "net/bpf_object.h"
#include "net/in_namespace.h"
#include "net/packet_socket.h"

namespace {
using namespace nora;
using namespace nora::law;
NORA_BPF_OBJECT(bpf_object_test)
using Clock = std::chrono::steady_clock;

// CPU time of this process, the kernel's work for it included: a busy machine moves it less than the time of day.
double cpu_s() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

struct Scene {
  const char* name;
  wall::Plan plan;
  wall::OptOuts opt_outs;
  std::vector<Bytes> frames;
};

wall::Net net4(std::uint32_t a, int length) {
  a &= length == 0 ? 0 : ~0u << (32 - length);
  return {true, {static_cast<std::uint8_t>(a >> 24), static_cast<std::uint8_t>(a >> 16), static_cast<std::uint8_t>(a >> 8), static_cast<std::uint8_t>(a)}, length, Prefix::of(Ip::v4(a), length).text()};
}

Bytes syn(Ip from, Ip to, std::uint16_t port) {
  Bytes b(net::max_frame_bytes);
  b.resize(net::build_tcp(b, {}, {.source = from, .dest = to, .source_port = 40000, .dest_port = port, .mss = 1460}));
  return b;
}

std::vector<Scene> scenes() {
  SeededRandom random(1);
  MandateText text = test_text();
  text.rate_total_pps = 1'000'000'000;
  const auto base = *wall::read_text(*write_mandate(text));
  const Ip us = *Ip::parse("192.0.2.10"), us6 = *Ip::parse("2001:db8:0:10::10");
  std::vector<Scene> out;
  out.push_back({"demo mandate, IPv4", base, {}, {}});
  for (int i = 0; i < 4096; ++i) out.back().frames.push_back(syn(us, Ip::v4(0xcb007100u + static_cast<std::uint32_t>(random.below(96))), 80));
  // A country: 5,000 blocks of /12 to /24, 100,000 opted-out addresses and 2,000 blocks among them.
  out.push_back({"5,000 prefixes, 102,000 opt-outs, IPv4", base, {}, {}});
  Scene& country = out.back();
  country.plan.ranges.clear();
  for (int i = 0; i < 5000; ++i) {
    const int length = static_cast<int>(random.below(40)) == 0 ? 12 : 16 + static_cast<int>(random.below(9));
    country.plan.ranges.push_back(net4(0x01000000u + static_cast<std::uint32_t>(random.below(0xdf000000u)), length));
  }
  const auto somewhere = [&] {
    const auto& r = country.plan.ranges[random.below(country.plan.ranges.size())];
    return get_u32be(r.first.data()) + static_cast<std::uint32_t>(random.below(1ull << (32 - r.length)));
  };
  for (int i = 0; i < 100'000; ++i) country.opt_outs.settled.push_back(net4(somewhere(), 32));
  for (int i = 0; i < 2000; ++i) country.opt_outs.settled.push_back(net4(somewhere(), 24 + static_cast<int>(random.below(8))));
  for (int i = 0; i < 65536; ++i) country.frames.push_back(syn(us, Ip::v4(somewhere()), 80));
  out.push_back({"demo mandate, IPv6", base, {}, {}});
  for (int i = 0; i < 4096; ++i) out.back().frames.push_back(syn(us6, Ip::parse("2001:db8:1000::")->plus(random.u64()), 80));
  return out;
}

// Sends for so long; returns frames sent.
std::uint64_t flood(const std::vector<Bytes>& frames, double seconds, const std::function<void()>& each_while) {
  const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = net::interface_info("va")->index;
  std::array<mmsghdr, 64> messages{};
  std::array<iovec, 64> parts{};
  std::uint64_t sent = 0;
  std::size_t at = 0;
  const auto start = Clock::now();
  for (int round = 0; seconds_since(start) < seconds; ++round) {
    if (round % 1024 == 0) each_while();
    for (std::size_t i = 0; i < 64; ++i) {
      const Bytes& f = frames[at = (at + 1) % frames.size()];
      parts[i] = {const_cast<std::uint8_t*>(f.data()), f.size()};
      messages[i].msg_hdr = {&to, sizeof to, &parts[i], 1, nullptr, 0, 0};
    }
    const int n = ::sendmmsg(fd.get(), messages.data(), 64, 0);
    if (n > 0) sent += static_cast<std::uint64_t>(n);
  }
  return sent;
}

// Nanoseconds of CPU of one run of the program by BPF_PROG_TEST_RUN: the least of five, for the machine may be busy.
double alone(int program, ByteView frame, const std::function<void()>& before_each) {
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = static_cast<std::uint32_t>(frame.size()), .repeat = 1'000'000);
  double least = 1e9;
  for (int i = 0; i < 5; ++i) {
    before_each();
    const double before = cpu_s();
    if (bpf_prog_test_run_opts(program, &run) != 0) return -1;
    least = std::min(least, (cpu_s() - before) * 1e9 / run.repeat);
  }
  return least;
}

int bench(double seconds) {
  // What the measuring itself costs on this machine now: a program that adds one to a counter.
  auto empty = net::BpfObject::open(bpf_bytes_bpf_object_test(), "empty");
  if (!empty || !empty->load()) return 1;
  const auto nothing = [] {};
  for (const auto& scene : scenes()) {
    std::printf("%s\n", scene.name);
    for (const wall::Kind kind : {wall::Kind::nft, wall::Kind::xdp}) {
      auto installed = kind == wall::Kind::nft ? wall::install(kind, {.plan = scene.plan, .iface = "vb", .opt_outs = scene.opt_outs}, [](const std::string&) {})
                                               : wall::install(kind, {.plan = scene.plan, .iface = "vb", .opt_outs = scene.opt_outs, .sink = true}, [](const std::string&) {});
      if (!installed) {
        std::fprintf(stderr, "%s\n", installed.error().text().c_str());
        return 1;
      }
      auto& w = **installed;
      const auto renew = [&] { (void)w.renew(); };
      (void)w.set_state(wall::State::open);
      renew();
      std::uint64_t run_ns = 0, runs = 0;
      Fd program, statistics;
      if (kind == wall::Kind::xdp) {
        LIBBPF_OPTS(bpf_xdp_query_opts, q);
        (void)bpf_xdp_query(static_cast<int>(::if_nametoindex("vb")), 0, &q);
        program = Fd(bpf_prog_get_fd_by_id(q.prog_id));
        const double one = alone(program.get(), scene.frames[0], renew), none = alone(empty->program("count"), scene.frames[0], nothing);
        std::printf("  xdp alone, one frame again and again  %4.1f ns, %4.1f more than a program that only counts\n", one, one - none);
      }
      const double renew_from = cpu_s();
      renew();
      const double renew_cpu = cpu_s() - renew_from, count_from = cpu_s();
      (void)w.counters();
      std::printf("  %-10s: a renewal costs %.1f ms of CPU, reading the counters %.1f ms\n", std::string(w.kind()).c_str(), renew_cpu * 1e3, (cpu_s() - count_from) * 1e3);
      const double flood_from = cpu_s();
      const std::uint64_t plain = flood(scene.frames, seconds, [&] { if (kind == wall::Kind::xdp) renew(); });
      const double flood_cpu = cpu_s() - flood_from;
      if (kind == wall::Kind::xdp) {
        statistics = Fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
        (void)flood(scene.frames, seconds, renew);
        bpf_prog_info info{};
        std::uint32_t length = sizeof info;
        if (bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return 1;
        run_ns = info.run_time_ns;
        runs = info.run_cnt;
        std::printf("  xdp on the veth, kernel statistics    %4.0f ns (%llu frames)\n", static_cast<double>(run_ns) / static_cast<double>(runs), static_cast<unsigned long long>(runs));
      }
      const auto counters = *w.counters();
      std::printf("  one sender through the %-10s     %5.0f kpps (%.0f ns of CPU a frame; passed %llu, blocked %llu, over rate %llu)\n", std::string(w.kind()).c_str(),
                  static_cast<double>(plain) / seconds / 1e3, flood_cpu * 1e9 / static_cast<double>(plain), static_cast<unsigned long long>(counters.at("passed")),
                  static_cast<unsigned long long>(counters.at("blocked")), static_cast<unsigned long long>(counters.at("over_rate")));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  if (!net::first_root()) {
    std::fprintf(stderr, "law_wall_bench: needs root of the first user namespace\n");
    return 6;
  }
  const char* veth = "ip link add va type veth peer name vb; echo 1 > /proc/sys/net/ipv6/conf/va/disable_ipv6; ip link set va up; ip link set vb up";
  return net::in_namespace(veth, [&] {
    const int code = bench(seconds);
    std::fflush(stdout);
    return code;
  }, false);
}
