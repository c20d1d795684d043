// AF_XDP sending (net/xsk_socket.h). Linux Documentation/networking/af_xdp.rst.
#include "net/xsk_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <cerrno>

namespace nora::net {
namespace {

constexpr std::uint32_t ring_size = 2048;             // descriptors; with small slots 256 KiB of frames, which stay in the cache
constexpr std::size_t big_slots = 256, chunk = 4096;  // a frame may not cross a chunk; big frames get half a chunk each
constexpr std::size_t big_bytes = 2048;
constexpr std::size_t small_area = ring_size * small_frame_bytes, umem_bytes = small_area + big_slots * big_bytes;
constexpr int stuck_tries = 400, stuck_wait_ms = 5;  // at most 2 s for a device queue that does not move

}  // namespace

struct XskSender::Parts {
  std::uint8_t* memory = nullptr;
  xsk_umem* umem = nullptr;
  xsk_socket* socket = nullptr;
  xsk_ring_prod fill{}, tx{};
  xsk_ring_cons complete{}, rx{};
  bool zero_copy = false;
  std::uint64_t queued = 0, done = 0;  // frames ever; queued - done are in flight or wait for a kick
  std::size_t waiting = 0;             // committed, not yet shown to the kernel
  std::uint64_t small_next = 0, big_next = 0;
  std::uint64_t place = 0;             // offset of the slot that was handed out
  bool big = false;

  ~Parts() {
    if (socket) xsk_socket__delete(socket);
    if (umem) xsk_umem__delete(umem);
    if (memory) ::munmap(memory, umem_bytes);
  }
};

XskSender::XskSender(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
XskSender::~XskSender() = default;

Result<std::unique_ptr<XskSender>> XskSender::open(const InterfaceInfo& iface) {
  const auto no = [&](std::string_view what, int error) {
    return fail(Code::environment, fmt::format("AF_XDP on {}: {}: {}", iface.name, what, errno_text(error)));
  };
  auto p = std::make_unique<Parts>();
  void* memory = ::mmap(nullptr, umem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return no("no memory", errno);
  p->memory = static_cast<std::uint8_t*>(memory);
  const xsk_umem_config umem{.fill_size = 64, .comp_size = ring_size, .frame_size = chunk, .frame_headroom = 0, .flags = 0};
  if (const int e = xsk_umem__create(&p->umem, p->memory, umem_bytes, &p->fill, &p->complete, &umem)) return no("frame memory", -e);
  // Zero copy first: a driver that has it says so by not refusing.
  int refused = 0;
  for (const bool zero : {true, false}) {
    xsk_socket_config config{};
    config.tx_size = ring_size;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = static_cast<std::uint16_t>((zero ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP);
    refused = -xsk_socket__create(&p->socket, iface.name.c_str(), 0, p->umem, nullptr, &p->tx, &config);
    if (refused == 0) {
      p->zero_copy = zero;
      break;
    }
  }
  if (refused) return no("cannot bind", refused);
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
  const int budget = 512;  // frames per system call in copy mode; older kernels take 32 and are kicked more often
  (void)::setsockopt(xsk_socket__fd(p->socket), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
  return std::unique_ptr<XskSender>(new XskSender(std::move(p)));
}

std::span<std::uint8_t> XskSender::slot(std::size_t bytes) {
  Parts& p = *parts_;
  p.big = bytes > small_frame_bytes;
  p.place = p.big ? small_area + p.big_next % big_slots * big_bytes : p.small_next % ring_size * small_frame_bytes;
  return {p.memory + p.place, p.big ? big_bytes : small_frame_bytes};
}

// Shows the kernel what waits, has it send, and takes back what is done.
Status XskSender::kick() {
  Parts& p = *parts_;
  if (p.waiting) {
    xsk_ring_prod__submit(&p.tx, static_cast<std::uint32_t>(p.waiting));
    p.waiting = 0;
  }
  if (::sendto(xsk_socket__fd(p.socket), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS && errno != EINTR)
    return fail(Code::failed, "AF_XDP: " + errno_text(errno));
  std::uint32_t at = 0;
  const std::uint32_t n = xsk_ring_cons__peek(&p.complete, ring_size, &at);
  if (n) {
    xsk_ring_cons__release(&p.complete, n);
    p.done += n;
  }
  return {};
}

Status XskSender::commit(std::size_t bytes) {
  Parts& p = *parts_;
  std::uint32_t at = 0;
  // A slot is reused after a whole turn of its ring; with at most half a turn in flight nothing is overwritten before it has left.
  const std::uint64_t room = p.big ? big_slots / 2 : ring_size / 2;
  for (int tries = 0; p.queued - p.done >= room || xsk_ring_prod__reserve(&p.tx, 1, &at) != 1; ++tries) {
    const auto before = p.done;
    NORA_CHECK(kick());
    if (p.done != before) {
      tries = 0;
      continue;
    }
    if (tries > stuck_tries) return fail(Code::failed, "AF_XDP: the device queue does not move");
    if (tries > 4) ::poll(nullptr, 0, stuck_wait_ms);
  }
  xdp_desc* d = xsk_ring_prod__tx_desc(&p.tx, at);
  d->addr = p.place;
  d->len = static_cast<std::uint32_t>(bytes);
  d->options = 0;
  ++(p.big ? p.big_next : p.small_next);
  ++p.queued;
  if (++p.waiting >= send_batch) return kick();
  return {};
}

Status XskSender::flush() {
  Parts& p = *parts_;
  for (int tries = 0; p.waiting || p.done != p.queued; ++tries) {
    const auto before = p.done;
    NORA_CHECK(kick());
    if (p.done != before) {
      tries = 0;
    } else if (p.done != p.queued) {
      if (tries > stuck_tries) return fail(Code::failed, fmt::format("AF_XDP: {} frames were not taken by the device", p.queued - p.done));
      if (tries > 4) ::poll(nullptr, 0, stuck_wait_ms);
    }
  }
  return {};
}

std::uint64_t XskSender::sent() const { return parts_->done; }
bool XskSender::zero_copy() const { return parts_->zero_copy; }

}  // namespace nora::net
