// Packet sockets (net/packet_socket.h). Linux packet(7), Documentation/networking/packet_mmap.rst.
#include "net/packet_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace nora::net {
namespace {

constexpr int full_queue_wait_ms = 5, full_queue_tries = 400;  // at most 2 s
constexpr std::uint32_t ring_frame_bytes = 2048;

std::unexpected<Error> no_raw(std::string_view what) {
  return fail(Code::environment, fmt::format("{}: {}", what, errno_text(errno)),
              "Raw packets need CAP_NET_RAW in this network namespace; \"nora doctor\" checks it.");
}

}  // namespace

Result<InterfaceInfo> interface_info(std::string_view name) {
  ifreq request{};
  if (name.empty() || name.size() >= IFNAMSIZ) return fail(Code::usage, fmt::format("\"{}\" is not an interface name", name));
  std::memcpy(request.ifr_name, name.data(), name.size());
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(Code::environment, "cannot open a socket: " + errno_text(errno));
  InterfaceInfo out;
  out.name = name;
  if (::ioctl(fd.get(), SIOCGIFINDEX, &request) != 0) return fail(Code::environment, fmt::format("there is no interface \"{}\" in this network namespace", name));
  out.index = request.ifr_ifindex;
  if (::ioctl(fd.get(), SIOCGIFFLAGS, &request) == 0) out.up = (request.ifr_flags & IFF_UP) != 0;
  if (::ioctl(fd.get(), SIOCGIFHWADDR, &request) == 0) std::memcpy(out.mac.data(), request.ifr_hwaddr.sa_data, 6);
  return out;
}

struct PacketSender::Parts {
  Fd fd;
  // Small frames lie close together, so that a batch touches few cache lines.
  alignas(64) std::array<std::array<std::uint8_t, small_frame_bytes>, send_batch> small{};
  std::array<std::array<std::uint8_t, max_frame_bytes>, send_batch> big{};
  std::array<mmsghdr, send_batch> messages{};
  std::array<iovec, send_batch> parts{};
  std::size_t queued = 0;
  bool in_big = false;
  std::uint64_t sent = 0;
};

PacketSender::PacketSender(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
  for (std::size_t i = 0; i < send_batch; ++i) {
    parts_->messages[i].msg_hdr.msg_iov = &parts_->parts[i];
    parts_->messages[i].msg_hdr.msg_iovlen = 1;
  }
}
PacketSender::~PacketSender() = default;

Result<std::unique_ptr<PacketSender>> PacketSender::open(const InterfaceInfo& iface) {
  auto parts = std::make_unique<Parts>();
  // Protocol 0: this socket receives nothing.
  parts->fd = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!parts->fd) return no_raw("cannot open a packet socket for sending");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = iface.index;
  if (::bind(parts->fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return no_raw("cannot bind the packet socket");
  const int on = 1;
  // The kernel may lack it (before 3.14); sending works without, only slower.
  (void)::setsockopt(parts->fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  return std::unique_ptr<PacketSender>(new PacketSender(std::move(parts)));
}

std::span<std::uint8_t> PacketSender::slot(std::size_t bytes) {
  Parts& p = *parts_;
  p.in_big = bytes > small_frame_bytes;
  if (p.in_big) return p.big[p.queued];
  return p.small[p.queued];
}

Status PacketSender::commit(std::size_t bytes) {
  Parts& p = *parts_;
  p.parts[p.queued] = {p.in_big ? p.big[p.queued].data() : p.small[p.queued].data(), bytes};
  if (++p.queued == send_batch) return flush();
  return {};
}

Status PacketSender::flush() {
  Parts& p = *parts_;
  const std::size_t n = std::exchange(p.queued, 0);  // what the kernel refused is not tried again: the caller decides
  int tries = 0;
  for (std::size_t done = 0; done < n;) {
    const int sent = ::sendmmsg(p.fd.get(), p.messages.data() + done, static_cast<unsigned>(n - done), 0);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      p.sent += static_cast<std::size_t>(sent);
      tries = 0;
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == ENOBUFS || errno == EAGAIN) && ++tries < full_queue_tries) {
      ::poll(nullptr, 0, full_queue_wait_ms);
      continue;
    }
    return fail(Code::failed, fmt::format("the kernel took {} of {} frames: {}", done, n, errno_text(errno)));
  }
  return {};
}

std::uint64_t PacketSender::sent() const { return parts_->sent; }

