// The ways out (law/send.h).
#include "law/send.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/packet_socket.h"

namespace nora::law {
namespace {

constexpr unsigned user_timeout_ms = 8000;
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

socklen_t fill(sockaddr_storage& out, Ip ip, std::uint16_t port) {
  std::memset(&out, 0, sizeof out);
  if (ip.is_v4()) {
    auto& a = reinterpret_cast<sockaddr_in&>(out);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(ip.v4_value());
    return sizeof a;
  }
  auto& a = reinterpret_cast<sockaddr_in6&>(out);
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(port);
  std::memcpy(&a.sin6_addr, ip.bytes().data(), 16);
  return sizeof a;
}

}  // namespace

Refusal check_frame(const Permit& permit, ByteView frame, Instant now) {
  if (now >= permit.expires()) return Refusal::permit_expired;
  const auto p = net::parse_frame(frame);
  if (!p || !p->is_ip) return Refusal::frame_unreadable;
  if (p->vlan || p->ip_options || p->fragment || !p->exact || frame.size() > net::max_frame_bytes) return Refusal::frame_malformed;
  if (p->protocol != static_cast<std::uint8_t>(permit.proto())) return Refusal::frame_wrong_protocol;
  if (!p->has_ports) return Refusal::frame_unreadable;
  if (p->dest != permit.dest()) return Refusal::frame_wrong_dest;
  if (p->source != permit.source()) return Refusal::frame_wrong_source;
  if (p->dest_port != permit.port().value) return Refusal::frame_wrong_port;
  return Refusal::none;
}

struct FrameSender::Parts {
  net::PacketSender socket;
  net::Mac mac;
  std::array<std::array<std::uint8_t, net::max_frame_bytes>, batch> frames{};
  std::array<std::size_t, batch> lengths{};
  std::size_t queued = 0;
  std::uint64_t sent = 0, refused = 0;
};

FrameSender::FrameSender(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
FrameSender::FrameSender(FrameSender&&) noexcept = default;
FrameSender& FrameSender::operator=(FrameSender&&) noexcept = default;
FrameSender::~FrameSender() = default;

Result<FrameSender> FrameSender::open(std::string_view iface) {
  NORA_TRY(const net::InterfaceInfo info, net::interface_info(iface));
  if (!info.up) return fail(Code::environment, fmt::format("the interface \"{}\" is down", iface));
  NORA_TRY(net::PacketSender socket, net::PacketSender::open(info));
  return FrameSender(std::unique_ptr<Parts>(new Parts{.socket = std::move(socket), .mac = info.mac}));
}

Result<Refusal> FrameSender::send(Permit&& permit, ByteView frame, Instant now) {
  const Permit used = std::move(permit);
  if (const Refusal r = check_frame(used, frame, now); r != Refusal::none) {
    ++parts_->refused;
    return r;
  }
  std::memcpy(parts_->frames[parts_->queued].data(), frame.data(), frame.size());
  parts_->lengths[parts_->queued++] = frame.size();
  if (parts_->queued == batch) NORA_CHECK(flush());
  return Refusal::none;
}

Status FrameSender::flush() {
  std::array<ByteView, batch> views;
  for (std::size_t i = 0; i < parts_->queued; ++i) views[i] = ByteView(parts_->frames[i]).first(parts_->lengths[i]);
  const std::size_t n = std::exchange(parts_->queued, 0);  // what the kernel refused is not tried again: the caller decides
  if (n == 0) return {};
  NORA_TRY(const std::size_t done, parts_->socket.send(std::span(views).first(n)));
  parts_->sent += done;
  return {};
}

std::uint64_t FrameSender::sent() const { return parts_->sent; }
std::uint64_t FrameSender::refused() const { return parts_->refused; }
const net::Mac& FrameSender::mac() const { return parts_->mac; }

Result<Fd> connect(const Permit& permit, Instant now) {
  if (permit.proto() != Proto::tcp) return std::unexpected(refused(Refusal::protocol_mismatch));
  if (now >= permit.expires()) return std::unexpected(refused(Refusal::permit_expired));
  const bool v4 = permit.dest().is_v4();
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return fail(Code::environment, "cannot open a socket: " + errno_text(errno));
  const int on = 1, retries = syn_retries;
  const unsigned timeout = user_timeout_ms;
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);  // the port is chosen at connect: no early exhaustion
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof retries);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address;
  socklen_t length = fill(address, permit.source(), 0);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
    return fail(Code::environment, fmt::format("the mandate's source address {} is not an address of this machine: {}", permit.source().text(), errno_text(errno)));
  length = fill(address, permit.dest(), permit.port().value);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 && errno != EINPROGRESS)
    return fail(Code::failed, fmt::format("{} port {}: {}", permit.dest().text(), permit.port().value, errno_text(errno)));
  return fd;
}

void close_hard(Fd fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace nora::law
