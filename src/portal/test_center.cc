#include "portal/test_center.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>

#include "base/env.h"
#include "base/escape.h"
#include "exchange/notice_code.h"

namespace nora::portal {
namespace {

void say(int fd, const json::Object& o) { (void)write_all(fd, as_bytes(json::text(o) + "\n")); }

}  // namespace

exchange::FindingView TestCenter::camera() {
  exchange::FindingView f;
  f.rule = "open-rtsp";
  f.pattern = 'C';
  f.severity = "high";
  f.vendor = "Example Works";
  f.product = "Camera EC-200";
  f.type = "IP camera";
  f.confidence = 0.96;
  f.port = 554;
  f.proto = "tcp";
  f.seen = *Instant::parse("2026-11-24T18:12:00Z");
  f.state = "open";
  f.advice = "general";
  return f;
}

std::vector<std::string> TestCenter::make_codes(int n, std::uint64_t seed) {
  SeededRandom random(seed);
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.push_back(exchange::make_notice_code(random));
  return out;
}

TestCenter::TestCenter(std::filesystem::path socket, Script script) : socket_(std::move(socket)), script_(std::move(script)) {
  std::filesystem::remove(socket_);
  listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.string().copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_.get(), 64) != 0)
    throw std::runtime_error("cannot listen on " + socket_.string());
  thread_ = std::thread([this] { serve(); });
}

TestCenter::~TestCenter() {
  stop_ = true;
  thread_.join();
  for (int i = 0; i < 500 && running_ > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::filesystem::remove(socket_);
}

void TestCenter::serve() {
  while (!stop_) {
    pollfd p{listener_.get(), POLLIN, 0};
    if (::poll(&p, 1, 50) != 1) continue;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++running_;
    std::thread([this, fd] {
      const Fd owned(fd);
      answer(fd);
      --running_;
    }).detach();
  }
}

void TestCenter::answer(int fd) {
  std::string line;
  char c;
  while (line.size() < exchange::max_line_bytes && ::recv(fd, &c, 1, 0) == 1 && c != '\n') line += c;
  const auto request = json::parse_object(line);
  if (!request) return;
  const auto script = script_.with([](const Script& s) { return s; });
  const auto op = json::string_or(*request, "op"), code = json::string_or(*request, "code");
  const bool known = std::find(script.codes.begin(), script.codes.end(), code) != script.codes.end();
  const bool closed = closed_.with([&](auto& m) { return m[code]; });
  auto finding = script.finding;
  if (closed) finding.state = "fixed";
  if (op == "notice" || op == "tell") {
    if (op == "notice") seen_.with([](Seen& s) { ++s.notices; });
    if (!known) return say(fd, {{"error", {{"code", "not_found"}, {"what", "no such notice"}, {"fix", ""}}}});
    if (op == "tell") {
      const auto what = json::string_or(*request, "what");
      seen_.with([&](Seen& s) { s.told.push_back(code + " " + what); });
      if (what == "unplugged" || what == "did_it") closed_.with([&](auto& m) { m[code] = true; });
      return say(fd, {{"ok", true}});
    }
    exchange::NoticeView view;
    view.case_state = closed ? "S6U_USER_SAYS_FIXED" : script.state;
    view.isp_name = "Example Net Hikari";
    view.word1 = "紫陽花";
    view.word2 = "灯台";
    view.noticed = script.finding.seen + Span::hours(6);
    view.findings = {script.finding};
    view.sighting = script.sighting;
    return say(fd, exchange::to_json(view));
  }
  if (op != "check") return say(fd, {{"error", {{"code", "usage"}, {"what", "unknown op"}, {"fix", ""}}}});
  const auto consent = json::get_object(*request, "consent");
  seen_.with([&](Seen& s) {
    s.checked.push_back(json::string_or(*request, "ip"));
    s.consents.push_back(consent ? json::string_or(*consent, "text") : "");
  });
  const auto step = [&](exchange::CheckLine l) {
    say(fd, exchange::to_json(l));
    if (!l.done) std::this_thread::sleep_for(std::chrono::milliseconds(script.line_gap_ms));
  };
  exchange::CheckLine l;
  if (!script.refuse.empty()) {
    l.step = "refused";
    l.what = script.refuse_what;
    l.verdict = script.refuse;
    l.done = true;
    return step(l);
  }
  l.step = "started";
  step(l);
  if (script.break_after == "hang_up") return;
  if (script.break_after == "nonsense") return (void)write_all(fd, as_bytes("{{{ <script>alert(1)</script>\n"));
  if (script.break_after == "silent") {
    for (int i = 0; i < 1200 && !stop_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return;
  }
  l = {.step = "probe", .what = "rtsp-options", .port = 554, .proto = "tcp", .result = closed ? "closed" : "answered", .verdict = {}, .findings = {}, .done = false};
  step(l);
  l = {.step = "probe", .what = "http-get", .port = 80, .proto = "tcp", .result = "silent", .verdict = {}, .findings = {}, .done = false};
  step(l);
  l = {.step = "finding", .what = script.finding.rule, .port = 554, .proto = "tcp", .result = closed ? "fixed" : "still_open", .verdict = {}, .findings = {}, .done = false};
  step(l);
  l = {.step = "clear", .what = {}, .port = 0, .proto = {}, .result = {}, .verdict = {}, .findings = {}, .done = false};
  step(l);
  l = {.step = "verdict", .what = {}, .port = 0, .proto = {}, .result = {}, .verdict = closed ? "green" : "red", .findings = {finding}, .done = true};
  step(l);
}

}  // namespace nora::portal
