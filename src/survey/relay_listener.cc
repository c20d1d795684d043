#include "survey/relay_listener.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace nora::survey {
namespace {

constexpr Span client_time = Span::seconds(4);
constexpr std::size_t max_request = 4096, max_seen = 100'000;
constexpr std::string_view relay_path = "/nora-relay/";

struct Client {
  Fd fd;
  Ip peer;
  std::string in;
  Span since;
};

Ip address(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) return Ip::v4(ntohl(reinterpret_cast<const sockaddr_in&>(from).sin_addr.s_addr));
  std::array<std::uint8_t, 16> b{};
  std::memcpy(b.data(), &reinterpret_cast<const sockaddr_in6&>(from).sin6_addr, 16);
  return Ip::v6(b);
}

// Head and, for a POST, as much body as it announces.
bool whole(std::string_view request) {
  auto head = request.find("\r\n\r\n");
  if (head == std::string_view::npos) return false;
  if (!request.starts_with("POST ")) return true;
  std::string lower(request.substr(0, head));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  auto field = lower.find("\r\ncontent-length:");
  if (field == std::string::npos) return true;
  return request.size() - head - 4 >= std::strtoull(lower.c_str() + field + 17, nullptr, 10);
}

}  // namespace

RelayListener::RelayListener(const law::MandateText& mandate, const SigningKey& key, const ScanPageParts& page, Env env)
    : page_(mandate, page, env), key_(key), env_(env) {
  for (const auto& l : mandate.listeners)
    if (l.proto == Proto::tcp) listeners_.push_back(l);
}

RelayListener::~RelayListener() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

Status RelayListener::start() {
  for (const auto& l : listeners_) {
    bool v4 = l.ip.is_v4();
    Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fail(Code::environment, "cannot open a socket: " + errno_text(errno));
    int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage a{};
    socklen_t n;
    if (v4) {
      auto& s = reinterpret_cast<sockaddr_in&>(a);
      s.sin_family = AF_INET;
      s.sin_port = htons(l.port.value);
      s.sin_addr.s_addr = htonl(l.ip.v4_value());
      n = sizeof s;
    } else {
      auto& s = reinterpret_cast<sockaddr_in6&>(a);
      s.sin6_family = AF_INET6;
      s.sin6_port = htons(l.port.value);
      std::memcpy(&s.sin6_addr, l.ip.bytes().data(), 16);
      n = sizeof s;
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&a), n) != 0 || listen(fd.get(), 64) != 0) {
      if (errno == EADDRINUSE) continue;
      return fail(Code::environment, "the mandate's listener " + l.ip.text() + " port " + std::to_string(l.port.value) +
                                         " cannot be opened: " + errno_text(errno));
    }
    sockets_.push_back(std::move(fd));
  }
  if (!sockets_.empty()) thread_ = std::thread([this] { run(); });
  return {};
}

std::string RelayListener::url(bool v4, std::string_view token) const {
  for (const auto& l : listeners_)
    if (l.ip.is_v4() == v4)
      return "http://" + (v4 ? l.ip.text() : "[" + l.ip.text() + "]") + ":" + std::to_string(l.port.value) + std::string(relay_path) +
             std::string(token);
  return {};
}

std::string RelayListener::secret(std::string_view token) const {
  // Hashed, so that the listener does not sign what strangers ask it to.
  auto signature = key_.sign(as_bytes("nora relay proof\n" + std::string(token)));
  return "nora-" + to_hex(sha256(signature)).substr(0, 32);
}

bool RelayListener::seen(std::string_view token) {
  if (!holding()) return true;
  return seen_.with([&](const auto& s) { return s.contains(std::string(token)); });
}

std::string RelayListener::answer(std::string_view request, Ip peer) {
  auto method = request.substr(0, request.find(' '));
  auto path_at = request.find(' ');
  auto path = path_at == std::string_view::npos ? std::string_view() : request.substr(path_at + 1);
  path = path.substr(0, path.find_first_of(" \r\n"));
  if (path.starts_with("http://")) path = path.find('/', 7) == std::string_view::npos ? "/" : path.substr(path.find('/', 7));
  ScanPage::Response out;
  if (path.starts_with(relay_path)) {
    out.status = 404;
    out.type = "text/plain";
    auto token = path.substr(relay_path.size());
    bool good = token.size() == 16 &&
                std::all_of(token.begin(), token.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (good) {
      out.status = 200;
      out.body = secret(token) + "\n";
      seen_.with([&](auto& s) {
        if (s.size() < max_seen) s.insert(std::string(token));
      });
      env_.log.info("relay proof: token " + std::string(token) + " was asked for");
    }
  } else {
    auto head = request.find("\r\n\r\n");
    out = page_.answer(method, path, head == std::string_view::npos ? std::string_view() : request.substr(head + 4), peer);
  }
  return "HTTP/1.1 " + std::to_string(out.status) + (out.status == 200 ? " OK" : " No") + "\r\nContent-Type: " + out.type +
         "\r\nContent-Length: " + std::to_string(out.body.size()) +
         "\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
         "\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n" + out.body;
}

void RelayListener::run() {
  std::vector<Client> clients;
  while (!stop_) {
    std::vector<pollfd> p;
    for (const auto& s : sockets_) p.push_back({s.get(), static_cast<short>(clients.size() < max_clients ? POLLIN : 0), 0});
    for (const auto& c : clients) p.push_back({c.fd.get(), POLLIN, 0});
    if (poll(p.data(), p.size(), 100) < 0 && errno != EINTR) return;
    auto now = env_.clock.monotonic();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      auto& c = clients[i];
      bool over = now - c.since > client_time;
      if (p[sockets_.size() + i].revents != 0) {
        char buffer[2048];
        auto n = recv(c.fd.get(), buffer, sizeof buffer, 0);
        if (n <= 0 && errno != EAGAIN) over = true;
        if (n > 0) c.in.append(buffer, static_cast<std::size_t>(n));
        if (whole(c.in)) {
          auto out = answer(c.in, c.peer);
          (void)::send(c.fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
          over = true;
        }
        if (c.in.size() > max_request) over = true;
      }
      if (over) c.fd = Fd();
    }
    std::erase_if(clients, [](const Client& c) { return !c.fd; });
    for (std::size_t i = 0; i < sockets_.size(); ++i)
      if (p[i].revents & POLLIN) {
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        Fd fd(accept4(sockets_[i].get(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) clients.push_back({std::move(fd), address(from), {}, now});
      }
  }
}

}  // namespace nora::survey
