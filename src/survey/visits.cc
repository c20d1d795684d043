#include "survey/visits.h"

#include <algorithm>

namespace nora::survey {
namespace {

constexpr Span gap = Span::ms(200), social_gap = Span::seconds(10);  // ARCHITECTURE.md, politeness
constexpr Span again = Span::ms(50);
constexpr std::size_t max_remembered = 100'000;
// Client-speaks-first protocols in the order in which they are tried on a port that gives no hint.
constexpr std::string_view guesses[] = {"listen", "http", "https", "rtsp", "mqtt", "socks5"};
constexpr std::uint16_t proxy_ports[] = {3128, 8080, 8118, 8888};

bool contains(const std::vector<std::string>& v, std::string_view s) { return std::find(v.begin(), v.end(), s) != v.end(); }

// The conversation that asks a protocol properly.
std::string_view script_of(std::string_view protocol) {
  if (protocol == "ssh" || protocol == "rfb" || protocol == "telnet" || protocol == "ftp" || protocol == "smtp") return "listen";
  if (protocol == "http" || protocol == "https" || protocol == "rtsp" || protocol == "mqtt" || protocol == "socks5" ||
      protocol == "modbus" || protocol == "ipp" || protocol == "upnp")
    return protocol;
  if (protocol == "http_proxy") return "http-relay";
  if (protocol == "tls") return "https";
  return "";
}

}  // namespace

bool Courtesy::begin(Ip ip, Span now) {
  return devices_.with([&](auto& devices) {
    if (devices.size() > max_remembered) std::erase_if(devices, [&](const auto& d) { return !d.second.busy && d.second.free_at <= now; });
    auto& s = devices[ip];
    if (s.busy || s.free_at > now) return false;
    s.busy = true;
    return true;
  });
}

void Courtesy::end(Ip ip, Span now, Span length) {
  devices_.with([&](auto& devices) { devices[ip] = {false, now + length}; });
}

std::string Visits::first_guess(std::uint16_t port) const {
  for (auto id : {"listen", "https", "rtsp", "mqtt", "socks5", "modbus", "http"}) {
    const auto* probe = probes_.find(id);
    if (probe && std::find(probe->ports.begin(), probe->ports.end(), port) != probe->ports.end()) return id;
  }
  return "listen";
}

std::string Visits::usual_service(std::uint16_t port) const {
  for (auto id : {"telnet", "ftp", "ssh", "rfb"}) {
    const auto* probe = probes_.find(id);
    if (probe && std::find(probe->ports.begin(), probe->ports.end(), port) != probe->ports.end()) return id;
  }
  return first_guess(port);
}

void Visits::queue(Visit visit, Span due) {
  auto ip = visit.ip;
  devices_[ip].push_back(std::move(visit));
  due_.emplace(due.us, ip);
  ++waiting_;
}

void Visits::add(Visit visit) {
  if (visit.probe.empty()) visit.probe = first_guess(visit.port);
  queue(std::move(visit), Span{});
}

std::optional<Visit> Visits::next(Span now) {
  // A bounded look: devices that are busy come back later.
  for (int looked = 0; looked < 256 && !due_.empty() && due_.top().first <= now.us; ++looked) {
    auto ip = due_.top().second;
    due_.pop();
    auto at = devices_.find(ip);
    if (at == devices_.end() || at->second.empty()) continue;
    if (!courtesy_->begin(ip, now)) {
      due_.emplace((now + again).us, ip);
      continue;
    }
    auto visit = std::move(at->second.front());
    at->second.pop_front();
    if (at->second.empty()) devices_.erase(at);
    --waiting_;
    return visit;
  }
  return std::nullopt;
}

void Visits::postpone(Visit visit, Span until) {
  courtesy_->end(visit.ip, until, Span{});
  auto ip = visit.ip;
  devices_[ip].push_front(std::move(visit));
  due_.emplace(until.us, ip);
  ++waiting_;
}

void Visits::conversation_over(Ip ip, bool social, Span now) { courtesy_->end(ip, now, social ? social_gap : gap); }

std::string Visits::follow_up(Visit& v, const std::optional<Parsed>& parsed) {
  if (static_cast<int>(v.tried.size()) >= max_conversations_per_port || v.social) return {};
  auto may = [&](std::string_view probe) { return !contains(v.tried, probe) && allowed_(v.ip, v.port, probe); };
  bool understood = parsed && !parsed->protocol.empty() && parsed->protocol != "tcp";
  if (understood) {
    auto script = script_of(parsed->protocol);
    if (!script.empty() && script != v.tried.back() && may(script)) return std::string(script);  // another protocol than the one asked for
    if (parsed->protocol == "http" || parsed->protocol == "https") {
      if (!parsed->redirect.empty() && v.path == "/" && parsed->redirect != "/") {
        v.path = parsed->redirect;
        return v.tried.back();
      }
      if ((parsed->printer_suspect || v.port == 631) && may("ipp")) return "ipp";
      bool proxy_port = std::find(std::begin(proxy_ports), std::end(proxy_ports), v.port) != std::end(proxy_ports);
      if (parsed->protocol == "http" && (parsed->proxy_suspect || proxy_port) && may("http-relay")) return "http-relay";
    }
    return {};
  }
  if (v.reported || v.probe == "http-relay" || v.probe == "ipp" || v.probe == "upnp" || v.port == 53 || v.unanswered >= max_attempts)
    return {};
  for (auto guess : guesses)
    if (may(guess)) return std::string(guess);
  return {};
}

Visits::Verdict Visits::judge(Visit& v, Ended ended, const std::optional<Parsed>& parsed, Span now) {
  Verdict out;
  v.tried.push_back(v.probe);
  if (ended == Ended::refused || ended == Ended::unreachable) {  // it was open a moment ago; it is not now
    out.finished = true;
    return out;
  }
  bool understood = parsed && !parsed->protocol.empty() && parsed->protocol != "tcp";
  if (!understood) {
    ++v.unanswered;
    if (parsed && (!v.fallback || v.fallback->bytes.empty())) v.fallback = *parsed;
  }
  auto next = follow_up(v, parsed);
  // An answer to the wrong question is stored only when the right one cannot be asked.
  bool asked_again = !next.empty() && understood && script_of(parsed->protocol) == next && next != v.probe;
  out.store = understood && !asked_again;
  if (out.store) v.reported = true;
  if (next.empty()) {
    out.finished = true;
    return out;
  }
  Visit follow = v;
  follow.probe = next;
  queue(std::move(follow), now);
  return out;
}

Span Visits::next_due(Span now) const {
  if (due_.empty()) return Span::ms(100);
  return Span{std::clamp<std::int64_t>(due_.top().first - now.us, 1000, 100'000)};
}

}  // namespace nora::survey
