#include "neighbourhood/lines.h"

#include <fmt/core.h>

#include "neighbourhood/plan.h"

namespace nora::neighbourhood {
namespace {

constexpr std::int64_t session_age_s = 5 * 3600 + 40 * 60;

// People of Hikari beside those with a device: who had an address before, who gets one after.
constexpr std::string_view former = "hk2101", next_socks = "hk2102", next_proxy = "hk2103";

std::string account(std::string_view user) { return fmt::format("{}@hikari.example", user); }

std::string user_of(const Device& d) {
  // The last number of the address keeps accounts recognisable in a log: hk1010 holds 203.0.113.10.
  auto dot = d.v4.rfind('.');
  return fmt::format("hk1{:0>3}", d.v4.substr(dot + 1));
}

struct Open {
  std::string user, ip, v6_prefix, port;
  std::int64_t started_s;
};

void open_session(std::vector<Accounting>& out, const Open& s, std::int64_t last_s) {
  auto session = fmt::format("{:08X}", std::hash<std::string>{}(s.user + s.ip + s.port + std::to_string(s.started_s)) & 0xffffffff);
  out.push_back({Accounting::Kind::start, s.user, session, s.ip, s.v6_prefix, s.port, s.started_s, s.started_s});
  for (auto at = s.started_s + interim_interval_s; at <= last_s; at += interim_interval_s)
    out.push_back({Accounting::Kind::interim, s.user, session, s.ip, s.v6_prefix, s.port, at, s.started_s});
}

std::string prefix_of(const Device& d) {
  if (d.v6.empty()) return {};
  return fmt::format("{}::/64", d.v6.substr(0, d.v6.find("::")));
}

}  // namespace

std::vector<Line> lines_of(std::string_view isp) {
  static constexpr std::string_view family[] = {"Aoki", "Baba", "Chiba", "Doi", "Endo", "Fujita", "Goto", "Hara", "Ikeda", "Jinno", "Kudo", "Mori", "Noda", "Oka", "Sato", "Tani"};
  std::vector<Line> out;
  auto add = [&](std::string key, bool english) {
    auto n = out.size();
    auto name = fmt::format("{} {}", family[n % std::size(family)], n % 2 ? "Hanako" : "Taro");
    out.push_back({fmt::format("{}-{:05}", isp == "hikari" ? "H" : "S", 20001 + n), std::string(isp), std::move(key), name,
                   fmt::format("line{}@{}", 20001 + n, isp == "hikari" ? "mail.hikari.example" : "mail.sakura.example"), english ? "en" : "ja"});
  };
  for (const auto& d : devices) {
    if (d.isp != isp || d.id == "hk-excluded") continue;
    if (isp == "hikari") add(account(user_of(d)), d.id == "hk-telnet");
    else add(d.id == "sk-mape" ? fmt::format("prefix:{}", plan::mape_user6) : fmt::format("mac:{}", d.mac), false);
  }
  if (isp == "hikari")
    for (auto user : {former, next_socks, next_proxy}) add(account(user), false);
  return out;
}

std::vector<Accounting> history() {
  std::vector<Accounting> out;
  int port = 1;
  for (const auto& d : devices) {
    if (d.isp != "hikari") continue;
    auto user = account(user_of(d));
    auto place = fmt::format("eth 1/0/{}", port++);
    // Yesterday's session, on another address of the pool, properly closed.
    Accounting old{Accounting::Kind::start, user, fmt::format("A{:07X}", port), fmt::format("203.0.113.{}", 160 + port), {}, place, -30 * 3600, -30 * 3600};
    out.push_back(old);
    old.kind = Accounting::Kind::interim;
    old.at_s = -18 * 3600;
    out.push_back(old);
    old.kind = Accounting::Kind::stop;
    old.at_s = -session_age_s - 60;
    out.push_back(old);
    open_session(out, {user, std::string(d.v4), prefix_of(d), place, -session_age_s + port}, -1);
    // The same account dialled in from a second port: whose line is it?
    if (d.id == "hk-upnp") open_session(out, {user, "203.0.113.46", {}, "eth 1/0/39", -3 * 3600}, -1);
    // The customer before the present one never got its Stop recorded.
    if (d.id == "hk-resolver") open_session(out, {account(former), std::string(d.v4), {}, "eth 1/0/30", -20 * 3600}, -9 * 3600);
  }
  return out;
}

std::vector<Accounting> after_survey() {
  std::vector<Accounting> out;
  for (const auto& a : history()) {
    if (a.ip == "203.0.113.41" && a.kind == Accounting::Kind::start) {
      auto stop = a;
      stop.kind = Accounting::Kind::stop;
      stop.at_s = 0;
      out.push_back(stop);
    }
    // A last sign of life, then the Stop is lost.
    if (a.ip == "203.0.113.33" && a.kind == Accounting::Kind::start) {
      auto last = a;
      last.kind = Accounting::Kind::interim;
      last.at_s = 0;
      out.push_back(last);
    }
  }
  // started_s of the past is relative to the reference of history(); the caller shifts it.
  open_session(out, {account(next_socks), "203.0.113.41", {}, "eth 1/0/31", 1}, 1);
  open_session(out, {account(next_proxy), "203.0.113.33", {}, "eth 1/0/32", 1}, 1);
  return out;
}

}  // namespace nora::neighbourhood
