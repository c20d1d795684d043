#include "neighbourhood/isp_side.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "base/files.h"
#include "base/instant.h"
#include "neighbourhood/plan.h"
#include "neighbourhood/sockets.h"

namespace nora::neighbourhood {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr auto deadline = std::chrono::seconds(20);

std::string_view status_name(Accounting::Kind kind) {
  switch (kind) {
    case Accounting::Kind::start: return "Start";
    case Accounting::Kind::stop: return "Stop";
    default: return "Interim-Update";
  }
}

}  // namespace

Result<std::unique_ptr<IspSide>> IspSide::start(const fs::path& state, const fs::path& helper) {
  std::unique_ptr<IspSide> side(new IspSide);
  side->state_ = state;
  NORA_CHECK(side->start_kea());
  NORA_CHECK(side->start_radius());
  NORA_CHECK(side->start_nas(helper));
  NORA_CHECK(side->start_mail());
  NORA_CHECK(side->start_names());
  NORA_CHECK(side->write_customers());
  return side;
}

Status IspSide::launch(const std::string& name, Command command, std::string socket) {
  command.log = state_ / (name + ".log");
  NORA_TRY(auto pid, spawn(command));
  servers_.push_back({name, pid, std::move(socket), command.log});
  return {};
}

Status IspSide::await() {
  auto until = Clock::now() + deadline;
  for (auto& s : servers_)
    while (!listening_sockets(s.pid).contains(s.socket)) {
      if (!alive(s.pid) || Clock::now() > until)
        return fail(Code::environment, fmt::format("{} did not come up: {}", s.name, end_of_file(s.log)));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  return {};
}

Status IspSide::start_radius() {
  auto dir = state_ / "hikari-radius";
  std::error_code ec;
  for (auto sub : {"log", "run", "radacct"}) fs::create_directories(dir / sub, ec);
  // Acct-Unique-Session-Id as in the stock policy: it splits a session when the NAS leaves out NAS-Port-Id.
  NORA_CHECK(replace_file(dir / "radiusd.conf",
                          fmt::format("prefix = /usr\nlibdir = /usr/lib/freeradius\nraddbdir = {0}\nlogdir = {0}/log\nradacctdir = {0}/radacct\nrun_dir = {0}/run\n"
                                      "name = radiusd\npidfile = {0}/run/radiusd.pid\nmax_request_time = 10\ncleanup_delay = 1\nmax_requests = 1024\nhostname_lookups = no\n"
                                      "log {{\n destination = stdout\n}}\nsecurity {{\n allow_core_dumps = no\n max_attributes = 200\n reject_delay = 0\n status_server = no\n}}\n"
                                      "proxy_requests = no\nthread pool {{\n start_servers = 1\n max_servers = 2\n min_spare_servers = 1\n max_spare_servers = 1\n max_requests_per_server = 0\n}}\n"
                                      "client bras {{\n ipaddr = 203.0.113.128/27\n secret = {1}\n require_message_authenticator = no\n}}\n"
                                      "modules {{\n expr {{\n }}\n detail {{\n  filename = ${{radacctdir}}/detail-%Y%m%d\n  escape_filenames = no\n  permissions = 0644\n  header = \"%t\"\n }}\n}}\n"
                                      "server default {{\n listen {{\n  type = acct\n  ipaddr = {2}\n  port = {3}\n }}\n preacct {{\n  update request {{\n"
                                      "   &Acct-Unique-Session-Id := \"%{{md5:%{{User-Name}},%{{Acct-Session-Id}},%{{NAS-IP-Address}},%{{NAS-Identifier}},%{{NAS-Port-Id}}}}\"\n  }}\n }}\n"
                                      " accounting {{\n  detail\n }}\n}}\n",
                                      dir.string(), radius_secret, plan::hikari_radius, radius_port)));
  NORA_CHECK(replace_file(dir / "dictionary", "$INCLUDE /usr/share/freeradius/dictionary\n"));
  return launch("radius", {.argv = {"freeradius", "-f", "-d", dir.string(), "-l", "stdout"}, .netns = "hikari"}, fmt::format("udp/{}", radius_port));
}

Status IspSide::start_nas(const fs::path& helper) {
  NORA_CHECK(replace_file(state_ / "nas-sessions", ""));
  return launch("nas",
                {.argv = {helper.string(), "nas", std::string(plan::hikari_nas), std::to_string(coa_port), (state_ / "nas-sessions").string()},
                 .netns = "hikari",
                 .env = {fmt::format("NAS_SECRET={}", coa_secret)}},
                fmt::format("udp/{}", coa_port));
}

Status IspSide::start_kea() {
  auto dir = state_ / "sakura-kea";
  std::error_code ec;
  fs::create_directories(dir, ec);
  std::string reservations;
  for (const auto& d : devices)
    if (d.isp == "sakura" && d.id != "sk-mape")
      reservations += fmt::format("{}{{\"hw-address\":\"{}\",\"ip-address\":\"{}\"}}", reservations.empty() ? "" : ",", d.mac, d.v4);
  NORA_CHECK(replace_file(dir / "hook.sh",
                          fmt::format("#!/bin/sh\n# Kea's run_script hook: the evidence log of who got which address.\n"
                                      "exec 9>>{0}/hook.lock\nflock 9\n{{ echo \"== $1\"; env | grep -E '^(QUERY4|LEASES?4|DELETED)_?' | sort; echo \"TIME=$(date +%s)\"; }} >>{0}/hook.log\n", dir.string()), 0755));
  NORA_CHECK(replace_file(dir / "kea.conf",
                          fmt::format("{{\"Dhcp4\":{{\"interfaces-config\":{{\"interfaces\":[\"br0\"],\"dhcp-socket-type\":\"raw\"}},\n"
                                      "\"lease-database\":{{\"type\":\"memfile\",\"persist\":true,\"name\":\"{0}/leases4.csv\",\"lfc-interval\":0}},\n"
                                      "\"valid-lifetime\":7200,\n"
                                      "\"hooks-libraries\":[{{\"library\":\"/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so\",\"parameters\":{{\"name\":\"{0}/hook.sh\",\"sync\":false}}}}],\n"
                                      "\"subnet4\":[{{\"id\":7,\"subnet\":\"{1}\",\"interface\":\"br0\",\"option-data\":[{{\"name\":\"routers\",\"data\":\"{2}\"}}],\"reservations\":[{3}]}}],\n"
                                      "\"loggers\":[{{\"name\":\"kea-dhcp4\",\"output_options\":[{{\"output\":\"stdout\"}}],\"severity\":\"INFO\"}}]}}}}\n",
                                      dir.string(), plan::sakura_range, plan::sakura_gateway, reservations)));
  // Rules are versioned: an older one with another PSID offset ended long before this run.
  NORA_CHECK(replace_file(dir / "mape.csv",
                          fmt::format("ipv4_prefix,ipv6_prefix,ea_bits,psid_offset,psid_length,valid_from,valid_to\n"
                                      "{0}/32,{1},8,6,8,2019-04-01T00:00:00Z,2024-04-01T00:00:00Z\n{0}/32,{1},8,{2},{3},2024-04-01T00:00:00Z,\n",
                                      plan::mape_shared, plan::mape_rule6, plan::mape_psid_offset, plan::mape_psid_length)));
  NORA_CHECK(replace_file(dir / "udhcpc.sh",
                          "#!/bin/busybox sh\n# What a modem does with its lease. The address is a /32: its neighbours are reached through the gateway.\n"
                          "case $1 in bound|renew)\n  ip addr replace \"$ip/32\" dev \"$interface\"\n  ip route replace default via \"${router%% *}\" dev \"$interface\" onlink ;;\nesac\n", 0755));
  return launch("kea", {.argv = {"kea-dhcp4", "-c", (dir / "kea.conf").string()},
                        .netns = "sakura",
                        .env = {"KEA_PIDFILE_DIR=" + dir.string(), "KEA_LOCKFILE_DIR=" + dir.string()}},
                "udp/67");
}

Status IspSide::lease_addresses() {
  NORA_CHECK(await());
  std::vector<std::pair<std::string, pid_t>> clients;
  for (const auto& d : devices) {
    if (d.isp != "sakura" || d.id == "sk-mape") continue;
    NORA_TRY(auto pid, spawn({.argv = {"busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "20", "-T", "1", "-x", fmt::format("hostname:{}", d.hostname), "-s",
                                       (state_ / "sakura-kea/udhcpc.sh").string()},
                              .netns = std::string(d.id),
                              .log = state_ / fmt::format("udhcpc-{}.log", d.id)}));
    clients.emplace_back(d.id, pid);
  }
  auto until = Clock::now() + deadline;
  for (auto& [id, pid] : clients) {
    while (alive(pid)) {
      if (Clock::now() > until) return fail(Code::environment, fmt::format("{} got no address from Kea: {}", id, end_of_file(state_ / fmt::format("udhcpc-{}.log", id))));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  return {};
}

Status IspSide::start_mail() {
  for (auto [isp, address] : {std::pair{"hikari", plan::hikari_mail}, {"sakura", plan::sakura_mail}}) {
    std::error_code ec;
    fs::create_directories(mail(isp), ec);
    // Refuses to be root, also as mapped root.
    NORA_CHECK(launch(fmt::format("mail-{}", isp),
                      {.argv = {"smtp-sink", "-h", fmt::format("mx.{}.example", isp), "-d", "%Y%m%d%H%M%S.", fmt::format("{}:25", address), "100"},
                       .netns = isp, .directory = mail(isp), .plain_user = true},
                      "tcp/25"));
  }
  return {};
}

Status IspSide::start_names() {
  // The reverse names and mail hosts of this world. The center has no wire: it keeps its own copy of the name server.
  for (std::string netns : {"core", "center", "hikari", "sakura"}) {
    if (netns != "core") {
      NORA_TRY(auto ip, run({.argv = {"ip", "addr", "add", fmt::format("{}/32", plan::resolver_v4), "dev", "lo"}, .netns = netns}));
      if (ip.code != 0) return fail(Code::environment, "ip addr: " + ip.err);
    }
    Command c{.argv = {"dnsmasq", "-k", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", fmt::format("--listen-address={}", plan::resolver_v4), "--bind-interfaces", "--port=53",
                       "--pid-file=", "--user=", "--group=", "--local=/example/", "--local=/in-addr.arpa/", "--local=/ip6.arpa/",
                       "--ptr-record=130.100.51.198.in-addr.arpa,ac-ctl.kinmirai.example", "--host-record=ac-ctl.kinmirai.example,198.51.100.130",
                       fmt::format("--host-record=mail.hikari.example,{}", plan::hikari_mail), fmt::format("--host-record=mail.sakura.example,{}", plan::sakura_mail),
                       fmt::format("--host-record=portal.nora.example,{},{}", plan::portal_v4, plan::portal_v6)},
              .netns = netns, .plain_user = true};
    for (const auto& d : devices) {
      if (d.isp != "hikari" && d.isp != "sakura") continue;
      auto last = d.v4.substr(d.v4.rfind('.') + 1);
      c.argv.push_back(fmt::format("--ptr-record={}.{}.in-addr.arpa,p{}.tokyo.{}.example", last, d.isp == "hikari" ? "113.0.203" : "100.51.198", last, d.isp));
    }
    NORA_CHECK(launch("names-" + netns, c, "udp/53"));
  }
  return {};
}

Status IspSide::write_customers() const {
  for (auto isp : {"hikari", "sakura"}) {
    std::string csv = "line,keys,name,mail,language,kind\n";
    for (const auto& l : lines_of(isp)) csv += fmt::format("{},{},{},{},{},residential\n", l.line, l.key, l.name, l.mail, l.language);
    std::error_code ec;
    fs::create_directories(customers(isp).parent_path(), ec);
    NORA_CHECK(replace_file(customers(isp), csv, 0600));
  }
  return {};
}

Status IspSide::account(const std::vector<Accounting>& records, std::int64_t now_s) {
  if (reference_s_ == 0) reference_s_ = now_s;
  std::string input;
  for (const auto& r : records) {
    std::int64_t at = now_s + r.at_s;
    // A session of history() keeps its beginning when after_survey() speaks of it again.
    std::int64_t started = r.started_s <= -interim_interval_s ? reference_s_ + r.started_s : now_s + r.started_s;
    input += fmt::format("Acct-Status-Type = {}\nAcct-Session-Id = \"{}\"\nUser-Name = \"{}\"\nNAS-IP-Address = {}\nNAS-Identifier = \"bras1.hikari\"\nNAS-Port-Id = \"{}\"\n"
                         "Framed-IP-Address = {}\nEvent-Timestamp = {}\nAcct-Delay-Time = 0\n",
                         status_name(r.kind), r.session, r.user, plan::hikari_v4, r.nas_port_id, r.ip, at);
    if (!r.v6_prefix.empty()) input += fmt::format("Framed-IPv6-Prefix = {}\n", r.v6_prefix);
    if (r.kind != Accounting::Kind::start) input += fmt::format("Acct-Session-Time = {}\n", at - started);
    if (r.kind == Accounting::Kind::stop) input += "Acct-Terminate-Cause = User-Request\n";
    input += "\n";
    if (r.kind == Accounting::Kind::start) {
      std::erase_if(open_sessions_, [&](const auto& s) { return s.second == r.ip; });
      open_sessions_.emplace_back(r.session, r.ip);
    }
    if (r.kind == Accounting::Kind::stop) std::erase_if(open_sessions_, [&](const auto& s) { return s.first == r.session; });
  }
  NORA_TRY(auto done, run({.argv = {"radclient", "-q", "-n", "2000", "-p", "1", "-t", "3", "-r", "3", fmt::format("{}:{}", plan::hikari_radius, radius_port), "acct",
                                    std::string(radius_secret)},
                           .netns = "hikari"},
                          input, std::chrono::seconds(60)));
  if (done.code != 0) return fail(Code::failed, "radclient: " + done.err + done.out);
  std::string sessions;
  for (const auto& [session, ip] : open_sessions_) sessions += session + " " + ip + "\n";
  return replace_file(state_ / "nas-sessions", sessions);
}

}  // namespace nora::neighbourhood
