// Random mandates and a planner with planted bugs, for the wire tests. Used by wire_probe.cc only.
#pragma once

#include <algorithm>

#include "law/test_mandate.h"

namespace wire {

using namespace nora;
using namespace nora::law;

struct World {
  MandateText text;
  std::vector<Prefix> opt_outs;  // the first half stands in the list that the mandate names, the rest in a live one
};

inline Ip stepped(Ip ip, int by) {
  if (ip.is_v4()) return Ip::v4(ip.v4_value() + static_cast<std::uint32_t>(by));  // wraps inside the family
  auto b = ip.bytes();
  for (int i = 15; i >= 0; --i) {
    const int v = b[static_cast<std::size_t>(i)] + by;
    b[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(v);
    if (v >= 0 && v < 256) break;
  }
  return Ip::v6(b);
}

// An address of the block, each one as likely as the other.
inline Ip any_of(const Prefix& p, Random& random) {
  if (p.is_v4()) return Ip::v4(p.base().v4_value() + static_cast<std::uint32_t>(random.below(p.size())));
  auto b = p.base().bytes();
  std::array<std::uint8_t, 16> noise{};
  random.fill(noise);
  for (int bit = p.length(); bit < 128; ++bit) b[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(noise[static_cast<std::size_t>(bit / 8)] & 0x80 >> bit % 8);
  return Ip::v6(b);
}

template <class T>
void tidy(std::vector<T>& v) {
  std::sort(v.begin(), v.end());
  v.erase(std::unique(v.begin(), v.end()), v.end());
}

inline World random_world(std::uint64_t seed) {
  SeededRandom random(seed);
  World w{test_text(), {}};
  MandateText& m = w.text;
  m.listeners.clear();
  m.classes = {ProbeClass::p0, ProbeClass::p1};
  m.social_impact.clear();
  m.ranges.clear();
  m.excludes.clear();
  m.ports.clear();
  m.rate_total_pps = m.rate_per_24_pps = m.rate_per_target_pps = 1'000'000'000;
  constexpr int lengths4[] = {32, 32, 32, 31, 31, 30, 29, 28, 26, 25, 24, 23, 22, 20, 17, 16, 15, 12, 8};
  constexpr int lengths6[] = {128, 128, 127, 127, 126, 125, 120, 112, 96, 65, 64, 63, 56, 48, 36, 33, 32, 20};
  const bool has6 = random.below(4) != 0, has4 = !has6 || random.below(6) != 0;
  // Blocks lie close to a few anchors, so that they touch, hold and follow each other.
  std::vector<Ip> anchors;
  for (std::uint64_t i = 1 + random.below(4); i > 0; --i) {
    if (has4) anchors.push_back(Ip::v4(0x01000000u + static_cast<std::uint32_t>(random.below(0xdf000000u))));
    if (has6) {
      std::array<std::uint8_t, 16> b{};
      random.fill(b);
      b[0] = static_cast<std::uint8_t>(0x20 | (b[0] & 0x1f));
      anchors.push_back(Ip::v6(b));
    }
  }
  const auto near = [&](Ip a) { return random.below(3) ? stepped(a, static_cast<int>(random.below(9)) - 4) : a; };
  const auto block = [&] {
    const Ip a = near(anchors[random.below(anchors.size())]);
    return Prefix::of(a, a.is_v4() ? lengths4[random.below(std::size(lengths4))] : lengths6[random.below(std::size(lengths6))]);
  };
  for (std::uint64_t i = 1 + random.below(64); i > 0; --i) m.ranges.push_back(block());
  if (has4 && random.below(3) == 0)
    for (const char* edge : {"0.0.0.0/32", "0.0.0.0/31", "255.255.255.254/31", "255.255.255.255/32", "127.255.255.255/32", "128.0.0.0/32"})
      if (random.below(2)) m.ranges.push_back(*Prefix::parse(edge));
  if (has6 && random.below(3) == 0)
    for (const char* edge : {"::/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "2000::/128"})
      if (random.below(2)) m.ranges.push_back(*Prefix::parse(edge));
  if (m.ranges.size() > 64) m.ranges.resize(64);
  const auto part = [&] {  // of a range, at times a little more than it
    const Prefix r = m.ranges[random.below(m.ranges.size())];
    const int bits = r.is_v4() ? 32 : 128, length = r.length() - 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(bits - r.length() + 2)));
    return Prefix::of(any_of(r, random), std::clamp(length, 1, bits));
  };
  for (std::uint64_t i = random.below(17); i > 0; --i) m.excludes.push_back(part());
  for (std::uint64_t i = random.below(17); i > 0; --i) w.opt_outs.push_back(part());
  constexpr std::uint16_t ports[] = {1, 2, 22, 23, 80, 255, 256, 443, 8080, 0x5000, 32768, 65534, 65535};
  const auto port = [&] { return Port{random.below(3) ? ports[random.below(std::size(ports))] : static_cast<std::uint16_t>(1 + random.below(65535))}; };
  for (std::uint64_t i = 1 + random.below(6); i > 0; --i) m.ports.push_back({Proto::tcp, port()});
  for (std::uint64_t i = random.below(4); i > 0; --i) m.ports.push_back({Proto::udp, port()});
  m.sources.clear();
  if (has4) for (std::uint64_t i = 1 + random.below(3); i > 0; --i) m.sources.push_back(Ip::v4(0xc000020au + static_cast<std::uint32_t>(random.below(100))));
  if (has6) for (std::uint64_t i = 1 + random.below(3); i > 0; --i) m.sources.push_back(Ip::parse("2001:db8:0:10::10")->plus(random.below(100)));
  tidy(m.ranges);
  tidy(m.excludes);
  tidy(m.ports);
  tidy(m.sources);
  return w;
}

// What the planner wants to send, right or wrong.
struct Wish {
  Ip source, dest;
  std::uint16_t port = 0;
  bool udp = false;
  bool operator==(const Wish&) const = default;
};

inline Wish right_wish(const World& w, Random& random) {
  const auto& m = w.text;
  Wish out;
  // A range of a family that has a source; there is one, for both come from the same anchors.
  do out.dest = any_of(m.ranges[random.below(m.ranges.size())], random);
  while (std::none_of(m.sources.begin(), m.sources.end(), [&](Ip s) { return s.is_v4() == out.dest.is_v4(); }));
  out.source = *std::find_if(m.sources.begin(), m.sources.end(), [&](Ip s) { return s.is_v4() == out.dest.is_v4(); });
  const auto& p = m.ports[random.below(m.ports.size())];
  out.port = p.port.value;
  out.udp = p.proto == Proto::udp;
  return out;
}

inline constexpr int bugs = 13;
inline Wish wrong_wish(const World& w, Wish x, int bug, Random& random) {
  const auto& m = w.text;
  const auto family = [&](const std::vector<Prefix>& list) -> const Prefix* {
    if (list.empty()) return nullptr;
    const Prefix& p = list[random.below(list.size())];
    return p.is_v4() == x.dest.is_v4() ? &p : nullptr;
  };
  const Prefix* range = family(m.ranges);
  switch (bug) {
    case 0: if (range) x.dest = stepped(range->last(), 1); break;                  // off by one at the end
    case 1: if (range) x.dest = stepped(range->base(), -1); break;                 // and at the start
    case 2: {                                                                      // byte order of the address
      auto b = x.dest.bytes();
      std::reverse(b.begin() + (x.dest.is_v4() ? 12 : 0), b.end());
      if (const Ip turned = Ip::v6(b); turned.is_v4() == x.dest.is_v4()) x.dest = turned;
      break;
    }
    case 3: x.port = __builtin_bswap16(x.port); break;                             // byte order of the port
    case 4: ++x.port; break;
    case 5: --x.port; break;
    case 6: if (const Prefix* p = family(m.excludes)) x.dest = any_of(*p, random); break;    // an excluded address
    case 7: if (const Prefix* p = family(w.opt_outs)) x.dest = any_of(*p, random); break;    // a stale opt-out list
    case 8: if (range) {                                                           // an index beyond the range: wraps round the space
      if (x.dest.is_v4()) x.dest = Ip::v4(range->base().v4_value() + static_cast<std::uint32_t>(random.u64()));
      else x.dest = range->base().plus(random.u64());
      break;
    } break;
    case 9: x.udp = !x.udp; break;                                                 // the protocol of another probe
    case 10: x.source = stepped(x.source, random.below(2) ? 1 : -1); break;        // another host's address
    case 11: {                                                                     // one bit
      auto b = x.dest.bytes();
      const std::size_t bit = (x.dest.is_v4() ? 96 : 0) + random.below(x.dest.is_v4() ? 32 : 128);
      b[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
      if (const Ip turned = Ip::v6(b); turned.is_v4() == x.dest.is_v4()) x.dest = turned;
      break;
    }
    default: std::swap(x.source, x.dest); break;                                   // the answer's direction
  }
  return x;
}

}  // namespace wire
