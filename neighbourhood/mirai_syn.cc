// What an infected recorder does, bounded: TCP SYNs with the Mirai mark (sequence number = destination address, one source port per
// process, no options), to distinct addresses of a range, ports 23 and now and then 2323. Refuses any range but documentation ones.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/ip.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr int max_packets = 1000;
constexpr std::uint16_t source_port = 41532;

std::uint16_t checksum(const std::uint8_t* data, std::size_t size, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < size; i += 2) sum += static_cast<std::uint32_t>(data[i] << 8 | data[i + 1]);
  if (size % 2) sum += static_cast<std::uint32_t>(data[size - 1] << 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> syn(std::uint32_t source, std::uint32_t target, std::uint16_t port, std::uint16_t id) {
  std::vector<std::uint8_t> p(40, 0);
  auto put16 = [&](std::size_t at, std::uint16_t v) { p[at] = v >> 8; p[at + 1] = v & 0xff; };
  auto put32 = [&](std::size_t at, std::uint32_t v) { put16(at, v >> 16); put16(at + 2, v & 0xffff); };
  p[0] = 0x45;
  put16(2, 40);
  put16(4, id);
  p[8] = 64;
  p[9] = IPPROTO_TCP;
  put32(12, source);
  put32(16, target);
  put16(10, checksum(p.data(), 20));
  put16(20, source_port);
  put16(22, port);
  put32(24, target);  // the mark
  p[32] = 5 << 4;
  p[33] = TH_SYN;
  put16(34, static_cast<std::uint16_t>(id * 31u + 1024u));
  std::uint32_t pseudo = (source >> 16) + (source & 0xffff) + (target >> 16) + (target & 0xffff) + IPPROTO_TCP + 20;
  put16(36, checksum(p.data() + 20, 20, pseudo));
  return p;
}

}  // namespace

int mirai_syn(const std::vector<std::string>& args) {
  if (args.size() != 3) return 2;
  auto source = Ip::parse(args[0]);
  auto range = Prefix::parse(args[1]);
  int packets = 0;
  std::from_chars(args[2].data(), args[2].data() + args[2].size(), packets);
  if (!source || !range || !range->is_v4() || packets < 1 || packets > max_packets || static_cast<std::uint64_t>(packets) > range->size()) return 2;
  bool allowed = false;
  for (auto net : {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}) allowed = allowed || Prefix::parse(net)->contains(*range);
  if (!allowed) {
    fmt::print(stderr, "mirai-syn: {} is not a documentation range\n", args[1]);
    return 2;
  }
  Fd fd(::socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  if (!fd) return 6;
  std::uint32_t first = range->base().v4_value();
  for (int i = 0; i < packets; ++i) {
    // A walk over the range that visits each address once (37 is odd, the size a power of two).
    auto target = first + static_cast<std::uint32_t>((static_cast<std::uint64_t>(i) * 37u) % range->size());
    auto frame = syn(source->v4_value(), target, i % 10 == 9 ? 2323 : 23, static_cast<std::uint16_t>(0x1200 + i));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(target);
    if (::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      fmt::print(stderr, "mirai-syn: {}\n", errno_text(errno));
      return 1;
    }
    timespec pause{0, 6'250'000};  // 160 packets a second, as the original
    ::nanosleep(&pause, nullptr);
  }
  return 0;
}

}  // namespace nora::neighbourhood
