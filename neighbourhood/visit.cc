// A visitor: one HTTP/1.1 request over plain TCP from whatever namespace it runs in, and the whole answer on stdout (status line,
// headers, body; chunked bodies joined). Used by `nora demo --headless` to play the owner from the owner's own line, and by tests.
// METHOD "OPEN" only connects: it prints "open" when the port takes the connection.
//   visit METHOD ADDRESS:PORT PATH HOST DEADLINE_S [HEADER…]      the request body is stdin
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <iostream>
#include <iterator>

#include "base/files.h"
#include "base/ip.h"
#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr std::size_t max_answer = 8u << 20;

std::string joined_chunks(std::string_view body) {
  std::string out;
  for (;;) {
    auto end = body.find("\r\n");
    std::size_t size = 0;
    if (end == body.npos || std::from_chars(body.data(), body.data() + end, size, 16).ec != std::errc{} || size == 0) return out;
    body.remove_prefix(end + 2);
    out += body.substr(0, size);
    if (body.size() < size + 2) return out;
    body.remove_prefix(size + 2);
  }
}

}  // namespace

int visit(const std::vector<std::string>& args) {
  if (args.size() < 5) return 2;
  auto colon = args[1].rfind(':');
  auto ip = Ip::parse(std::string_view(args[1]).substr(0, colon));
  auto port = parse_port(std::string_view(args[1]).substr(colon + 1));
  int deadline_s = 0;
  std::from_chars(args[4].data(), args[4].data() + args[4].size(), deadline_s);
  if (!ip || !ip->is_v4() || !port || deadline_s < 1) return 2;
  std::string body{std::istreambuf_iterator<char>(std::cin), {}};
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: text/html\r\n", args[0], args[2], args[3]);
  for (std::size_t i = 5; i < args.size(); ++i) request += args[i] + "\r\n";
  if (args[0] == "POST") request += fmt::format("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.size());
  request += "\r\n" + body;

  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(deadline_s);
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{deadline_s, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port->value);
  to.sin_addr.s_addr = htonl(ip->v4_value());
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    fmt::print(stderr, "visit: {}\n", errno_text(errno));
    return 1;
  }
  if (args[0] == "OPEN") {
    std::cout << "open\n";
    return 0;
  }
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return 1;
  std::string answer;
  while (answer.size() < max_answer) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd p{fd.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) {
      fmt::print(stderr, "visit: no end of the answer within {} s\n", deadline_s);
      break;
    }
    char buffer[65536];
    ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  auto end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return 1;
  auto head = answer.substr(0, end + 4);
  auto rest = answer.substr(end + 4);
  if (head.find("ransfer-Encoding: chunked") != std::string::npos || head.find("ransfer-encoding: chunked") != std::string::npos) rest = joined_chunks(rest);
  std::cout << head << rest;
  return 0;
}

}  // namespace nora::neighbourhood
