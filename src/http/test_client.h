// A tiny HTTP client over plain sockets for tests of http, portal, desk and isp: it sends exactly the bytes it is told and reads what comes.
// Test code only; loopback only.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "base/files.h"
#include "http/form.h"

namespace nora::http {

struct TestAnswer {
  int status = 0;                            // 0: nothing came
  std::map<std::string, std::string> headers;  // lower case names; repeated ones joined with "\n"
  std::string body;                          // chunks joined
  std::string raw;
};

class TestClient {
 public:
  // address: "127.0.0.1:4711" as Server::addresses() gives it; from: an own loopback address to come from.
  explicit TestClient(std::string address, std::string from = "127.0.0.1") : address_(std::move(address)), from_(std::move(from)) {}

  Fd connect() const {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{}, to{};
    own.sin_family = to.sin_family = AF_INET;
    ::inet_pton(AF_INET, from_.c_str(), &own.sin_addr);
    ::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own);
    const auto colon = address_.rfind(':');
    ::inet_pton(AF_INET, address_.substr(0, colon).c_str(), &to.sin_addr);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address_.substr(colon + 1))));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return Fd{};
    return fd;
  }

  // Reads until the peer closes or the time is over.
  static std::string read_all(int fd, int timeout_ms = 5000) {
    std::string out;
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      pollfd p{fd, POLLIN, 0};
      if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return out;
      char buffer[16384];
      const auto n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return out;
      out.append(buffer, static_cast<std::size_t>(n));
    }
  }

  TestAnswer send(std::string_view bytes, int timeout_ms = 5000) const {
    auto fd = connect();
    if (!fd || !write_all(fd.get(), as_bytes(bytes))) return {};
    return parse(read_all(fd.get(), timeout_ms));
  }

  TestAnswer get(std::string_view target, std::string_view more_headers = {}) const {
    return send("GET " + std::string(target) + " HTTP/1.1\r\nHost: " + address_ + "\r\nConnection: close\r\n" + std::string(more_headers) + "\r\n");
  }

  TestAnswer post(std::string_view target, const Fields& form, std::string_view more_headers = {}, int timeout_ms = 5000) const {
    const auto body = encode_form(form);
    return send("POST " + std::string(target) + " HTTP/1.1\r\nHost: " + address_ +
                    "\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                    std::string(more_headers) + "\r\n" + body,
                timeout_ms);
  }

  // The value of the hidden csrf field on a page.
  static std::string csrf(std::string_view page) {
    const auto at = page.find("name=\"csrf\" value=\"");
    if (at == std::string_view::npos) return {};
    const auto from = at + 19;
    return std::string(page.substr(from, page.find('"', from) - from));
  }

  static TestAnswer parse(std::string raw) {
    TestAnswer a;
    a.raw = std::move(raw);
    const auto end = a.raw.find("\r\n\r\n");
    if (end == std::string::npos || !a.raw.starts_with("HTTP/1.")) return a;
    a.status = std::atoi(a.raw.c_str() + 9);
    for (std::size_t at = a.raw.find("\r\n") + 2; at < end + 2;) {
      const auto line_end = a.raw.find("\r\n", at);
      const auto line = a.raw.substr(at, line_end - at);
      at = line_end + 2;
      const auto colon = line.find(": ");
      if (colon == std::string::npos) continue;
      auto name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      auto& value = a.headers[name];
      value += (value.empty() ? "" : "\n") + line.substr(colon + 2);
    }
    a.body = a.raw.substr(end + 4);
    if (a.headers["transfer-encoding"] == "chunked") a.body = unchunk(a.body);
    return a;
  }

  static std::string unchunk(std::string_view in) {
    std::string out;
    for (;;) {
      const auto line = in.find("\r\n");
      if (line == std::string_view::npos) return out;
      const auto size = std::strtoul(std::string(in.substr(0, line)).c_str(), nullptr, 16);
      if (size == 0 || in.size() < line + 2 + size) return out;
      out += in.substr(line + 2, size);
      in.remove_prefix(std::min(in.size(), line + 4 + size));
    }
  }

 private:
  std::string address_, from_;
};

}  // namespace nora::http
