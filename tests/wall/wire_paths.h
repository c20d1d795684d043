// The ways in which a process of the sender's namespace can put a frame on the wire, each without any check: raw IP socket, packet socket, packet
// socket past the queueing discipline, AF_XDP in copy mode (Linux Documentation/networking/af_xdp.rst). Used by wire_probe.cc only.
#pragma once

#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/files.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef AF_XDP
#define AF_XDP 44
#endif

namespace wire {

using nora::ByteView;
using nora::Fd;

class PacketPath {
 public:
  PacketPath(const char* iface, bool bypass) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    to_.sll_family = AF_PACKET;
    to_.sll_ifindex = static_cast<int>(::if_nametoindex(iface));
    const int on = 1;
    if (bypass) ::setsockopt(fd_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  }
  bool send(ByteView f) {
    for (int i = 0; i < 1000; ++i) {
      if (::sendto(fd_.get(), f.data(), f.size(), 0, reinterpret_cast<sockaddr*>(&to_), sizeof to_) >= 0) return true;
      if (errno != ENOBUFS) return false;
    }
    return false;
  }

 private:
  Fd fd_;
  sockaddr_ll to_{};
};

// IPv4 only; the kernel routes it.
inline bool send_raw_ip(int fd, ByteView frame) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::memcpy(&to.sin_addr, frame.data() + 30, 4);
  return ::sendto(fd, frame.data() + 14, frame.size() - 14, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) >= 0;
}

// Sends `n` (at most 256) copies of the frame through an AF_XDP socket. Returns how many the kernel gave back as sent; -1: no such socket here.
inline int send_xsk(const char* iface, ByteView frame, unsigned n) {
  constexpr std::size_t slots = 256, slot = 4096;
  const Fd fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd) return -1;
  void* area = ::mmap(nullptr, slots * slot, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return -1;
  const auto set = [&](int option, const auto& value) { return ::setsockopt(fd.get(), SOL_XDP, option, &value, sizeof value) == 0; };
  xdp_umem_reg memory{};
  memory.addr = reinterpret_cast<std::uintptr_t>(area);
  memory.len = slots * slot;
  memory.chunk_size = slot;
  const int size = slots;
  xdp_mmap_offsets at{};
  socklen_t length = sizeof at;
  if (!set(XDP_UMEM_REG, memory) || !set(XDP_UMEM_FILL_RING, size) || !set(XDP_UMEM_COMPLETION_RING, size) || !set(XDP_TX_RING, size) ||
      ::getsockopt(fd.get(), SOL_XDP, XDP_MMAP_OFFSETS, &at, &length) != 0)
    return -1;
  const auto ring = [&](std::uint64_t bytes, off_t where) {
    return static_cast<std::uint8_t*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), where));
  };
  std::uint8_t* tx = ring(at.tx.desc + slots * sizeof(xdp_desc), XDP_PGOFF_TX_RING);
  std::uint8_t* done = ring(at.cr.desc + slots * sizeof(std::uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
  sockaddr_xdp to{};
  to.sxdp_family = AF_XDP;
  to.sxdp_flags = XDP_COPY;
  to.sxdp_ifindex = ::if_nametoindex(iface);
  if (tx == MAP_FAILED || done == MAP_FAILED) return -1;
  // The ring of an earlier socket on this queue is freed a moment after it is closed.
  for (int i = 0; ::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0; ++i)
    if (errno != EBUSY || i == 100 || ::usleep(20'000) != 0) return -1;
  auto* descriptors = reinterpret_cast<xdp_desc*>(tx + at.tx.desc);
  for (unsigned i = 0; i < n; ++i) {
    std::memcpy(static_cast<std::uint8_t*>(area) + i * slot, frame.data(), frame.size());
    descriptors[i] = {i * slot, static_cast<std::uint32_t>(frame.size()), 0};
  }
  __atomic_store_n(reinterpret_cast<std::uint32_t*>(tx + at.tx.producer), n, __ATOMIC_RELEASE);
  for (int i = 0; i < 200; ++i) {
    (void)!::sendto(fd.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    const auto back = __atomic_load_n(reinterpret_cast<std::uint32_t*>(done + at.cr.producer), __ATOMIC_ACQUIRE);
    if (back == n) return static_cast<int>(n);
    ::usleep(2000);
  }
  return static_cast<int>(__atomic_load_n(reinterpret_cast<std::uint32_t*>(done + at.cr.producer), __ATOMIC_ACQUIRE));
}

}  // namespace wire
