// Test helper of wire_mandate.test.sh: makes the mandate, sends frames with a planner bug planted, and counts frames at the far end of the wire.
//   wire_probe make DIR                          mandate, roots, catalogue and law profile, in force for one day
//   wire_probe law|raw DIR IFACE GATEWAY_MAC N   N frames; "law": by law::FrameSender; "raw": by a raw socket of this program, unchecked
//   wire_probe count IFACE READY_FILE            until SIGTERM; then one JSON line
// The planted bug: every other frame does not go where its permit says (off by one, byte order, excluded range, wrong port …).
// The judge of `count` walks literal ranges and shares no code with law/.
#include <linux/if_packet.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/files.h"
#include "law/send.h"
#include "law/test_mandate.h"
#include "net/packet_socket.h"

namespace {
using namespace nora;
using namespace nora::law;
namespace fs = std::filesystem;

int fail_with(std::string_view what) {
  std::fprintf(stderr, "wire_probe: %.*s\n", static_cast<int>(what.size()), what.data());
  return 1;
}

int make(const fs::path& dir) {
  MandateText text = test_text();
  SystemEnv system("wire_probe");
  const std::int64_t now = system.env().clock.now().us / 1'000'000;
  text.not_before = Instant::seconds(now - 60);
  text.not_after = Instant::seconds(now + 86400);
  text.rate_total_pps = text.rate_per_24_pps = text.rate_per_target_pps = 1'000'000'000;
  const TestSigners signers;
  fs::create_directories(dir / "law");
  for (const auto& [name, content] : {std::pair{"mandate", signers.sign(text)}, {"roots", write_roots(signers.roots())}, {"catalogue", std::string(test_catalogue)},
                                      {"law/jp.toml", std::string(test_profile)}, {"opt-out", std::string("# live\n")}})
    if (const auto s = replace_file(dir / name, content); !s) return fail_with(s.error().text());
  return 0;
}

// The demo's ranges by hand: 198.51.100.0/26, .128/28, 203.0.113.0/25 without .96/28, 2001:db8:1000::/36; tcp 23 80 502 8080, udp 53.
bool inside(const net::Packet& p) {
  const auto& b = p.dest.bytes();
  bool place;
  if (p.dest.is_v4()) {
    const int a = b[12], c = b[13], d = b[14], e = b[15];
    place = (a == 198 && c == 51 && d == 100 && (e < 64 || (e >= 128 && e < 144))) || (a == 203 && c == 0 && d == 113 && e < 128 && (e < 96 || e > 111));
  } else {
    place = b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8 && b[4] == 0x10 && (b[5] & 0xf0) == 0x00;
  }
  const int port = p.dest_port;
  return place && (p.protocol == 6 ? port == 23 || port == 80 || port == 502 || port == 8080 : p.protocol == 17 && port == 53);
}

class RawSocket {
 public:
  explicit RawSocket(const char* iface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    to_.sll_family = AF_PACKET;
    to_.sll_ifindex = net::interface_info(iface)->index;
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  }
  bool send(ByteView f) {
    for (int i = 0; i < 1000; ++i) {
      if (::sendto(fd_.get(), f.data(), f.size(), 0, reinterpret_cast<sockaddr*>(&to_), sizeof to_) >= 0) return true;
      if (errno != ENOBUFS) return false;
    }
    return false;
  }