Result<PacketRing> PacketRing::open(std::string_view iface, const Options& options) {
  NORA_TRY(const InterfaceInfo info, interface_info(iface));
  PacketRing out;
  out.fd_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));  // protocol comes with bind: nothing from other interfaces gets in
  if (!out.fd_) return no_raw("cannot open a packet socket for receiving");
  const int on = 1, version = TPACKET_V3;
  if (::setsockopt(out.fd_.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) return no_raw("no TPACKET_V3");
  if (::setsockopt(out.fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) return no_raw("no PACKET_IGNORE_OUTGOING");
  tpacket_req3 request{};
  request.tp_block_size = options.block_bytes;
  request.tp_block_nr = options.blocks;
  request.tp_frame_size = ring_frame_bytes;
  request.tp_frame_nr = options.block_bytes / ring_frame_bytes * options.blocks;
  request.tp_retire_blk_tov = options.retire_ms;
  if (::setsockopt(out.fd_.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) return no_raw("cannot make a receive ring");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = info.index;
  if (::bind(out.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return no_raw("cannot bind the receive ring");
  NORA_CHECK(out.map(options));
  return out;
}

Result<PacketRing> PacketRing::adopt(Fd fd, const Options& options) {
  PacketRing out;
  out.fd_ = std::move(fd);
  NORA_CHECK(out.map(options));
  return out;
}

Status PacketRing::map(const Options& options) {
  options_ = options;
  ring_bytes_ = std::size_t{options.block_bytes} * options.blocks;
  void* memory = ::mmap(nullptr, ring_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (memory == MAP_FAILED) return fail(Code::environment, "cannot map the receive ring: " + errno_text(errno));
  ring_ = static_cast<std::uint8_t*>(memory);
  return {};
}

PacketRing::PacketRing(PacketRing&& o) noexcept
    : fd_(std::move(o.fd_)), ring_(std::exchange(o.ring_, nullptr)), ring_bytes_(o.ring_bytes_), options_(o.options_), at_(o.at_), counters_(o.counters_) {}

PacketRing& PacketRing::operator=(PacketRing&& o) noexcept {
  if (this != &o) {
    if (ring_) ::munmap(ring_, ring_bytes_);
    fd_ = std::move(o.fd_);
    ring_ = std::exchange(o.ring_, nullptr);
    ring_bytes_ = o.ring_bytes_;
    options_ = o.options_;
    at_ = o.at_;
    counters_ = o.counters_;
  }
  return *this;
}

PacketRing::~PacketRing() { if (ring_) ::munmap(ring_, ring_bytes_); }

Result<std::size_t> PacketRing::read(Span timeout, const Visit& visit) {
  std::size_t frames = 0;
  bool waited = false;
  for (std::uint32_t visited = 0; visited <= options_.blocks; ++visited) {
    auto* block = reinterpret_cast<tpacket_block_desc*>(ring_ + std::size_t{at_} * options_.block_bytes);
    std::atomic_ref<std::uint32_t> status(block->hdr.bh1.block_status);
    if (!(status.load(std::memory_order_acquire) & TP_STATUS_USER)) {
      if (frames || waited) return frames;
      pollfd wait{fd_.get(), POLLIN | POLLERR, 0};
      const int ready = ::poll(&wait, 1, static_cast<int>((timeout.us + 999) / 1000));
      if (ready < 0 && errno != EINTR) return fail(Code::failed, "cannot wait for packets: " + errno_text(errno));
      if (ready > 0 && (wait.revents & POLLERR)) {
        int error = 0;
        socklen_t length = sizeof error;
        ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) return fail(Code::failed, "the capture interface failed: " + errno_text(error));
      }
      waited = true;
      continue;
    }
    const auto* header = reinterpret_cast<const tpacket3_hdr*>(reinterpret_cast<const std::uint8_t*>(block) + block->hdr.bh1.offset_to_first_pkt);
    for (std::uint32_t i = 0; i < block->hdr.bh1.num_pkts; ++i) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(header);
      visit({bytes + header->tp_mac, header->tp_snaplen}, Instant{std::int64_t{header->tp_sec} * 1'000'000 + header->tp_nsec / 1000});
      ++frames;
      header = reinterpret_cast<const tpacket3_hdr*>(bytes + header->tp_next_offset);
    }
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    at_ = (at_ + 1) % options_.blocks;
  }
  return frames;
}

PacketRing::Counters PacketRing::counters() {
  tpacket_stats_v3 stats{};
  socklen_t length = sizeof stats;
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0) {
    counters_.packets += stats.tp_packets;
    counters_.drops += stats.tp_drops;  // reading resets the kernel's counters
  }
  return counters_;
}

}  // namespace nora::net
