// The NAS stand-in: a Dynamic Authorization Server (RFC 5176) that drives nftables in Hikari's namespace.
// A request must name the session by two keys that agree, Acct-Session-Id and Framed-IP-Address; otherwise CoA-NAK with
// Error-Cause 503, so that an address that was handed on never cuts off its new customer. Filter-Id: "open", "block-in:PORT"
// (the port inbound only, tcp and udp), "walled-garden" (only the portal answers). Requests with a wrong authenticator are
// dropped without an answer (section 2.3). One thread; one datagram at a time.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/ip.h"
#include "neighbourhood/plan.h"
#include "neighbourhood/process.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr std::uint8_t disconnect_request = 40, coa_request = 43;  // ACK is +1, NAK is +2
constexpr std::uint8_t framed_ip = 8, filter_id = 11, acct_session_id = 44, message_authenticator = 80, error_cause = 101;
constexpr std::uint32_t missing_attribute = 402, invalid_request = 404, session_not_found = 503, resources_unavailable = 506;
constexpr std::size_t header_bytes = 20, max_packet = 4096;

Bytes md5(const Bytes& data) {
  Bytes out(16);
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), out.data(), &size, EVP_md5(), nullptr);
  return out;
}
Bytes hmac_md5(const std::string& key, const Bytes& data) {
  Bytes out(16);
  unsigned size = 0;
  HMAC(EVP_md5(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size);
  return out;
}

struct Request {
  std::uint8_t code = 0;
  std::map<std::uint8_t, Bytes> attributes;  // the first of each type
  bool signed_message = false;
};

// Checks the authenticators of RFC 5176 section 2.3 and RFC 2869 section 5.14 before anything is believed.
std::optional<Request> parse(const Bytes& packet, const std::string& secret) {
  if (packet.size() < header_bytes || get_u16be(&packet[2]) != packet.size()) return {};
  Bytes zeroed = packet;
  std::fill(zeroed.begin() + 4, zeroed.begin() + 20, 0);
  Bytes with_secret = zeroed;
  with_secret.insert(with_secret.end(), secret.begin(), secret.end());
  if (!std::equal(packet.begin() + 4, packet.begin() + 20, md5(with_secret).begin())) return {};
  Request r{packet[0], {}, false};
  for (std::size_t at = header_bytes; at < packet.size();) {
    if (at + 2 > packet.size() || packet[at + 1] < 2 || at + packet[at + 1] > packet.size()) return {};
    std::size_t length = packet[at + 1];
    Bytes value(packet.begin() + static_cast<std::ptrdiff_t>(at + 2), packet.begin() + static_cast<std::ptrdiff_t>(at + length));
    if (packet[at] == message_authenticator) {
      if (length != 18) return {};
      Bytes blank = zeroed;
      std::fill_n(blank.begin() + static_cast<std::ptrdiff_t>(at + 2), 16, 0);
      if (hmac_md5(secret, blank) != value) return {};
      r.signed_message = true;
    }
    r.attributes.emplace(packet[at], std::move(value));
    at += length;
  }
  return r;
}

Bytes answer(const Bytes& request, std::uint8_t code, std::uint32_t cause, bool sign, const std::string& secret) {
  Bytes out = {code, request[1], 0, 0};
  out.insert(out.end(), request.begin() + 4, request.begin() + 20);
  if (cause) {
    out.insert(out.end(), {error_cause, 6});
    put_u32be(out, cause);
  }
  std::size_t at = 0;
  if (sign) {
    out.insert(out.end(), {message_authenticator, 18});
    at = out.size();
    out.insert(out.end(), 16, 0);
  }
  out[2] = static_cast<std::uint8_t>(out.size() >> 8);
  out[3] = static_cast<std::uint8_t>(out.size() & 0xff);
  if (sign) {
    auto mac = hmac_md5(secret, out);
    std::copy(mac.begin(), mac.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
  Bytes with_secret = out;
  with_secret.insert(with_secret.end(), secret.begin(), secret.end());
  auto authenticator = md5(with_secret);
  std::copy(authenticator.begin(), authenticator.end(), out.begin() + 4);
  return out;
}

bool nft(const std::string& rules) {
  auto done = run({.argv = {"nft", "-f", "-"}}, rules);
  if (done && done->code != 0) fmt::print("nft: {}\n", done->err);
  return done && done->code == 0;
}

std::string setup_rules() {
  return fmt::format(
      "table inet nas {{\n"
      " set blocked {{ type ipv4_addr . inet_service; }}\n set walled {{ type ipv4_addr; }}\n set cut {{ type ipv4_addr; }}\n"
      " chain forward {{ type filter hook forward priority 0;\n"
      "  ip daddr . tcp dport @blocked ct direction original drop\n  ip daddr . udp dport @blocked ct direction original drop\n"
      "  ip saddr @cut drop\n  ip daddr @cut drop\n"
      "  ip saddr @walled ip daddr != {0} drop\n  ip daddr @walled ip saddr != {0} drop\n }}\n"
      " chain garden {{ type nat hook prerouting priority -100; ip saddr @walled tcp dport 80 ip daddr != {0} dnat ip to {0}:80; }}\n"
      "}}\n",
      plan::portal_v4);
}

// The elements of one address are taken out by naming the sets anew: nft has no "delete what matches".
class Sets {
 public:
  bool apply(const std::string& ip, std::string_view filter) {
    auto blocked = blocked_;
    auto walled = walled_, cut = cut_;
    if (filter == "open") {
      std::erase_if(blocked_, [&](const auto& b) { return b.first == ip; });
      walled_.erase(ip);
      cut_.erase(ip);
    } else if (filter == "walled-garden") {
      walled_[ip] = true;
    } else if (filter == "cut") {
      cut_[ip] = true;
    } else if (filter.starts_with("block-in:")) {
      auto text = filter.substr(9);
      auto port = parse_port(text);
      if (!port) return false;
      blocked_.emplace_back(ip, port->value);
    } else {
      return false;
    }
    std::string rules = "flush set inet nas blocked\nflush set inet nas walled\nflush set inet nas cut\n";
    for (const auto& [address, port] : blocked_) rules += fmt::format("add element inet nas blocked {{ {} . {} }}\n", address, port);
    for (const auto& [address, yes] : walled_) rules += fmt::format("add element inet nas walled {{ {} }}\n", address);
    for (const auto& [address, yes] : cut_) rules += fmt::format("add element inet nas cut {{ {} }}\n", address);
    if (nft(rules)) return true;
    blocked_ = blocked;
    walled_ = walled;
    cut_ = cut;
    return false;
  }
  static bool known(std::string_view filter) {
    return filter == "open" || filter == "walled-garden" || (filter.starts_with("block-in:") && parse_port(filter.substr(9)));
  }

 private:
  std::vector<std::pair<std::string, std::uint16_t>> blocked_;
  std::map<std::string, bool> walled_, cut_;
};

// The accounting side tells which sessions are open: "SESSION ADDRESS" a line, read anew for each request.
bool session_is_open(const std::string& file, const std::string& session, const std::string& ip) {
  std::istringstream in(read_file(file).value_or(""));
  for (std::string s, a; in >> s >> a;)
    if (s == session && a == ip) return true;
  return false;
}

}  // namespace

int nas(const std::vector<std::string>& args) {
  const char* secret_text = std::getenv("NAS_SECRET");
  if (args.size() != 3 || !secret_text || !*secret_text) return 2;
  std::string secret = secret_text;
  auto ip = Ip::parse(args[0]);
  auto port = parse_port(args[1]);
  if (!ip || !ip->is_v4() || !port || !nft(setup_rules())) return 6;
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(port->value);
  here.sin_addr.s_addr = htonl(ip->v4_value());
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) return 6;
  Sets sets;
  for (;;) {
    Bytes packet(max_packet);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t n = ::recvfrom(fd.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n <= 0) continue;
    packet.resize(static_cast<std::size_t>(n));
    auto request = parse(packet, secret);
    if (!request || (request->code != coa_request && request->code != disconnect_request)) continue;
    auto& a = request->attributes;
    std::uint32_t cause = 0;
    std::string filter = request->code == disconnect_request ? "cut" : a.contains(filter_id) ? to_string(a[filter_id]) : "";
    if (!a.contains(acct_session_id) || !a.contains(framed_ip) || a[framed_ip].size() != 4) {
      // One key alone is not enough to name a session.
      cause = session_not_found;
    } else if (filter.empty()) {
      cause = missing_attribute;
    } else if (filter != "cut" && !Sets::known(filter)) {
      cause = invalid_request;
    } else {
      auto address = Ip::from_bytes(a[framed_ip])->text();
      if (!session_is_open(args[2], to_string(a[acct_session_id]), address)) cause = session_not_found;
      else if (!sets.apply(address, filter)) cause = resources_unavailable;
    }
    auto reply = answer(packet, static_cast<std::uint8_t>(request->code + (cause ? 2 : 1)), cause, request->signed_message, secret);
    ::sendto(fd.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    fmt::print("code {} filter {} cause {}\n", request->code, filter, cause);
    std::fflush(stdout);
  }
}

}  // namespace nora::neighbourhood
