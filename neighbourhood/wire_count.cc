// The witness at the far end of the wire: counts what really left the wall (survey/wire_audit.h judges). On the core side of the wall's cable.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"
#include "neighbourhood/programs.h"
#include "survey/wire_audit.h"

namespace nora::neighbourhood {
namespace {

using survey::MandateReading;
using survey::WireCounts;

volatile sig_atomic_t stop_now = 0;

}  // namespace

int wire_count(const std::vector<std::string>& args) {
  if (args.size() != 3) return 2;
  auto text = read_file(args[1]);
  auto mandate = text ? MandateReading::read(*text) : pass(text.error());
  if (!mandate) {
    fmt::print(stderr, "wire-count: {}\n", mandate.error().text());
    return 1;
  }
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(args[0].c_str()));
  int buffer = 32 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (!fd || at.sll_ifindex == 0 || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) return 6;
  struct sigaction act{};
  act.sa_handler = [](int) { stop_now = 1; };
  ::sigaction(SIGTERM, &act, nullptr);
  ::sigaction(SIGINT, &act, nullptr);
  WireCounts counts;
  std::uint64_t written = ~0ull;
  auto write_out = [&] {
    if (counts.frames == written) return;
    // What the socket could not keep would be a hole in the proof: it is told.
    tpacket_stats lost{};
    socklen_t size = sizeof lost;
    ::getsockopt(fd.get(), SOL_PACKET, PACKET_STATISTICS, &lost, &size);
    static std::uint64_t dropped = 0;
    dropped += lost.tp_drops;
    auto line = to_json(counts);
    line.insert(line.size() - 1, fmt::format(",\"dropped\":{}", dropped));
    if (replace_file(args[2], line + "\n")) written = counts.frames;
  };
  write_out();
  std::vector<std::uint8_t> frame(65536);
  while (!stop_now) {
    pollfd p{fd.get(), POLLIN, 0};
    if (::poll(&p, 1, 200) <= 0) { write_out(); continue; }
    for (int i = 0; i < 4096; ++i) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      ssize_t n = ::recvfrom(fd.get(), frame.data(), frame.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
      if (n <= 0) break;
      if (from.sll_pkttype == PACKET_OUTGOING) continue;  // towards the wall
      judge(*mandate, {frame.data(), static_cast<std::size_t>(n)}, counts);
    }
  }
  write_out();
  return 0;
}

}  // namespace nora::neighbourhood
