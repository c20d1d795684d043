// Prints what each device really answers, by plain clients and from the scan address, without any of Nora's probes: the check that
// devices.md tells the truth. Runs inside the world, in the scan namespace. One line per answer, bytes escaped.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/ip.h"
#include "neighbourhood/plan.h"
#include "neighbourhood/process.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr int wait_ms = 1200;

Fd connected(std::string_view address, std::uint16_t port, int type) {
  auto ip = Ip::parse(address);
  if (!ip) return Fd();
  Fd fd(::socket(ip->is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
  timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int result = -1;
  if (ip->is_v4()) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(ip->v4_value());
    result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to);
  } else {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    std::copy(ip->bytes().begin(), ip->bytes().end(), to.sin6_addr.s6_addr);
    result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  return result == 0 ? std::move(fd) : Fd();
}

std::string talk(std::string_view ip, std::uint16_t port, int type, const std::vector<std::string>& sends) {
  auto fd = connected(ip, port, type);
  if (!fd) return "(no connection)";
  std::string got;
  auto read_some = [&](int ms) {
    auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    for (;;) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      pollfd p{fd.get(), POLLIN, 0};
      if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return;
      char buffer[8192];
      ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return;
      got.append(buffer, static_cast<std::size_t>(n));
    }
  };
  for (const auto& s : sends) {
    if (!s.empty() && ::send(fd.get(), s.data(), s.size(), MSG_NOSIGNAL) < 0) break;
    read_some(sends.size() > 1 ? 300 : type == SOCK_DGRAM ? 400 : wait_ms);
  }
  return got.empty() ? "(no answer)" : got;
}

std::string hex(std::string_view text) { return to_string(*from_hex(text)); }

// Printable text as it is, everything else as \xNN.
std::string shown(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes.substr(0, 1600)) {
    if (c == '\r') out += "\\r";
    else if (c == '\n') out += "\\n";
    else if (c >= 0x20 && c != 0x7f && c != '\\') out += static_cast<char>(c);
    else out += fmt::format("\\x{:02x}", c);
  }
  return to_clean_utf8(out);
}

}  // namespace

int faces(const std::vector<std::string>&) {
  auto say = [](std::string_view id, std::string_view what, const std::string& bytes) {
    fmt::print("{} | {} | {}\n", id, what, shown(bytes));
    std::fflush(stdout);
  };
  // HOST is replaced by the device's own address: some servers answer nothing else (DNS rebinding).
  auto get = [](std::string_view path) { return fmt::format("GET {} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", path); };
  struct Look { std::string_view id; std::uint16_t port; int type; std::string_view what; std::vector<std::string> sends; };
  const std::string any_name = hex("1234 0100 0001 0000 0000 0000 04 6e6f7261 07 6578616d706c65 00 0001 0001");
  const std::string version_bind = hex("1234 0100 0001 0000 0000 0000 07 76657273696f6e 04 62696e64 00 0010 0003");
  const std::string v3_discovery = hex("303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400301204000400a00c020237f00201000201003000");
  const std::string search = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n";
  const std::vector<Look> looks = {
      {"hk-telnet", 23, SOCK_STREAM, "telnet", {""}},
      {"hk-telnet", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-ssh", 22, SOCK_STREAM, "ssh", {""}},
      {"hk-ssh", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-resolver", 53, SOCK_DGRAM, "dns A nora.example", {any_name}},
      {"hk-resolver", 53, SOCK_DGRAM, "dns version.bind", {version_bind}},
      {"hk-resolver", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-ntp", 123, SOCK_DGRAM, "ntp mode 6", {hex("160200010000000000000000")}},
      {"hk-ntp", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-proxy", 8080, SOCK_STREAM, "http", {get("/")}},
      {"hk-proxy", 8080, SOCK_STREAM, "relay", {"GET http://192.0.2.10:8088/token HTTP/1.1\r\nHost: 192.0.2.10:8088\r\n\r\n"}},
      {"hk-proxy", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-socks", 1080, SOCK_STREAM, "socks", {hex("050100")}},
      {"hk-socks", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-upnp", 1900, SOCK_DGRAM, "ssdp", {search}},
      {"hk-upnp", 5000, SOCK_STREAM, "description", {get("/rootDesc.xml")}},
      {"hk-upnp", 5351, SOCK_DGRAM, "nat-pmp", {hex("0000")}},
      {"hk-recorder", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-unknown-1", 23, SOCK_STREAM, "telnet", {""}},
      {"hk-unknown-1", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-unknown-2", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-healthy", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-camera", 80, SOCK_STREAM, "http", {get("/")}},
      {"hk-camera", 554, SOCK_STREAM, "rtsp", {"OPTIONS rtsp://203.0.113.77/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "DESCRIBE rtsp://203.0.113.77/live RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n"}},
      {"hk-tls", 443, SOCK_STREAM, "plain http", {get("/")}},
      {"sk-nas", 21, SOCK_STREAM, "ftp", {""}},
      {"sk-nas", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-mqtt", 1883, SOCK_STREAM, "mqtt", {hex("100d 0004 4d515454 04 02 003c 0001 6e")}},
      {"sk-mqtt", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-printer", 631, SOCK_STREAM, "http", {get("/")}},
      {"sk-printer", 631, SOCK_STREAM, "ipp get-default",
       {"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ipp\r\nContent-Length: 72\r\nConnection: close\r\n\r\n" +
        hex("0200 4001 00000001 01 47 0012 617474726962757465732d63686172736574 0005 7574662d38"
            "48 001b 617474726962757465732d6e61747572616c2d6c616e6775616765 0002 656e 03")}},
      {"sk-mape", 9030, SOCK_STREAM, "http", {get("/")}},
      {"sk-mape", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-coap", 5683, SOCK_DGRAM, "coap core", {hex("40011234bb2e77656c6c2d6b6e6f776e04636f7265")}},
      {"sk-vnc", 5900, SOCK_STREAM, "rfb", {"", "RFB 003.008\n"}},
      {"sk-vnc", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-snmp", 161, SOCK_DGRAM, "snmp v3", {v3_discovery}},
      {"sk-snmp", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-unknown-3", 80, SOCK_STREAM, "http", {get("/")}},
      {"sk-unknown-4", 23, SOCK_STREAM, "telnet", {""}},
      {"biz-plc", 502, SOCK_STREAM, "modbus 43/14", {hex("0001 0000 0005 01 2b 0e 01 00")}},
      {"biz-plc", 80, SOCK_STREAM, "http", {get("/")}},
  };
  for (const auto& l : looks) {
    const auto* d = find_device(l.id);
    auto sends = l.sends;
    for (auto& text : sends)
      if (auto at = text.find("Host: HOST"); at != std::string::npos) text.replace(at + 6, 4, fmt::format("{}:{}", d->v4, l.port));
    say(l.id, fmt::format("{} {}", l.what, l.port), talk(d->v4, l.port, l.type, sends));
    if (!d->v6.empty()) say(l.id, fmt::format("{} {} v6", l.what, l.port), talk(d->v6, l.port, l.type, sends));
  }
  for (auto target : {"203.0.113.83:443", "[2001:db8:1000:83::83]:443"}) {
    auto tls = run({.argv = {"openssl", "s_client", "-connect", target, "-showcerts"}}, "GET / HTTP/1.0\r\n\r\n", std::chrono::seconds(4));
    if (tls) say("hk-tls", target, tls->out.substr(0, 300));
  }
  return 0;
}

}  // namespace nora::neighbourhood
