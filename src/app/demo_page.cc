// The demo-only page. It exists only in the demo, on the loopback, and is served by the player's own process, one request at a time:
// a click must be able to stop and start the servers that stand in for a home's device.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/demo.h"
#include "base/escape.h"
#include "base/files.h"

namespace nora::app {
namespace {

constexpr std::size_t max_request = 8192;
constexpr int request_deadline_ms = 2000;

enum class Plugged { on, closed, out };

struct Page {
  DemoSession& s;
  std::string token;  // in every form: another site's page cannot press our buttons
  std::map<std::string, Plugged> homes;
  std::string style;  // web/nora.css; without it the page is plain
};

std::string field(std::string_view body, std::string_view name) {
  for (;;) {
    auto part = body.substr(0, body.find('&'));
    if (part.starts_with(name) && part.substr(name.size()).starts_with("=")) return std::string(part.substr(name.size() + 1));
    if (part.size() == body.size()) return {};
    body.remove_prefix(part.size() + 1);
  }
}

std::string_view words(Plugged p) {
  switch (p) {
    case Plugged::on: return "on, as delivered";
    case Plugged::closed: return "patched: its services are closed to the internet";
    default: return "unplugged: nothing answers";
  }
}

std::string html(const Page& page) {
  const auto& s = page.s;
  std::string out =
      "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Nora demo: the homes</title><link rel=\"stylesheet\" href=\"/nora.css\"></head>"
      "<body><main class=\"wrap\"><h1>Nora demo: the homes</h1><p>This page exists only in the demo. Each home below has its own line: its link opens the owners' portal <em>from that line</em>. "
      "The buttons do to the device what its owner would do.</p>";
  if (s.measured.contains("play_code"))
    out += fmt::format("<p>A notice code to play with: <strong>{}</strong> (it came to {} by mail)</p>", to_html(json::string_or(s.measured, "play_code")),
                       to_html(json::string_or(s.measured, "play_home")));
  out += "<div class=\"tw\"><table><caption>Homes</caption><thead><tr><th scope=\"col\">Home</th><th scope=\"col\">Address</th><th scope=\"col\">Its line</th><th scope=\"col\">Its device</th><th scope=\"col\">Do</th></tr></thead><tbody>";
  for (const auto& d : neighbourhood::devices) {
    if (!d.playable) continue;
    auto state = page.homes.contains(std::string(d.id)) ? page.homes.at(std::string(d.id)) : Plugged::on;
    const auto* door = s.door(fmt::format("line-{}", d.id));
    auto link = door ? fmt::format("<a href=\"{}\">portal from this line</a>", door->url()) : std::string("-");
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>", to_html(d.id), d.v4, link, words(state));
    for (auto [act, label] : {std::pair{"close", "Patch"}, {"unplug", "Unplug"}, {"start", "As delivered"}})
      out += fmt::format("<form method=\"post\" action=\"/{}\"><input type=\"hidden\" name=\"token\" value=\"{}\"><input type=\"hidden\" name=\"home\" value=\"{}\"><button class=\"btn\">{}</button></form>", act,
                         page.token, d.id, label);
    out += "</td></tr>";
  }
  out += "</tbody></table></div><h2>Other doors</h2><ul>";
  for (auto [name, text] : {std::pair{"desk", "the survey center: public overview and analysts' desk"}, {"isp-hikari", "ISP Hikari: worklist"}, {"isp-sakura", "ISP Sakura: worklist"}})
    if (const auto* door = s.door(name)) out += fmt::format("<li><a href=\"{}\">{}</a></li>", door->url(), text);
  for (const auto& link : s.links()) {
    const auto url = link.substr(0, link.find(' '));
    out += fmt::format("<li><a href=\"{}\">Log in once</a>{}</li>", to_html(url), to_html(link.substr(url.size())));
  }
  return out + "</ul><p>Ctrl-C in the terminal removes everything.</p></main></body></html>";
}

std::string answer(int status, std::string_view body, std::string_view location = {}, std::string_view type = "text/html") {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n"
                     "Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n{}\r\n{}",
                     status, status == 200 ? "OK" : status == 303 ? "See Other" : "Refused", type, body.size(), location.empty() ? "" : fmt::format("Location: {}\r\n", location), body);
}

std::string handle(Page& page, std::string_view request, const DemoDoor& door) {
  auto line = request.substr(0, request.find("\r\n"));
  // A name that was bent to 127.0.0.1 (DNS rebinding) does not match.
  if (request.find(fmt::format("\r\nHost: 127.0.0.1:{}\r\n", door.port)) == request.npos && request.find(fmt::format("\r\nHost: localhost:{}\r\n", door.port)) == request.npos)
    return answer(403, "This page answers only to its own address.");
  if (line.starts_with("GET / ")) return answer(200, html(page));
  if (line.starts_with("GET /nora.css ")) return answer(200, page.style, {}, "text/css");
  if (!line.starts_with("POST /")) return answer(404, "Not here.");
  auto body_at = request.find("\r\n\r\n");
  auto body = body_at == request.npos ? std::string_view() : request.substr(body_at + 4);
  auto home = field(body, "home");
  const auto* device = neighbourhood::find_device(home);
  if (field(body, "token") != page.token || !device || !device->playable) return answer(403, "Not from this page.");
  auto act = line.substr(6, line.find(' ', 6) - 6);
  Status done;
  auto& state = page.homes[home];
  if (state == Plugged::out && act != "unplug") done = page.s.world().plug(home);
  if (done && act == "close") {
    done = page.s.world().close(home);
    state = Plugged::closed;
  } else if (done && act == "unplug") {
    done = page.s.world().unplug(home);
    state = Plugged::out;
  } else if (done && act == "start") {
    done = page.s.world().start(home);
    state = Plugged::on;
  } else if (done) {
    return answer(404, "Not here.");
  }
  if (!done) return answer(500, to_html(done.error().text()));
  return answer(303, "", "/");
}

}  // namespace

