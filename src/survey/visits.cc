#include "survey/visits.h"

#include <algorithm>

namespace nora::survey {
namespace {

constexpr Span gap = Span::ms(200), social_gap = Span::seconds(10);  // ARCHITECTURE.md, politeness
constexpr Span again = Span::ms(50);
constexpr std::size_t max_remembered = 100'000;
// What a port that gives no hint is asked, in order: what it says by itself, the one request that most services answer in their own way, the
// same inside TLS, then the protocols that answer to nothing but themselves.
constexpr std::string_view guesses[] = {"listen", "http", "https", "rtsp", "mqtt", "socks5"};
// Conversations that begin by the number of the port; the first that the catalogue names for it and that is permitted.
constexpr std::string_view by_port[] = {
    "dvr",   "listen", "version", "version-tls", "https", "rtsp", "mqtt",  "socks5", "adb",    "cwmp", "sip-tcp", "smb",     "rdp",     "x11",
    "afp",   "amqp",   "redis",   "memcached-tcp", "mongodb", "portmap-tcp", "nfs",   "pptp", "ntrip", "modbus", "s7",   "enip",    "dnp3",    "iec104",  "slmp",
    "fox",   "foxs",   "opcua",   "hart-ip", "ge-srtp", "lantronix-tcp", "http"};
// The description of a gateway's UPnP lies at the path that its SSDP answer names; Realtek's SDK serves it at this port and path [unverified].
constexpr std::uint16_t realtek_port = 52869;
constexpr std::string_view realtek_description = "/picsdesc.xml";
constexpr std::uint16_t proxy_ports[] = {3128, 8080, 8118, 8888};
constexpr std::uint16_t dns_port = 53;

bool contains(const std::vector<std::string>& v, std::string_view s) { return std::find(v.begin(), v.end(), s) != v.end(); }

// Asked about a port that has been understood: whatever comes back, the port's own reply stands already.
bool is_side_question(std::string_view probe) {
  return probe == "http-relay" || probe == "ipp" || probe == "hnap" || probe == "favicon" || probe == "favicon-tls" || probe == "igd";
}

// The conversation that asks a protocol properly.
std::string_view script_of(std::string_view protocol) {
  static constexpr std::pair<std::string_view, std::string_view> scripts[] = {
      {"ssh", "listen"},   {"rfb", "listen"},     {"telnet", "listen"},  {"ftp", "listen"},   {"smtp", "listen"}, {"pop3", "listen"},
      {"imap", "listen"},  {"rsync", "listen"},   {"http", "http"},      {"https", "https"},  {"tls", "https"},   {"rtsp", "rtsp"},
      {"mqtt", "mqtt"},    {"socks5", "socks5"},  {"modbus", "modbus"},  {"ipp", "ipp"},      {"upnp", "upnp"},   {"sip", "sip-tcp"},
      {"redis", "redis"},  {"memcached", "memcached-tcp"}, {"amqp", "amqp"}, {"mongodb", "mongodb"}, {"adb", "adb"},     {"ntrip", "ntrip"},
      {"fox", "fox"}};
  for (auto [name, script] : scripts)
    if (name == protocol) return script;
  return "";
}

}  // namespace

bool is_relay_test(std::string_view probe) { return probe == "http-relay" || probe == "socks4-relay"; }

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

bool Visits::at_home(std::string_view id, std::uint16_t port) const {
  const auto* probe = probes_.find(id);
  return probe != nullptr && probe->proto == Proto::tcp && std::find(probe->ports.begin(), probe->ports.end(), port) != probe->ports.end();
}

std::string Visits::first_guess(Ip ip, std::uint16_t port) const {
  if (port == realtek_port && allowed_(ip, port, "upnp")) return "upnp";
  for (auto id : by_port)
    if (at_home(id, port) && allowed_(ip, port, id)) return std::string(id);
  return "listen";
}

std::string Visits::usual_service(std::uint16_t port) const {
  for (auto id : {"telnet", "ftp", "ssh", "rfb", "smtp", "pop3", "imap", "rsync"})
    if (at_home(id, port)) return id;
  for (auto id : by_port)
    if (at_home(id, port)) return std::string(id);
  return "listen";
}

void Visits::queue(Visit visit, Span due) {
  auto ip = visit.ip;
  devices_[ip].push_back(std::move(visit));
  due_.emplace(due.us, ip);
  ++waiting_;
}

void Visits::add(Visit visit) {
  if (visit.probe.empty()) {
    visit.probe = first_guess(visit.ip, visit.port);
    if (visit.probe == "upnp") visit.path = realtek_description;
  }
  queue(std::move(visit), Span{});
}

ScriptSpec Visits::spec_of(const Visit& visit, Ip source) const {
  ScriptSpec spec;
  spec.probe = visit.probe;
  spec.ip = visit.ip;
  spec.port = visit.port;
  spec.own = source.text();
  spec.path = visit.path;
  spec.service = visit.service;
  spec.ssh_allowed = allowed_(visit.ip, visit.port, "ssh");
  spec.rfb_allowed = allowed_(visit.ip, visit.port, "rfb");
  spec.describe_allowed = allowed_(visit.ip, visit.port, "rtsp-describe");
  return spec;
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

// What else a page is worth asking: once, each within the catalogue's ports or on a hint of the page itself.
void Visits::side_questions(Visit& v, const Parsed& page) const {
  const bool tls = page.protocol == "https";
  const auto* status = page.find("http.status");
  const bool shows = status && (*status == "200" || *status == "401");
  const bool proxy_port = std::find(std::begin(proxy_ports), std::end(proxy_ports), v.port) != std::end(proxy_ports);
  if (page.printer_suspect || v.port == 631) v.side.push_back("ipp");
  if (!tls && (page.proxy_suspect || proxy_port)) v.side.push_back("http-relay");
  if (!tls && shows && at_home("hnap", v.port)) v.side.push_back("hnap");
  if (shows) v.side.push_back(tls ? "favicon-tls" : "favicon");
}

std::string Visits::follow_up(Visit& v, const std::optional<Parsed>& parsed) {
  const auto& last = v.tried.back();
  auto may = [&](std::string_view probe) { return !contains(v.tried, probe) && allowed_(v.ip, v.port, probe); };
  bool understood = parsed && !parsed->protocol.empty() && parsed->protocol != "tcp";
  // The one second conversation with a controller: the other of the two places at which an S7 station listens.
  if (last == "s7" && understood && parsed->protocol == "iso-tsap" && may("s7-200")) return "s7-200";
  if (static_cast<int>(v.tried.size()) >= max_conversations_per_port || v.social) return {};
  if (understood && !is_side_question(last)) {
    auto script = script_of(parsed->protocol);
    if (!script.empty() && script != last && may(script)) return std::string(script);  // another protocol than the one asked for
    if (parsed->protocol == "http" || parsed->protocol == "https") {
      if (!parsed->redirect.empty() && v.path == "/" && parsed->redirect != "/") {
        v.path = parsed->redirect;
        return last;
      }
      side_questions(v, *parsed);
    }
    if (parsed->protocol == "upnp" && !parsed->control_path.empty() && parsed->control_service <= std::size(wan_services)) {
      v.side.push_back("igd");
      v.path = parsed->control_path;
      v.service = wan_services[parsed->control_service - 1];
    }
  }
  while (!v.side.empty()) {
    auto next = std::move(v.side.front());
    v.side.erase(v.side.begin());
    if (may(next)) return next;
  }
  if (understood || v.reported || is_side_question(last) || v.port == dns_port || v.unanswered >= max_attempts) return {};
  if (!v.key_path.empty() || last == "dvr") return {};  // a description that SSDP named; a recorder's own port is listened to and no more
  v.path = "/";
  for (auto id : by_port)
    if (at_home(id, v.port) && may(id)) return std::string(id);
  if (at_home("socks5", v.port) && may("socks4-relay")) return "socks4-relay";  // SOCKS4 has no greeting: the relay is its only question
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
