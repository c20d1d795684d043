// The live-frame path on a veth whose far end has a native XDP program. Needs the right to load eBPF (root of the first user namespace); without
// it the test holds the fall-back instead.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "law/send.h"
#include "law/test_mandate.h"
#include "net/bpf_object.h"
#include "net/packet_socket.h"

NORA_BPF_OBJECT(live_test)

namespace nora::law {
namespace {

const Instant now = *Instant::parse("2026-11-26T03:00:00Z");

// Like net::in_namespace, but in the user namespace of the test: eBPF is loaded only from the first one.
int in_own_net(const std::string& setup, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(77);
    if (std::system(("set -e; " + setup).c_str()) != 0) ::_exit(78);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

TEST(LiveOut, EachFrameIsCheckedOnceMoreInTheKernelAndArrives) {
  const int code = in_own_net("ip link add va type veth peer name vb; ip link set va up; ip link set vb up", [] {
    const auto m = test_mandate();
    auto sender = FrameSender::open("va", SendPath::live, &*m);
    if (!sender) return 1;
    if (sender->path() != "live") return sender->fell_back().empty() ? 2 : ::geteuid() == 0 ? 3 : 0;
    // The far end: passes everything on to its stack, where a ring counts.
    auto object = net::BpfObject::open(bpf_bytes_live_test(), "live_test");
    const int index = net::interface_info("vb")->index;
    if (!object || !object->load() || bpf_xdp_attach(index, object->program("pass_all"), 1u << 2 /* XDP_FLAGS_DRV_MODE */, nullptr) != 0) return 4;
    auto ring = net::PacketRing::open("vb");
    if (!ring) return 5;
    const auto& syn = *m->probes().find("tcp-syn");
    const net::SynTemplate frame({}, *Ip::parse("192.0.2.10"), 1460);
    const auto send = [&](std::uint32_t dest, std::uint16_t port, std::uint32_t seq) {
      auto permit = m->permit({Ip::v4(dest), port}, syn, now);
      if (!permit) return permit.error();
      frame.fill(sender->slot(net::SynTemplate::bytes).data(), dest, 40000, port, seq, 1);
      return sender->send(std::move(*permit), net::SynTemplate::bytes, now);
    };
    constexpr int frames = 9000;  // more than two runs of the program
    int permitted = 0;
    for (int i = 0; i < frames; ++i) permitted += send(0xcb007100u + static_cast<std::uint32_t>(i % 96), 80, static_cast<std::uint32_t>(i)) == Refusal::none;
    if (const auto flushed = sender->flush(); !flushed || permitted != frames || sender->sent() != frames) {
      std::fprintf(stderr, "%s; %d permitted, %llu sent\n", flushed ? "" : flushed.error().what.c_str(), permitted, static_cast<unsigned long long>(sender->sent()));
      return 6;
    }
    int seen = 0, wrong = 0;
    for (int i = 0; i < 100 && seen < frames; ++i)
      if (!ring->read(Span::ms(10), [&](ByteView f, Instant) {
            const auto p = net::parse_frame(f);
            if (!p || !p->is(net::ip_tcp)) return;
            wrong += p->seq != static_cast<std::uint32_t>(seen) || !net::checksums_right(f);
            ++seen;
          })) return 7;
    if (seen != frames || wrong) return 8;
    // The kernel's check is one of its own: with rules that lack the address it stops what the permit let through.
    MandateText narrow = test_text();
    narrow.ranges = {*Prefix::parse("198.51.100.0/26")};
    narrow.social_impact.clear();
    narrow.excludes.clear();
    const auto other = test_mandate(narrow);
    if (!other || !sender->renew(*other, true)) return 9;
    if (send(0xcb007105u, 80, 1) != Refusal::none) return 10;
    const auto stopped = sender->flush();
    if (stopped || stopped.error().what.find("outside the mandate") == std::string::npos || sender->sent() != frames) return 11;
    // Another port than those that are granted, and an opt-out.
    const auto opted = test_mandate(test_text(), {"203.0.113.5\n"});
    if (!opted || !sender->renew(*opted, true)) return 12;
    if (send(0xcb007105u, 80, 1) != Refusal::none || sender->flush()) return 13;
    if (send(0xcb007106u, 80, 1) != Refusal::none || !sender->flush() || sender->sent() != frames + 1) return 14;
    return 0;
  });
  EXPECT_TRUE(code == 0 || (code == 77 && ::geteuid() != 0)) << code;
}

}  // namespace
}  // namespace nora::law