void demo_page(DemoSession& s) {
  const auto* door = s.door("demo");
  if (!door) return;
  std::array<std::uint8_t, 16> random{};
  s.env().random.fill(random);
  Page page{s, to_hex(random), {}, read_file(s.options().data.parent_path() / "web/nora.css", 1u << 20).value_or("")};
  s.say(fmt::format("\nReady after {:.0f} s. Open the demo page and click: {}", s.seconds(), door->url()));
  for (const auto& d : s.doors()) s.say(fmt::format("  {:<18} {}", d.name, d.url()));
  if (s.measured.contains("play_code"))
    s.say(fmt::format("Notice code to play with: {} (mailed to {}). Open line-{}, type it, check (red); press Patch on the demo page; check again (green).", json::string_or(s.measured, "play_code"),
                      json::string_or(s.measured, "play_home"), json::string_or(s.measured, "play_home")));
  for (const auto& link : s.links()) s.say("  log in once: " + link);
  s.say("Ctrl-C removes everything.");
  while (!demo_interrupted()) {
    pollfd p{door->fd, POLLIN, 0};
    if (::poll(&p, 1, 500) <= 0) continue;
    Fd client(::accept4(door->fd, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) continue;
    timeval limit{request_deadline_ms / 1000, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    std::string request;
    auto complete = [&] {
      auto end = request.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      auto at = request.find("Content-Length: ");
      std::size_t length = at != std::string::npos && at < end ? std::strtoul(request.c_str() + at + 16, nullptr, 10) : 0;
      return request.size() >= end + 4 + std::min(length, max_request);
    };
    while (!complete() && request.size() < max_request) {
      char buffer[4096];
      ssize_t n = ::recv(client.get(), buffer, sizeof buffer, 0);
      if (n <= 0) break;
      request.append(buffer, static_cast<std::size_t>(n));
    }
    if (!complete()) continue;
    auto reply = handle(page, request, *door);
    std::string_view left = reply;
    while (!left.empty()) {
      ssize_t n = ::send(client.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(n));
    }
  }
}

}  // namespace nora::app
