#include "survey/wire_audit.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/json.h"

namespace nora::survey {
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

Ip ip_of(Span ip) {
  if (ip.size() == 4) return Ip::v4(static_cast<std::uint32_t>(ip[0]) << 24 | static_cast<std::uint32_t>(ip[1]) << 16 | static_cast<std::uint32_t>(ip[2]) << 8 | ip[3]);
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(ip, bytes.begin());
  return Ip::v6(bytes);
}

const Request* request_of(const Catalogue& catalogue, int port, Span payload, Span target, Span own) {
  for (const auto& r : catalogue.all())
    if (r.raw && std::ranges::find(r.ports, port) != r.ports.end() && r.matches(payload, ip_of(target), ip_of(own))) return &r;
  return nullptr;
}

void outside(WireCounts& c, std::string target) {
  ++c.outside;
  if (c.outside_targets.size() < max_listed || c.outside_targets.contains(target)) ++c.outside_targets[std::move(target)];
}

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

void judge(const MandateReading& m, Span f, WireCounts& c, const Catalogue* catalogue) {
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
  if (proto == 17 && catalogue != nullptr) {
    ++c.datagrams;
    Span payload = body.subspan(8, std::min<std::size_t>(body.size(), static_cast<std::size_t>(std::max(u16(body, 4), 8))) - 8);
    const auto* request = request_of(*catalogue, port, payload, target, source);
    if (request == nullptr) {
      ++c.datagrams_outside_catalogue;
      c.bytes_outside_catalogue += payload.size();
    } else if (request->social && !within(m.social, target)) {
      return outside(c, fmt::format("{} udp {} control probe {}", text_of(target), port, request->id));
    }
  }
  ++c.inside;
}

std::string to_json(const WireCounts& c) {
  json::Object o{{"frames", c.frames}, {"inside", c.inside}, {"outside", c.outside}, {"arp", c.arp}, {"nd", c.nd}, {"icmp", c.icmp}, {"reset", c.reset},
                 {"listener", c.listener}, {"other", c.other}, {"credential_bytes", c.credential_bytes}, {"datagrams", c.datagrams},
                 {"datagrams_outside_catalogue", c.datagrams_outside_catalogue}, {"bytes_outside_catalogue", c.bytes_outside_catalogue}};
  json::Object targets;
  for (const auto& [target, n] : c.outside_targets) targets[target] = n;
  o["outside_targets"] = targets;
  return json::text(o);
}

}  // namespace nora::survey
