// The ways out (law/send.h).
#include "law/send.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "law/live_out.h"
#include "law/mandate.h"
#include "net/packet_socket.h"
#include "net/xsk_socket.h"

namespace nora::law {
namespace {

constexpr unsigned user_timeout_ms = 8000;
constexpr Span live_for = Span::seconds(60);
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

namespace {

// A plain Ethernet frame with IPv4 (20 bytes, no fragment, right length) and TCP or UDP whose every deciding field is the permit's: read at
// fixed places, a tenth of the cost of taking the frame apart. false says only that it is not such a frame; then the long way judges.
bool plainly_right(const Permit& permit, ByteView frame) {
  constexpr std::size_t ip = 14, upper = 34;
  if (frame.size() < upper + 8 || frame.size() > net::max_frame_bytes) return false;
  const std::uint8_t* f = frame.data();
  const bool tcp = permit.proto() == Proto::tcp;
  if (tcp && (frame.size() < upper + 20 || f[upper + 12] >> 4 < 5)) return false;
  return get_u16be(f + 12) == net::ether_ipv4 && f[ip] == 0x45 && get_u16be(f + ip + 2) == frame.size() - ip && (get_u16be(f + ip + 6) & 0x3fff) == 0 &&
         f[ip + 9] == static_cast<std::uint8_t>(permit.proto()) && permit.dest().is_v4() && permit.source().is_v4() &&
         get_u32be(f + ip + 16) == permit.dest().v4_value() && get_u32be(f + ip + 12) == permit.source().v4_value() &&
         get_u16be(f + upper + 2) == permit.port().value;
}

}  // namespace

Refusal check_frame(const Permit& permit, ByteView frame, Instant now) {
  if (now >= permit.expires()) return Refusal::permit_expired;
  if (plainly_right(permit, frame)) return Refusal::none;
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

std::string_view name(SendPath path) {
  constexpr std::string_view names[] = {"auto", "packet", "xdp", "live"};
  return names[static_cast<std::size_t>(path)];
}

Result<SendPath> parse_send_path(std::string_view text) {
  for (const auto path : {SendPath::automatic, SendPath::packet, SendPath::xdp, SendPath::live})
    if (text == name(path)) return path;
  return fail(Code::usage, fmt::format("\"{}\" is not a way to send", text), "auto, packet, xdp or live");
}

FrameSender::FrameSender(std::unique_ptr<net::FrameOut> out, const net::Mac& mac) : out_(std::move(out)), mac_(mac) {}
FrameSender::FrameSender(FrameSender&&) noexcept = default;
FrameSender& FrameSender::operator=(FrameSender&&) noexcept = default;
FrameSender::~FrameSender() = default;

Result<FrameSender> FrameSender::open(std::string_view iface, SendPath path, const Mandate* mandate) {
  NORA_TRY(const net::InterfaceInfo info, net::interface_info(iface));
  if (!info.up) return fail(Code::environment, fmt::format("the interface \"{}\" is down", iface));
  std::string why;
  if (path == SendPath::live) {
    if (!mandate) return fail(Code::usage, "the live path needs the mandate");
    NORA_TRY(auto rest, net::PacketSender::open(info));
    auto live = LiveOut::open(info, mandate->live_rules(), std::move(rest));
    if (live) {
      LiveOut* raw = live->get();
      FrameSender out(std::move(*live), info.mac);
      out.live_ = raw;
      NORA_CHECK(out.renew(*mandate, false));
      return out;
    }
    why = live.error().what;
  }
  if (path != SendPath::packet) {
    auto xsk = net::XskSender::open(info);
    if (xsk) {
      FrameSender out(std::move(*xsk), info.mac);
      out.fell_back_ = std::move(why);
      return out;
    }
    if (path == SendPath::xdp) return std::unexpected(xsk.error());
    why += (why.empty() ? "" : "; ") + xsk.error().what;
  }
  NORA_TRY(auto socket, net::PacketSender::open(info));
  FrameSender out(std::move(socket), info.mac);
  out.fell_back_ = std::move(why);
  return out;
}

Status FrameSender::renew(const Mandate& mandate, bool changed) {
  if (!live_) return {};
  if (changed) NORA_CHECK(live_->set_rules(mandate.live_rules()));
  live_->open_for(live_for);
  return {};
}

Refusal FrameSender::send(Permit&& permit, std::size_t length, Instant now) {
  const Permit used = std::move(permit);
  const Refusal r = length <= place_.size() ? check_frame(used, ByteView(place_).first(length), now) : Refusal::frame_malformed;
  if (r != Refusal::none) {
    ++refused_;
    return r;
  }
  if (Status s = out_->commit(length); !s && failed_) failed_ = std::move(s);
  return Refusal::none;
}

Refusal FrameSender::send(Permit&& permit, ByteView frame, Instant now) {
  if (frame.size() > net::max_frame_bytes) {
    static_cast<void>(Permit(std::move(permit)));  // used up all the same
    ++refused_;
    return Refusal::frame_malformed;
  }
  std::memcpy(slot(frame.size()).data(), frame.data(), frame.size());
  return send(std::move(permit), frame.size(), now);
}

Status FrameSender::flush() {
  Status now = out_->flush();
  if (!failed_) return std::exchange(failed_, Status{});
  return now;
}

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
