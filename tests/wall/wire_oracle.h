// The independent judge of the wire tests: what a mandate lets out, read from a plain list and looked up one prefix after the other, and frames taken apart
// by hand. Shares no code with src/: a mistake of the product is not repeated here. Used by wire_probe.cc only.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace wire {

inline constexpr int our_port = 40000;  // source port of every frame that the tests send

struct Block {
  bool v4 = false;
  std::array<std::uint8_t, 16> first{};
  int length = 0;
  bool has(bool is_v4, const std::uint8_t* address) const {
    if (v4 != is_v4) return false;
    const int whole = length / 8, rest = length % 8;
    if (std::memcmp(first.data(), address, static_cast<std::size_t>(whole)) != 0) return false;
    return rest == 0 || ((first[static_cast<std::size_t>(whole)] ^ address[whole]) & (0xff00 >> rest & 0xff)) == 0;
  }
};

enum class Verdict { not_ours, inside, outside };

class Oracle {
 public:
  // "range P", "exclude P", "opt-out P", "source A", "tcp N", "udp N", one a line.
  bool load(const std::string& file) {
    std::ifstream in(file);
    std::string what, value;
    while (in >> what >> value) {
      if (what == "tcp") tcp_.insert(std::atoi(value.c_str()));
      else if (what == "udp") udp_.insert(std::atoi(value.c_str()));
      else if (!add(what == "range" ? ranges_ : what == "source" ? sources_ : closed_, value)) return false;
    }
    return !ranges_.empty() && !sources_.empty();
  }

  bool place(bool v4, const std::uint8_t* address) const { return any(ranges_, v4, address) && !any(closed_, v4, address); }
  bool source(bool v4, const std::uint8_t* address) const { return any(sources_, v4, address); }
  bool port(bool udp, int n) const { return (udp ? udp_ : tcp_).contains(n); }

  // `routed`: the wall's kernel takes it further (it does not route multicast, loopback and the like).
  Verdict judge(const std::uint8_t* f, std::size_t n, bool* routed = nullptr) const {
    if (n < 34) return Verdict::not_ours;
    const int type = f[12] << 8 | f[13];
    const bool v4 = type == 0x0800;
    if (!v4 && type != 0x86dd) return Verdict::not_ours;
    const std::size_t header = v4 ? static_cast<std::size_t>(f[14] & 15) * 4 : 40;
    if (n < 14 + header + 8) return Verdict::not_ours;
    const int protocol = v4 ? f[23] : f[20];
    const std::uint8_t *from = f + (v4 ? 26 : 22), *to = f + (v4 ? 30 : 38), *ports = f + 14 + header;
    if ((protocol != 6 && protocol != 17) || (ports[0] << 8 | ports[1]) != our_port) return Verdict::not_ours;
    if (routed)
      *routed = v4 ? to[0] != 0 && to[0] != 127 && to[0] < 224 && !(to[0] == 192 && to[1] == 0 && to[2] == 2)
                   : (to[0] & 0xe0) == 0x20 && std::memcmp(to, "\x20\x01\x0d\xb8\x00\x00", 6) != 0;
    const bool good = place(v4, to) && source(v4, from) && port(protocol == 17, ports[2] << 8 | ports[3]);
    return good ? Verdict::inside : Verdict::outside;
  }

 private:
  static bool any(const std::vector<Block>& list, bool v4, const std::uint8_t* address) {
    for (const auto& b : list) if (b.has(v4, address)) return true;
    return false;
  }
  static bool add(std::vector<Block>& list, const std::string& text) {
    Block b;
    const auto slash = text.find('/');
    const std::string address = text.substr(0, slash);
    b.v4 = address.find(':') == std::string::npos;
    if (::inet_pton(b.v4 ? AF_INET : AF_INET6, address.c_str(), b.first.data()) != 1) return false;
    b.length = slash == std::string::npos ? (b.v4 ? 32 : 128) : std::atoi(text.c_str() + slash + 1);
    list.push_back(b);
    return true;
  }
  std::vector<Block> ranges_, closed_, sources_;
  std::set<int> tcp_, udp_;
};

}  // namespace wire
