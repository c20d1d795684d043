#include "neighbourhood/wire_count.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/files.h"
#include "base/json.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

using Address = std::vector<std::uint8_t>;
using Span = std::span<const std::uint8_t>;

Result<Address> address(std::string_view text) {
  Address out(text.find(':') == text.npos ? 4 : 16);
  if (::inet_pton(out.size() == 4 ? AF_INET : AF_INET6, std::string(text).c_str(), out.data()) != 1)
    return fail(Code::bad_input, fmt::format("{} is no address", text));
  return out;
}

Result<MandateReading::Block> block(std::string_view text) {
  auto slash = text.find('/');
  NORA_TRY(auto base, address(text.substr(0, slash)));
  int length = slash == text.npos ? static_cast<int>(base.size() * 8) : std::stoi(std::string(text.substr(slash + 1)));
  return MandateReading::Block{base, length};
}

bool within(const std::vector<MandateReading::Block>& blocks, Span ip) {
  return std::ranges::any_of(blocks, [&](const auto& b) {
    if (b.base.size() != ip.size()) return false;
    for (int bit = 0; bit < b.length; ++bit) {
      auto mask = static_cast<std::uint8_t>(0x80 >> (bit % 8));
      if ((b.base[static_cast<std::size_t>(bit / 8)] & mask) != (ip[static_cast<std::size_t>(bit / 8)] & mask)) return false;
    }
    return true;
  });
}

std::string text_of(Span ip) {
  char buffer[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(ip.size() == 4 ? AF_INET : AF_INET6, ip.data(), buffer, sizeof buffer);
  return buffer;
}

int u16(Span p, std::size_t at) { return p[at] << 8 | p[at + 1]; }

constexpr int control_port = 502;  // Modbus: only into a range that the mandate names for control systems

bool permitted(const MandateReading& m, Span ip, int proto, int port) {
  if (!within(m.ranges, ip) || within(m.excludes, ip) || !m.ports.contains({proto, port})) return false;
  return !(proto == 6 && port == control_port) || within(m.social, ip);
}

// Bytes after `word` up to the end of the line, wherever the word begins a line.
std::uint64_t after_word(std::string_view payload, std::string_view word) {
  auto lower = [](std::string_view s) {
    std::string out(s);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    return out;
  };
  auto haystack = lower(payload), needle = lower(word);
  std::uint64_t bytes = 0;
  for (auto at = haystack.find(needle); at != std::string::npos; at = haystack.find(needle, at + 1)) {
    if (at != 0 && haystack[at - 1] != '\n') continue;
    bytes += haystack.substr(at + needle.size()).find_first_of("\r\n") == std::string::npos ? haystack.size() - at - needle.size()
                                                                                            : haystack.substr(at + needle.size()).find_first_of("\r\n");
  }
  return bytes;
}

// Telnet: everything that is not an option negotiation (RFC 854) is something typed.
std::uint64_t typed_bytes(Span p) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < p.size();) {
    if (p[i] != 0xff) { ++bytes; ++i; continue; }
    if (i + 1 < p.size() && p[i + 1] == 0xfa) {  // SB … SE
      while (i + 1 < p.size() && !(p[i] == 0xff && p[i + 1] == 0xf0)) ++i;
      i += 2;
    } else {
      i += i + 1 < p.size() && p[i + 1] >= 0xfb ? 3 : 2;
    }
  }
  return bytes;
}

// SNMP v1 and v2c carry the community as the second element; v3 with a user name is a login.
std::uint64_t snmp_name_bytes(Span p) {
  if (p.size() < 7 || p[0] != 0x30) return 0;
  std::size_t at = p[1] & 0x80 ? 2 + (p[1] & 0x7f) : 2;
  if (at + 4 >= p.size() || p[at] != 0x02 || p[at + 1] != 1) return 0;
  int version = p[at + 2];
  at += 3;
  if (version <= 1) return at + 1 < p.size() && p[at] == 0x04 ? p[at + 1] : 0;
  // v3: skip msgGlobalData, then USM: SEQUENCE { engineID, boots, time, userName, … } inside an OCTET STRING.
  if (at + 1 >= p.size() || p[at] != 0x30) return 0;
  at += 2 + p[at + 1];
  if (at + 4 >= p.size() || p[at] != 0x04 || p[at + 2] != 0x30) return 0;
  at += 4;
  for (int skip = 0; skip < 3 && at + 1 < p.size(); ++skip) at += 2 + p[at + 1];
  return at + 1 < p.size() && p[at] == 0x04 ? p[at + 1] : 0;
}

// MQTT CONNECT with the user name or password flag (MQTT 3.1.1 section 3.1.2).
std::uint64_t mqtt_login_bytes(Span p) {
  if (p.size() < 12 || p[0] != 0x10 || u16(p, 2) != 4) return 0;
  return p[9] & 0xc0 ? p.size() - 12 : 0;
}

std::uint64_t credentials(int proto, int port, Span payload) {
  if (payload.empty()) return 0;
  std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (proto == 17) return port == 161 ? snmp_name_bytes(payload) : 0;
  std::uint64_t bytes = 0;
  for (auto word : {"USER ", "PASS ", "Authorization:", "Proxy-Authorization:", "AUTH "}) bytes += after_word(text, word);
  if (port == 23 || port == 2323) bytes += typed_bytes(payload);
  if (port == 1883) bytes += mqtt_login_bytes(payload);
  return bytes;
}