 private:
  Fd fd_;
  sockaddr_ll to_{};
};

int send(bool by_law, const fs::path& dir, const char* iface, const char* gateway, int n) {
  auto mandate = Mandate::load({dir / "mandate", dir / "roots", dir / "law", dir / "catalogue", {}});
  if (!mandate) return fail_with(mandate.error().text());
  const auto mac = net::parse_mac(gateway);
  auto sender = FrameSender::open(iface);
  if (!mac || !sender) return fail_with("no interface or no MAC");
  RawSocket raw(iface);
  SystemEnv system("wire_probe");
  SeededRandom random(42);
  const net::Link link{sender->mac(), *mac};
  const auto& syn = *mandate->probes().find("tcp-syn");
  const auto& dns = *mandate->probes().find("dns");
  const std::uint16_t tcp_ports[] = {23, 80, 502, 8080};
  long good = 0, bad = 0, refused_good = 0, sent_bad = 0;
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  const Instant now = system.env().clock.now();
  for (int i = 0; i < n; ++i) {
    const auto& ranges = mandate->text().ranges;
    const Prefix range = ranges[random.below(ranges.size())];
    const Ip target = range.base().plus(random.below(std::min<std::uint64_t>(range.size(), 1u << 20)));
    const bool udp = random.below(3) == 0;
    const std::uint16_t port = udp ? 53 : tcp_ports[random.below(4)];
    auto permit = mandate->permit({target, port}, udp ? dns : syn, now);
    if (!permit) continue;  // excluded
    Ip to = target;
    std::uint16_t to_port = port;
    if (i % 2) {
      switch (random.below(6)) {
        case 0: to = range.last().plus(1); break;                       // off by one at the end
        case 1: to_port = static_cast<std::uint16_t>(port + 1); break;
        case 2: to_port = __builtin_bswap16(port); break;
        case 3: if (to.is_v4()) to = Ip::v4(__builtin_bswap32(to.v4_value())); break;
        case 4: to = to.is_v4() ? Ip::v4(0xcb007160u + static_cast<std::uint32_t>(random.below(16))) : to; break;  // the excluded /28
        default: to = range.base().plus(~std::uint64_t{0}); break;      // one below the range, or far away
      }
    }
    const std::size_t length = udp ? net::build_udp(buffer, link, {.source = permit->source(), .dest = to, .source_port = 40000, .dest_port = to_port}, as_bytes("?"))
                                   : net::build_tcp(buffer, link, {.source = permit->source(), .dest = to, .source_port = 40000, .dest_port = to_port, .seq = static_cast<std::uint32_t>(i)});
    if (length == 0) continue;
    const ByteView frame = ByteView(buffer).first(length);
    const bool is_good = inside(*net::parse_frame(frame));
    ++(is_good ? good : bad);
    if (!by_law) {
      if (!raw.send(frame)) return fail_with("the raw socket refused a frame");
      continue;
    }
    const Refusal r = sender->send(std::move(*permit), frame, now);
    if (r == Refusal::none && !is_good) ++sent_bad;
    if (r != Refusal::none && to == target && to_port == port) ++refused_good;
  }
  if (by_law && !sender->flush()) return fail_with("the last frames were not sent");
  std::printf("{\"good\":%ld,\"bad\":%ld,\"sent\":%llu,\"refused\":%llu,\"refused_good\":%ld,\"sent_bad\":%ld}\n", good, bad,
              static_cast<unsigned long long>(by_law ? sender->sent() : static_cast<std::uint64_t>(good + bad)), static_cast<unsigned long long>(sender->refused()), refused_good, sent_bad);
  return 0;
}

volatile sig_atomic_t stop = 0;

int count(const char* iface, const fs::path& ready) {
  signal(SIGTERM, [](int) { stop = 1; });
  auto ring = net::PacketRing::open(iface, {.block_bytes = 1u << 20, .blocks = 32, .retire_ms = 5});
  if (!ring) return fail_with(ring.error().text());
  if (!replace_file(ready, "ready\n")) return 1;
  std::uint64_t in = 0, out = 0;
  int quiet = 0;
  while (quiet < 3) {
    const auto n = ring->read(Span::ms(50), [&](ByteView frame, Instant) {
      const auto p = net::parse_frame(frame);
      if (!p || !p->is_ip || !p->has_ports || p->source_port != 40000) return;
      ++(inside(*p) ? in : out);
    });
    if (!n) return fail_with(n.error().text());
    quiet = stop && *n == 0 ? quiet + 1 : 0;
  }
  std::printf("{\"inside\":%llu,\"outside\":%llu,\"drops\":%llu}\n", static_cast<unsigned long long>(in), static_cast<unsigned long long>(out),
              static_cast<unsigned long long>(ring->counters().drops));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "make" && argc == 3) return make(argv[2]);
  if ((mode == "law" || mode == "raw") && argc == 6) return send(mode == "law", argv[2], argv[3], argv[4], std::atoi(argv[5]));
  if (mode == "count" && argc == 4) return count(argv[2], argv[3]);
  return fail_with("see the first lines of its source");
}
