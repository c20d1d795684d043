// The sender's reader and the wall's reader of the mandate, held against each other on mutated texts (NORA_MUTANTS of them, a million unless told).
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <random>
#include <set>

#include "law/test_mandate.h"
#include "law/wall_mandate.h"

namespace nora::law {
namespace {

const std::vector<std::string>& dictionary() {
  static const std::vector<std::string> words = {
      "0.0.0.0/0", "128.0.0.0/1", "203.0.113.0/25", "203.0.113.0/025", "203.0.113.255/32", "203.0.113.254/31", "1.2.3", "256.0.0.0/8", "01.2.3.4/32",
      "::/0", "::1/128", "::ffff:1.2.3.4/128", "::1.2.3.4/128", "::/96", "2001:db8::/32", "2001:DB8::/32", "2001:db8:0:0:0:0:0:0/32", "2001:db8:0:0:1::/80",
      "2001:db8::1:0:0:1/128", "2001:db8:0:1::/64", "1:2:3:4:5:6:7::/112", "1:2:3:4:5:6:7:8/128", "fe80::/10", ":::/0", "1::2::3/128", "ffff:ffff::/33",
      "198.51.100.0/26", "198.51.100.128/28", "192.0.2.10", "2001:db8:0:10::10", "::", "::2", "0:0:1::", "2026-11-25T00:00:00Z", "2026-02-29T00:00:00Z", "2028-02-29T23:59:59Z",
      "2026-11-25T24:00:00Z", "2026-11-25T23:59:60Z", "2026-11-25T00:00:00.5Z", "2026-11-25t00:00:00z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
      "00:00-24:00", "24:00-00:00", "22:00-06:00", "06:00-06:00", "00:00-00:00", "23:59-24:01", "P0", "P0 P1 P2", "P1 P0", "P0  P1", "P3", "P0 P0", "P0 ",
      "tcp 80", "udp 80", "tcp 0", "tcp 65535", "tcp 65536", "tcp  80", "sctp 80", "TCP 80", "none", "1", "0", "1000000000", "1000000001", "00", "-1", "é", "\xc2\x85", "\xed\xa0\x80",
      "\xf4\x90\x80\x80", "日本", "\xff", " ", "", std::string("\0", 1), "\t", "\r", std::string(64, 'a'), std::string(64, 'A'), std::string(501, 'x'), std::string(500, 'x')};
  return words;
}

std::string mutated(std::string t, std::mt19937& random) {
  const auto pick = [&](std::size_t n) { return n ? random() % n : 0; };
  const int times = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < times && !t.empty(); ++i) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < t.size();) {
      const auto end = std::min(t.find('\n', at), t.size());
      lines.push_back(t.substr(at, end - at));
      at = end + 1;
    }
    const std::size_t a = pick(lines.size()), b = pick(lines.size());
    bool join = true;
    switch (random() % 9) {
      case 0: t[pick(t.size())] = static_cast<char>(random()); join = false; break;
      case 1: t.insert(pick(t.size()), 1, static_cast<char>(random() % 128)); join = false; break;
      case 2: t.erase(pick(t.size()), 1 + random() % 3); join = false; break;
      case 3: std::swap(lines[a], lines[b]); break;
      case 4: lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(a), lines[b]); break;
      case 5: lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(a)); break;
      default: {  // another value for a key: the likeliest way to a text that is still a mandate
        const auto colon = lines[a].find(": ");
        if (colon != std::string::npos) lines[a] = lines[a].substr(0, colon + 2) + dictionary()[pick(dictionary().size())];
      }
    }
    if (join) {
      t.clear();
      for (const auto& l : lines) t += l + "\n";
    }
  }
  return t;
}

std::string texts(const std::vector<wall::Net>& nets) {
  std::string out;
  for (const auto& n : nets) out += n.text + " ";
  return out;
}
std::string texts(const std::vector<Prefix>& nets) {
  std::string out;
  for (const auto& n : nets) out += n.text() + " ";
  return out;
}

long mutants() {
  const char* n = std::getenv("NORA_MUTANTS");
  return n ? static_cast<long>(std::atof(n)) : 1'000'000;
}

TEST(WallDifferential, BothReadersAgreeOnAMillionMutants) {
  std::mt19937 random(20261125);
  MandateText plain = test_text();
  plain.listeners.clear();
  plain.classes = {ProbeClass::p0};
  plain.social_impact.clear();
  const std::string seeds[] = {*write_mandate(test_text()), *write_mandate(plain)};
  int accepted = 0, differences = 0;
  for (long i = 0, n = mutants(); i < n && differences < 5; ++i) {
    const std::string text = i < 2 ? seeds[i] : mutated(seeds[random() % 2], random);
    const auto a = parse_mandate(text);
    const auto b = wall::read_text(text);
    if (a.has_value() != b.has_value()) {
      ++differences;
      ADD_FAILURE() << (a ? "only the sender accepts: " + b.error().what : "only the wall accepts: " + a.error().what) << "\n" << text;
      continue;
    }
    if (!a) continue;
    ++accepted;
    std::string sources, listeners, tcp, udp;
    for (const auto& s : a->sources) sources += Prefix::of(s, s.is_v4() ? 32 : 128).text() + " ";
    for (const auto& l : a->listeners) listeners += fmt::format("{}:{} ", Prefix::of(l.ip, l.ip.is_v4() ? 32 : 128).text(), l.port.value);
    for (const auto& p : a->ports) (p.proto == Proto::tcp ? tcp : udp) += std::to_string(p.port.value) + " ";
    std::string wall_listeners, wall_tcp, wall_udp;
    for (const auto& l : b->listeners) wall_listeners += fmt::format("{}:{} ", l.host.text, l.port);
    for (const auto p : b->tcp_ports) wall_tcp += std::to_string(p) + " ";
    for (const auto p : b->udp_ports) wall_udp += std::to_string(p) + " ";
    const bool same = a->id == b->id && a->not_before.us == b->not_before_s * 1'000'000 && a->not_after.us == b->not_after_s * 1'000'000 &&
                      a->window_from_min == b->from_min && a->window_to_min == b->to_min && sources == texts(b->sources) && listeners == wall_listeners &&
                      texts(a->ranges) == texts(b->ranges) && texts(a->excludes) == texts(b->excludes) && texts(a->social_impact) == texts(b->social) &&
                      tcp == wall_tcp && udp == wall_udp && a->rate_total_pps == b->rate_total && (a->opt_out ? to_hex(*a->opt_out) : "none") == b->opt_out_hex;
    if (!same) {
      ++differences;
      ADD_FAILURE() << "read differently:\n" << text;
    }
  }
  EXPECT_GT(accepted, mutants() / 50) << "too few mutants are mandates: the test would say little";
}

TEST(WallDifferential, OptOutListsAreReadAlike) {
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string list = "203.0.113.9\n# by mail\n2001:db8:1000::/48 # phone\n198.51.100.8/30\n";
    for (int k = 0; k < 3; ++k) {
      if (random() % 2) list[random() % list.size()] = static_cast<char>(random() % 128);
      else list.insert(random() % list.size(), dictionary()[random() % dictionary().size()]);
    }
    const auto a = parse_opt_out(list);
    const auto b = wall::read_opt_out(list);
    ASSERT_EQ(a.has_value(), b.has_value()) << list << (a ? b.error().what : a.error().what);
    if (!a) continue;
    std::set<std::string> x, y;
    for (const auto& p : *a) x.insert(p.text());
    for (const auto& p : *b) y.insert(p.text);
    ASSERT_EQ(x, y) << list;
  }
}

}  // namespace
}  // namespace nora::law
