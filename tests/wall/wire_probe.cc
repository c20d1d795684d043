// Test helper of tests/wall/*.test.sh: makes mandates, sends frames with planner bugs planted, and counts frames at the far end of the wire.
//   wire_probe make DIR                            the demo's mandate, roots, catalogue and law profile, in force for one day
//   wire_probe random DIR SEED                     the same with a random mandate of up to 64 prefixes and two opt-out lists
//   wire_probe law|raw DIR IFACE GATEWAY_MAC N [PATH]   N frames; "law": by permit and law::FrameSender (packet, xdp, live); "raw": unchecked
//   wire_probe path KIND IFACE GATEWAY_MAC DEST N  N UDP frames to DEST port 53 by ip, packet, bypass or xsk, unchecked
//   wire_probe trickle IFACE GATEWAY_MAC MS        a frame to 203.0.113.7 each 2 ms for so long, unchecked
//   wire_probe count DIR IFACE READY_FILE          until SIGTERM; then one JSON line
// Half of all frames do not go where they should (wire_random.h). The judge shares no code with src/ (wire_oracle.h).
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "base/files.h"
#include "law/send.h"
#include "net/packet_socket.h"
#include "wire_oracle.h"
#include "wire_paths.h"
#include "wire_random.h"

namespace {
using namespace wire;
namespace fs = std::filesystem;

int fail_with(std::string_view what) {
  std::fprintf(stderr, "wire_probe: %.*s\n", static_cast<int>(what.size()), what.data());
  return 1;
}

int write_world(const fs::path& dir, World w, const std::string& seed) {
  SystemEnv system("wire_probe");
  const std::int64_t now = system.env().clock.now().us / 1'000'000;
  w.text.not_before = Instant::seconds(now - 60);
  w.text.not_after = Instant::seconds(now + 86400);
  std::string lists[2] = {"# signed\n", "# live\n"}, oracle;
  for (std::size_t i = 0; i < w.opt_outs.size(); ++i) lists[i >= w.opt_outs.size() / 2] += w.opt_outs[i].text() + "\n";
  w.text.opt_out = sha256(as_bytes(lists[0]));
  for (const auto& p : w.text.ranges) oracle += fmt::format("range {}\n", p.text());
  for (const auto& p : w.text.excludes) oracle += fmt::format("exclude {}\n", p.text());
  for (const auto& p : w.opt_outs) oracle += fmt::format("opt-out {}\n", p.text());
  for (const auto& s : w.text.sources) oracle += fmt::format("source {}\n", s.text());
  for (const auto& p : w.text.ports) oracle += fmt::format("{} {}\n", name(p.proto), p.port.value);
  const TestSigners signers;
  const auto text = write_mandate(w.text);
  if (!text) return fail_with(text.error().text());
  fs::create_directories(dir / "law");
  for (const auto& [name, content] : {std::pair{"mandate", signers.sign(*text)}, {"roots", write_roots(signers.roots())}, {"catalogue", std::string(test_catalogue)},
                                      {"law/jp.toml", std::string(test_profile)}, {"law/jp-facilities.txt", ""}, {"opt-out-signed", lists[0]}, {"opt-out", lists[1]}, {"oracle", oracle}, {"seed", seed}})
    if (const auto s = replace_file(dir / name, content); !s) return fail_with(s.error().text());
  return 0;
}

int make(const fs::path& dir) {
  World w{test_text(), {}};
  w.text.rate_total_pps = w.text.rate_per_24_pps = w.text.rate_per_target_pps = 1'000'000'000;
  return write_world(dir, std::move(w), "0");
}

std::size_t build(std::span<std::uint8_t> out, const net::Link& link, const Wish& w, std::uint32_t seq) {
  if (w.udp) return net::build_udp(out, link, {.source = w.source, .dest = w.dest, .source_port = our_port, .dest_port = w.port}, as_bytes("?"));
  return net::build_tcp(out, link, {.source = w.source, .dest = w.dest, .source_port = our_port, .dest_port = w.port, .seq = seq});
}

int send(bool by_law, const fs::path& dir, const char* iface, const char* gateway, long n, std::string_view path) {
  auto mandate = Mandate::load({dir / "mandate", dir / "roots", dir / "law", dir / "catalogue", {dir / "opt-out-signed", dir / "opt-out"}});
  if (!mandate) return fail_with(mandate.error().text());
  const std::uint64_t seed = std::stoull(*read_file(dir / "seed"));
  World world = seed ? random_world(seed) : World{test_text(), {}};
  world.text = mandate->text();
  Oracle oracle;
  const auto mac = net::parse_mac(gateway);
  const auto send_path = parse_send_path(path);
  if (!send_path) return fail_with(send_path.error().text());
  auto sender = FrameSender::open(iface, *send_path, &*mandate);
  if (sender && !sender->fell_back().empty()) return fail_with(sender->fell_back());
  if (!mac || !sender || !oracle.load(dir / "oracle")) return fail_with("no interface, no MAC or no oracle");
  PacketPath raw(iface, true);
  SystemEnv system("wire_probe");
  SeededRandom random(seed ^ 42);
  const net::Link link{sender->mac(), *mac};
  const ProbeInfo *syn = mandate->probes().find("tcp-syn"), *dns = mandate->probes().find("dns");
  long sent[2] = {}, routed[2] = {};  // [outside, inside]
  long no_permit = 0, refused = 0, refused_good = 0, disagree = 0;
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  Instant now = system.env().clock.now();
  for (long i = 0; i < n; ++i) {
    if (i % 65536 == 0) {  // a permit lives for a minute
      now = system.env().clock.now();
      if (by_law && !sender->renew(*mandate, false)) return fail_with("the live path cannot be renewed");
    }
    const Wish right = right_wish(world, random);
    Wish asked = right, sends = right;
    if (random.below(2)) {
      sends = wrong_wish(world, right, static_cast<int>(random.below(bugs)), random);
      if (random.below(2)) {  // the mistake is made before the permit is asked for
        asked = sends;
        asked.source = right.source;
      }
    }
    const std::size_t length = build(buffer, link, sends, static_cast<std::uint32_t>(i));
    if (length == 0) continue;  // two families: no frame
    const ByteView frame = ByteView(buffer).first(length);
    bool is_routed = false;
    const bool good = oracle.judge(frame.data(), frame.size(), &is_routed) == Verdict::inside;
    if (by_law) {
      auto permit = mandate->permit({asked.dest, asked.port}, asked.udp ? *dns : *syn, now);
      // Permit and judge say the same of the target.
      std::array<std::uint8_t, net::max_frame_bytes> other{};
      const Wish target{permit ? permit->source() : right.source, asked.dest, asked.port, asked.udp};
      const std::size_t other_length = build(other, link, target, 0);
      if (other_length > 0 && permit.has_value() != (oracle.judge(other.data(), other_length) == Verdict::inside)) ++disagree;
      if (!permit) {
        ++no_permit;
        continue;
      }
      const bool same = target == sends;
      if (sender->send(std::move(*permit), frame, now) != Refusal::none) {
        ++refused;
        if (same) ++refused_good;
        continue;
      }
    } else if (!raw.send(frame)) {
      return fail_with("the raw socket refused a frame");
    }
    ++sent[good];
    if (is_routed) ++routed[good];
  }
  if (by_law && !sender->flush()) return fail_with("the last frames were not sent");
  std::printf("{\"attempts\":%ld,\"good\":%ld,\"bad\":%ld,\"good_routed\":%ld,\"bad_routed\":%ld,\"no_permit\":%ld,\"refused\":%ld,\"refused_good\":%ld,\"disagree\":%ld}\n", n,
              sent[1], sent[0], routed[1], routed[0], no_permit, refused, refused_good, disagree);
  return 0;
}

int path(std::string_view kind, const char* iface, const char* gateway, const char* dest, unsigned n) {
  const auto info = net::interface_info(iface);
  const auto mac = net::parse_mac(gateway);
  const auto to = Ip::parse(dest);
  if (!info || !mac || !to) return fail_with("no interface, no MAC or no address");
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  const auto frame = ByteView(buffer).first(build(buffer, {info->mac, *mac}, {*Ip::parse("192.0.2.10"), *to, 53, true}, 0));
  unsigned sent = 0;
  if (kind == "xsk") {
    const int r = send_xsk(iface, frame, n);
    if (r < 0) return fail_with(fmt::format("no AF_XDP socket: {}", errno_text(errno)));
    sent = static_cast<unsigned>(r);
  } else if (kind == "ip") {
    const Fd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    for (unsigned i = 0; i < n; ++i) sent += send_raw_ip(fd.get(), frame);
  } else if (kind == "packet" || kind == "bypass") {
    PacketPath socket(iface, kind == "bypass");
    for (unsigned i = 0; i < n; ++i) sent += socket.send(frame);
  }
  std::printf("{\"sent\":%u}\n", sent);
  return sent == n ? 0 : 1;
}

int trickle(const char* iface, const char* gateway, int ms) {
  const auto info = net::interface_info(iface);
  const auto mac = net::parse_mac(gateway);
  if (!info || !mac) return fail_with("no interface or no MAC");
  std::array<std::uint8_t, net::max_frame_bytes> buffer{};
  const auto frame = ByteView(buffer).first(build(buffer, {info->mac, *mac}, {*Ip::parse("192.0.2.10"), *Ip::parse("203.0.113.7"), 80, false}, 0));
  PacketPath socket(iface, true);
  SystemEnv system("wire_probe");
  const Span end = system.env().clock.monotonic() + Span::ms(ms);
  long sent = 0;
  for (; system.env().clock.monotonic() < end; ++sent) {
    if (!socket.send(frame)) return fail_with("the raw socket refused a frame");
    system.env().clock.sleep(Span::ms(2));
  }
  std::printf("{\"sent\":%ld}\n", sent);
  return 0;
}

volatile sig_atomic_t stop = 0;

int count(const fs::path& dir, const char* iface, const fs::path& ready) {
  signal(SIGTERM, [](int) { stop = 1; });
  Oracle oracle;
  auto ring = net::PacketRing::open(iface, {.block_bytes = 1u << 20, .blocks = 48, .retire_ms = 5});
  if (!ring) return fail_with(ring.error().text());
  if (!oracle.load(dir / "oracle")) return fail_with("no oracle");
  if (!replace_file(ready, "ready\n")) return 1;
  std::uint64_t in = 0, out = 0;
  std::int64_t first_ms = 0, last_ms = 0;
  int quiet = 0;
  while (quiet < 3) {
    const auto n = ring->read(Span::ms(50), [&](ByteView frame, Instant at) {
      bool is_routed = false;
      const Verdict v = oracle.judge(frame.data(), frame.size(), &is_routed);
      if (v == Verdict::not_ours) return;
      if (v == Verdict::outside && out++ == 0) std::fprintf(stderr, "wire_probe: outside: %s\n", to_hex(frame).c_str());
      if (v == Verdict::inside && is_routed) ++in;  // comparable with what was sent; the rest depends on the kernel's taste
      last_ms = at.us / 1000;
      if (first_ms == 0) first_ms = last_ms;
    });
    if (!n) return fail_with(n.error().text());
    quiet = stop && *n == 0 ? quiet + 1 : 0;
  }
  std::printf("{\"inside\":%llu,\"outside\":%llu,\"drops\":%llu,\"first_ms\":%lld,\"last_ms\":%lld}\n", static_cast<unsigned long long>(in), static_cast<unsigned long long>(out),
              static_cast<unsigned long long>(ring->counters().drops), static_cast<long long>(first_ms), static_cast<long long>(last_ms));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "make" && argc == 3) return make(argv[2]);
  if (mode == "random" && argc == 4 && std::stoull(argv[3]) > 0) return write_world(argv[2], random_world(std::stoull(argv[3])), argv[3]);
  if ((mode == "law" || mode == "raw") && (argc == 6 || argc == 7)) return send(mode == "law", argv[2], argv[3], argv[4], std::atol(argv[5]), argc == 7 ? argv[6] : "packet");
  if (mode == "path" && argc == 7) return path(argv[2], argv[3], argv[4], argv[5], static_cast<unsigned>(std::atoi(argv[6])));
  if (mode == "trickle" && argc == 5) return trickle(argv[2], argv[3], std::atoi(argv[4]));
  if (mode == "count" && argc == 5) return count(argv[2], argv[3], argv[4]);
  return fail_with("see the first lines of its source");
}