void outside(WireCounts& c, std::string target) {
  ++c.outside;
  if (c.outside_targets.size() < max_listed || c.outside_targets.contains(target)) ++c.outside_targets[std::move(target)];
}

volatile sig_atomic_t stop_now = 0;

}  // namespace

Result<MandateReading> MandateReading::read(std::string_view text) {
  MandateReading m;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) break;  // signatures follow
    auto colon = line.find(": ");
    if (colon == line.npos) return fail(Code::bad_input, fmt::format("no key in \"{}\"", line));
    auto key = line.substr(0, colon), value = line.substr(colon + 2);
    if (key == "range") { NORA_TRY(auto b, block(value)); m.ranges.push_back(b); }
    if (key == "exclude") { NORA_TRY(auto b, block(value)); m.excludes.push_back(b); }
    if (key == "social-impact") { NORA_TRY(auto b, block(value)); m.social.push_back(b); }
    if (key == "source") { NORA_TRY(auto a, address(value)); m.sources.push_back(a); }
    if (key == "port") m.ports.emplace(value.starts_with("tcp") ? 6 : 17, std::stoi(std::string(value.substr(4))));
    if (key == "listener") {
      auto end = value.find(' ');
      NORA_TRY(auto a, address(value.substr(0, end)));
      m.listeners.emplace_back(a, std::stoi(std::string(value.substr(value.rfind(' ') + 1))));
    }
  }
  if (m.ranges.empty() || m.ports.empty()) return fail(Code::bad_input, "the mandate names no range or no port");
  return m;
}

void judge(const MandateReading& m, Span f, WireCounts& c) {
  ++c.frames;
  if (f.size() < 14) { ++c.other; return outside(c, "short frame"); }
  int type = u16(f, 12);
  if (type == ETH_P_ARP) { ++c.arp; return; }
  Span ip = f.subspan(14), source, target, body;
  int proto = -1;
  if (type == ETH_P_IP && ip.size() >= 20) {
    std::size_t header = static_cast<std::size_t>(ip[0] & 0x0f) * 4, total = std::min<std::size_t>(static_cast<std::size_t>(u16(ip, 2)), ip.size());
    if (header < 20 || header > total) { ++c.other; return outside(c, "bad IPv4 header"); }
    proto = ip[9];
    source = ip.subspan(12, 4);
    target = ip.subspan(16, 4);
    body = ip.subspan(header, total - header);
    if (u16(ip, 6) & 0x1fff) { ++c.other; return outside(c, text_of(target) + " fragment"); }
  } else if (type == ETH_P_IPV6 && ip.size() >= 40) {
    proto = ip[6];  // Nora sends no extension header: any is outside
    source = ip.subspan(8, 16);
    target = ip.subspan(24, 16);
    body = ip.subspan(40, std::min<std::size_t>(static_cast<std::size_t>(u16(ip, 4)), ip.size() - 40));
  } else {
    ++c.other;
    return outside(c, fmt::format("ethertype {:04x}", type));
  }
  if (proto == 1 && type == ETH_P_IP) { ++c.icmp; return; }
  if (proto == 58) { body.size() >= 1 && body[0] >= 133 && body[0] <= 137 ? ++c.nd : ++c.icmp; return; }
  bool from_us = std::ranges::any_of(m.sources, [&](const auto& s) { return std::ranges::equal(s, source); });
  if ((proto != 6 && proto != 17) || body.size() < (proto == 6 ? 20u : 8u) || !from_us)
    return outside(c, fmt::format("{} from {} protocol {}", text_of(target), text_of(source), proto));
  int source_port = u16(body, 0), port = u16(body, 2);
  std::size_t data = proto == 6 ? static_cast<std::size_t>(body[12] >> 4) * 4 : 8;
  if (data <= body.size()) c.credential_bytes += credentials(proto, port, body.subspan(data));
  if (!permitted(m, target, proto, port)) {
    // The answer of our own listener to a proxy that reached it: established only, into the range.
    bool ours = proto == 6 && (body[13] & 0x10) && within(m.ranges, target) && !within(m.excludes, target) &&
                std::ranges::any_of(m.listeners, [&](const auto& l) { return std::ranges::equal(l.first, source) && l.second == source_port; });
    if (ours) { ++c.listener; return; }
    return outside(c, fmt::format("{} {} {}", text_of(target), proto == 6 ? "tcp" : "udp", port));
  }
  if (proto == 6 && (body[13] & 0x04)) { ++c.reset; return; }
  ++c.inside;
}

std::string to_json(const WireCounts& c) {
  json::Object o{{"frames", c.frames}, {"inside", c.inside}, {"outside", c.outside}, {"arp", c.arp}, {"nd", c.nd}, {"icmp", c.icmp}, {"reset", c.reset},
                 {"listener", c.listener}, {"other", c.other}, {"credential_bytes", c.credential_bytes}};
  json::Object targets;
  for (const auto& [target, n] : c.outside_targets) targets[target] = n;
  o["outside_targets"] = targets;
  return json::text(o);
}

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
