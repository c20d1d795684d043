#include "survey/next_hop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>

#include "base/files.h"
#include "net/packet_socket.h"

namespace nora::survey {
namespace {

constexpr int arp_tries = 3, arp_wait_ms = 700;

struct Request {
  nlmsghdr head;
  union {
    rtmsg route;
    ndmsg neighbour;
  };
  std::uint8_t attributes[64];
};

Bytes address_bytes(Ip ip) {
  const auto& b = ip.bytes();
  return ip.is_v4() ? Bytes(b.begin() + 12, b.end()) : Bytes(b.begin(), b.end());
}
void attribute(Request& r, unsigned short type, const Bytes& value) {
  auto* a = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&r) + NLMSG_ALIGN(r.head.nlmsg_len));
  a->rta_type = type;
  a->rta_len = static_cast<unsigned short>(RTA_LENGTH(value.size()));
  std::memcpy(RTA_DATA(a), value.data(), value.size());
  r.head.nlmsg_len = NLMSG_ALIGN(r.head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

// Sends one rtnetlink question and shows every message of the answer.
Status ask(Request& request, const std::function<void(const nlmsghdr*)>& each) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail(Code::environment, "netlink: " + errno_text(errno));
  timeval limit{2, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::send(fd.get(), &request, request.head.nlmsg_len, 0) < 0) return fail(Code::environment, "netlink: " + errno_text(errno));
  bool dump = request.head.nlmsg_flags & NLM_F_DUMP;
  for (int round = 0; round < 1000; ++round) {
    alignas(nlmsghdr) char buffer[32768];
    auto n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return fail(Code::environment, "netlink gives no answer: " + errno_text(errno));
    auto left = static_cast<unsigned>(n);
    for (auto* h = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_type == NLMSG_DONE) return {};
      if (h->nlmsg_type == NLMSG_ERROR) {
        const auto* e = static_cast<const nlmsgerr*>(NLMSG_DATA(h));
        if (e->error != 0) return fail(Code::environment, errno_text(-e->error));
        return {};
      }
      each(h);
    }
    if (!dump) return {};
  }
  return fail(Code::environment, "netlink does not end");
}

Result<Ip> gateway(int index, Ip dest) {
  Request r{};
  r.head.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  r.head.nlmsg_type = RTM_GETROUTE;
  r.head.nlmsg_flags = NLM_F_REQUEST;
  r.route.rtm_family = dest.is_v4() ? AF_INET : AF_INET6;
  r.route.rtm_dst_len = dest.is_v4() ? 32 : 128;
  attribute(r, RTA_DST, address_bytes(dest));
  attribute(r, RTA_OIF, Bytes(reinterpret_cast<std::uint8_t*>(&index), reinterpret_cast<std::uint8_t*>(&index) + sizeof index));
  Ip via = dest;
  auto asked = ask(r, [&](const nlmsghdr* h) {
    if (h->nlmsg_type != RTM_NEWROUTE) return;
    auto* route = static_cast<rtmsg*>(NLMSG_DATA(h));
    int left = static_cast<int>(RTM_PAYLOAD(h));
    for (auto* a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left))
      if (a->rta_type == RTA_GATEWAY)
        if (auto ip = Ip::from_bytes(ByteView(static_cast<const std::uint8_t*>(RTA_DATA(a)), RTA_PAYLOAD(a)))) via = *ip;
  });
  if (!asked)
    return fail(Code::environment, "there is no route to " + dest.text() + ": " + asked.error().what, "add a route in the scan namespace");
  return via;
}

std::optional<net::Mac> known(int index, Ip ip) {
  Request r{};
  r.head.nlmsg_len = NLMSG_LENGTH(sizeof(ndmsg));
  r.head.nlmsg_type = RTM_GETNEIGH;
  r.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  r.neighbour.ndm_family = static_cast<std::uint8_t>(ip.is_v4() ? AF_INET : AF_INET6);
  auto wanted = address_bytes(ip);
  std::optional<net::Mac> found;
  (void)ask(r, [&](const nlmsghdr* h) {
    auto* n = static_cast<ndmsg*>(NLMSG_DATA(h));
    if (h->nlmsg_type != RTM_NEWNEIGH || n->ndm_ifindex != index || (n->ndm_state & (NUD_FAILED | NUD_INCOMPLETE))) return;
    int left = static_cast<int>(h->nlmsg_len - NLMSG_LENGTH(sizeof *n));
    ByteView address, mac;
    for (auto* a = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(n) + NLMSG_ALIGN(sizeof *n)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
      ByteView value(static_cast<const std::uint8_t*>(RTA_DATA(a)), RTA_PAYLOAD(a));
      if (a->rta_type == NDA_DST) address = value;
      if (a->rta_type == NDA_LLADDR) mac = value;
    }
    if (mac.size() == 6 && address.size() == wanted.size() && std::memcmp(address.data(), wanted.data(), wanted.size()) == 0) {
      found.emplace();
      std::memcpy(found->data(), mac.data(), 6);
    }
  });
  return found;
}

// RFC 826 over a packet socket of protocol ARP: the only thing it can carry.
std::optional<net::Mac> arp(const net::InterfaceInfo& iface, Ip own, Ip ip) {
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP)));
  if (!fd) return std::nullopt;
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = iface.index;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return std::nullopt;
  to.sll_halen = 6;
  std::memset(to.sll_addr, 0xff, 6);
  Bytes request = {0, 1, 8, 0, 6, 4, 0, 1};
  request.insert(request.end(), iface.mac.begin(), iface.mac.end());
  auto own4 = address_bytes(own), ip4 = address_bytes(ip);
  request.insert(request.end(), own4.begin(), own4.end());
  request.insert(request.end(), 6, 0);
  request.insert(request.end(), ip4.begin(), ip4.end());
  for (int i = 0; i < arp_tries; ++i) {
    if (sendto(fd.get(), request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) return std::nullopt;
    pollfd p{fd.get(), POLLIN, 0};
    for (int k = 0; k < 20 && poll(&p, 1, arp_wait_ms / 4) > 0; ++k) {
      std::uint8_t answer[64];
      auto n = recv(fd.get(), answer, sizeof answer, MSG_DONTWAIT);
      if (n < 28 || answer[7] != 2 || std::memcmp(answer + 14, ip4.data(), 4) != 0) continue;
      net::Mac mac;
      std::memcpy(mac.data(), answer + 8, 6);
      return mac;
    }
  }
  return std::nullopt;
}

bool is_loopback(std::string_view name) {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq r{};
  std::memcpy(r.ifr_name, name.data(), std::min(name.size(), sizeof r.ifr_name - 1));
  return fd && ioctl(fd.get(), SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_LOOPBACK);
}

}  // namespace

Result<net::Mac> next_hop(std::string_view iface, Ip dest, Ip own) {
  if (is_loopback(iface)) return net::Mac{};
  NORA_TRY(auto info, net::interface_info(iface));
  NORA_TRY(auto via, gateway(info.index, dest));
  if (auto mac = known(info.index, via)) return *mac;
  if (via.is_v4())
    if (auto mac = arp(info, own, via)) return *mac;
  return fail(Code::environment, "the next hop " + via.text() + " on " + std::string(iface) + " has no known MAC address",
              "add a static neighbour: ip neigh add " + via.text() + " lladdr <MAC> dev " + std::string(iface));
}

}  // namespace nora::survey
