// The visitor's line: takes connections from a loopback listener that was opened outside the namespaces and carries them, byte for
// byte, to the portal from the home in whose namespace this process runs. It adds and changes nothing: the portal sees a TCP peer.
// One thread, poll; limits below. Used by `nora demo`, one process per playable home, and one for each of the desk and ISP pages.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/ip.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr std::size_t max_connections = 256, buffer_bytes = 64 * 1024;

struct Pipe {
  int from = -1, to = -1;
  std::string data;
  bool ended = false, closed = false;  // nothing more comes; the other side was told
};
struct Pair {
  Fd client, server;
  Pipe up, down;
  bool connecting = true;
};

Fd connect_to(const std::string& target) {
  if (target.starts_with('/')) {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, target.c_str(), sizeof to.sun_path - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) return Fd();
    return fd;
  }
  auto colon = target.rfind(':');
  auto ip = Ip::parse(std::string_view(target).substr(0, colon));
  std::uint16_t port = 0;
  std::from_chars(target.data() + colon + 1, target.data() + target.size(), port);
  if (!ip || !ip->is_v4() || port == 0) return Fd();
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(ip->v4_value());
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

// Moves what there is; returns false when the pair is done for.
bool move(Pipe& p, short from_events, short to_events) {
  if (!p.ended && p.data.size() < buffer_bytes && (from_events & (POLLIN | POLLHUP | POLLERR))) {
    char buffer[16384];
    ssize_t n = ::recv(p.from, buffer, sizeof buffer, 0);
    if (n > 0) p.data.append(buffer, static_cast<std::size_t>(n));
    else if (n == 0) p.ended = true;
    else if (errno != EAGAIN && errno != EINTR) return false;
  }
  if (!p.data.empty() && (to_events & (POLLOUT | POLLERR))) {
    ssize_t n = ::send(p.to, p.data.data(), p.data.size(), MSG_NOSIGNAL);
    if (n > 0) p.data.erase(0, static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR) return false;
  }
  if (p.ended && p.data.empty() && !p.closed) {
    ::shutdown(p.to, SHUT_WR);
    p.closed = true;
  }
  return true;
}

}  // namespace

int relay(const std::vector<std::string>& args) {
  if (args.size() != 2) return 2;
  int listener = -1;
  std::from_chars(args[0].data(), args[0].data() + args[0].size(), listener);
  ::fcntl(listener, F_SETFL, O_NONBLOCK);
  std::list<Pair> pairs;
  for (;;) {
    std::vector<pollfd> fds;
    fds.push_back({pairs.size() < max_connections ? listener : -1, POLLIN, 0});
    for (auto& p : pairs) {
      auto wants = [](const Pipe& in, const Pipe& out) {
        return static_cast<short>((!in.ended && in.data.size() < buffer_bytes ? POLLIN : 0) | (!out.data.empty() ? POLLOUT : 0));
      };
      short client = p.connecting ? 0 : wants(p.up, p.down), server = p.connecting ? POLLOUT : wants(p.down, p.up);
      fds.push_back({client || !p.connecting ? p.client.get() : -1, client, 0});
      fds.push_back({p.server.get(), server, 0});
    }
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return 1;
    std::size_t i = 1;
    for (auto it = pairs.begin(); it != pairs.end(); i += 2) {
      short c = fds[i].revents, s = fds[i + 1].revents;
      bool good = true;
      if (it->connecting && s) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(it->server.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        good = error == 0;
        it->connecting = false;
      } else if (!it->connecting && (c || s)) {
        good = move(it->up, c, s) && move(it->down, s, c);
        // After a half-close poll() keeps saying POLLHUP; both directions ended means done.
        if ((it->up.closed && it->down.closed) || ((c & POLLHUP) && it->up.closed) || ((s & POLLHUP) && it->down.closed)) good = false;
      }
      it = good ? std::next(it) : pairs.erase(it);
    }
    if (fds[0].revents & POLLIN) {
      Fd client(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client) continue;
      auto server = connect_to(args[1]);
      if (!server) continue;
      auto& p = pairs.emplace_back();
      p.client = std::move(client);
      p.server = std::move(server);
      p.up = {p.client.get(), p.server.get(), {}, false, false};
      p.down = {p.server.get(), p.client.get(), {}, false, false};
    }
  }
}

}  // namespace nora::neighbourhood
