// Every TCP conversation against genuine servers (Debian packages, unpacked privately) on a wire of its own: `nora scan run` as users start it,
// with jailed parsing, and a capture at the far end. What was learnt is compared with what the servers are; what was said is audited stream by
// stream against the table of words. A page that redirects elsewhere, and the host it points to, stand there too: no packet may reach that host.
// Needs user namespaces, overlay mounts, iproute2, tcpdump and the stand-in servers (`make standins`).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <thread>

#include "base/crypto.h"
#include "base/files.h"
#include "base/json.h"
#include "neighbourhood/devices.h"
#include "neighbourhood/namespaces.h"
#include "neighbourhood/process.h"
#include "net/frame.h"
#include "survey/answer.h"
#include "survey/words.h"

namespace nora {
namespace {

namespace fs = std::filesystem;
using neighbourhood::Command;
using neighbourhood::run;
using neighbourhood::spawn;

constexpr std::string_view own = "192.0.2.10", forbidden = "203.0.113.200", relay_base = "http://192.0.2.10:8088";
constexpr std::uint16_t relay_port = 8088;
constexpr std::size_t max_streams = 5000;

struct Server {
  std::string name, ip;
  std::uint16_t port = 0;
  std::vector<std::string> argv;
  bool as_user = true;
  std::vector<std::string> env = {};
  bool private_tmp = false;
  std::string home = "far";  // another namespace, behind the first: for a server that listens on every address, or answers from another
};

// What must be learnt of one port: the protocol, and keys by pattern ("!key": must be absent).
struct Expected {
  std::string ip;
  std::uint16_t port;
  std::string protocol;
  std::vector<std::pair<std::string, std::string>> keys;
};

class Wire {
 public:
  Wire(fs::path dir, fs::path bin) : dir_(std::move(dir)), bin_(std::move(bin)) {}

  Status build() {
    std::map<std::string, std::string> places = {{std::string(forbidden), "far"}};
    std::set<std::string> homes;
    for (const auto& s : servers_) places[s.ip] = s.home, homes.insert(s.home);
    NORA_CHECK(neighbourhood::make_netns("scan"));
    for (const auto& h : homes) NORA_CHECK(neighbourhood::make_netns(h));
    NORA_CHECK(neighbourhood::set_sysctls("far", {{"net/ipv4/ip_forward", "1"}}));
    std::string script =
        "set -e\n"
        "ip -n scan link add s0 type veth peer name far netns far\n"
        "for n in scan far; do ip -n $n link set lo up; done\n"
        "ip -n scan link set s0 address 02:00:00:00:00:0a; ip -n far link set far address 02:00:00:00:00:01\n"
        "ip -n scan addr add 192.0.2.10/24 dev s0; ip -n far addr add 192.0.2.1/24 dev far\n"
        "ip -n scan link set s0 up; ip -n far link set far up\n"
        "ip -n scan route add default via 192.0.2.1\n"
        "ip -n scan neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev s0 nud permanent\n"
        "ip -n far neigh replace 192.0.2.10 lladdr 02:00:00:00:00:0a dev far nud permanent\n";
    for (int n = 129; const auto& h : homes) {
      if (h == "far") continue;
      script += fmt::format(
          "ip -n far link add {0} type veth peer name eth0 netns {0}; ip -n far addr add 192.0.2.{1}/32 dev {0}; ip -n far link set {0} up\n"
          "ip -n {0} link set lo up; ip -n {0} link set eth0 up; ip -n {0} route add 192.0.2.{1} dev eth0; ip -n {0} route add default via 192.0.2.{1}\n",
          h, n++);
    }
    for (const auto& [ip, home] : places) {
      script += fmt::format("ip -n {} addr add {}/32 dev {}\n", home, ip, home == "far" ? "far" : "eth0");
      if (home != "far") script += fmt::format("ip -n far route add {} dev {}\n", ip, home);
    }
    // The chains that miniupnpd's package makes before it starts.
    script += "ip netns exec gate nft 'table inet filter { chain miniupnpd { }; chain prerouting_miniupnpd { }; chain postrouting_miniupnpd { }; "
              "chain forward { type filter hook forward priority 0; jump miniupnpd; }; chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }; "
              "chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }; }'\n";
    NORA_TRY(auto done, run({.argv = {"sh", "-c", script}}));
    if (done.code != 0) return fail(Code::environment, "network: " + done.err);
    return {};
  }
  std::string file(const std::string& name, std::string_view text, unsigned mode = 0644) const {
    std::error_code ec;
    fs::create_directories((dir_ / name).parent_path(), ec);
    (void)replace_file(dir_ / name, text, mode);
    return (dir_ / name).string();
  }
  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  std::string folder(const std::string& name) const {
    fs::create_directories(dir_ / name);
    return path(name);
  }
  void add(Server s) { servers_.push_back(std::move(s)); }
  const std::vector<Server>& servers() const { return servers_; }

  Status start() {
    for (const auto& s : servers_) {
      Command c;
      c.argv = s.argv;
      c.netns = s.home;
      c.env = s.env;
      c.log = dir_ / "logs" / (s.name + ".log");
      c.directory = dir_;
      c.plain_user = s.as_user;
      c.private_tmp = s.private_tmp;
      NORA_TRY(const auto pid, spawn(c));
      pids_.push_back(pid);
    }
    // Every port is open, or the server's log says why not.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::string down;
    for (const auto& s : servers_) {
      for (;;) {
        NORA_TRY(auto tried, run({.argv = {"bash", "-c", fmt::format("exec 3<>/dev/tcp/{}/{}", s.ip, s.port)}, .netns = "far"}));
        if (tried.code == 0) break;
        if (std::chrono::steady_clock::now() > until) {
          down += s.name + " did not come up: " + read_file(dir_ / "logs" / (s.name + ".log"), 1 << 20).value_or("no log").substr(0, 1500) + "\n";
          break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }
    return down.empty() ? Status{} : fail(Code::environment, down);
  }
  void stop() {
    for (auto pid : pids_) neighbourhood::end(pid);
  }
  const fs::path& dir() const { return dir_; }
  std::string nora() const { return (bin_ / "nora").string(); }
  std::string helper() const { return (bin_ / "nora-neighbour").string(); }

 private:
  fs::path dir_, bin_;
  std::vector<Server> servers_;
  std::vector<pid_t> pids_;
};

std::string ip_of(int n) { return fmt::format("203.0.113.{}", n); }
constexpr std::string_view controller = "198.51.100.130";

const Bytes& icon() {
  static const Bytes bytes = [] {
    auto b = *from_hex("000001000100101010000100040028010000160000002800000010000000200000000100040000000000800000000000000000000000");
    b.resize(318, 0x5a);
    return b;
  }();
  return bytes;
}

std::string lighttpd(Wire& w, const std::string& name, const std::string& ip, int port, const std::string& more) {
  w.file(name + "/www/index.html", "<!DOCTYPE html><html><head><title>BUFFALO WSR-3200AX4S</title></head><body><h1>WSR-3200AX4S</h1></body></html>\n");
  w.file(name + "/www/favicon.ico", as_text(icon()));
  return w.file(name + "/l.conf", fmt::format("server.document-root=\"{}\"\nserver.bind=\"{}\"\nserver.port={}\nserver.tag=\"lighttpd/1.4.39\"\nindex-file.names=(\"index.html\")\n"
                                              "mimetype.assign=(\".html\"=>\"text/html\",\".ico\"=>\"image/x-icon\",\"\"=>\"application/json\")\nserver.event-handler=\"poll\"\n{}",
                                              w.path(name + "/www"), ip, port, more));
}

// The servers and what a survey must learn of them.
std::vector<Expected> furnish(Wire& w) {
  std::vector<Expected> out;
  auto put = [&](Server s, std::string protocol, std::vector<std::pair<std::string, std::string>> keys) {
    out.push_back({s.ip, s.port, std::move(protocol), std::move(keys)});
    w.add(std::move(s));
  };
  const auto shared = w.path("shared");

  put({"dropbear", ip_of(11), 22, {"dropbear", "-F", "-E", "-r", shared + "/hostkey", "-P", w.path("db.pid"), "-p", ip_of(11) + ":22"}}, "ssh",
      {{"ssh.banner", "^dropbear_2022\\.83$"}, {"ssh.kex", "curve25519-sha256"}, {"ssh.hostkey_type", "ssh-ed25519"}, {"ssh.hostkey_sha256", "^[0-9a-f]{64}$"}});
  put({"telnetd", ip_of(12), 23, {"busybox", "telnetd", "-F", "-p", "23", "-b", ip_of(12), "-f", w.file("issue", "RTX810 Rev.11\n"), "-l", shared + "/login"}}, "telnet",
      {{"telnet.prompt", "^login$"}, {"telnet_banners", "RTX810"}});
  put({"lighttpd", ip_of(13), 80, {"lighttpd", "-D", "-f", lighttpd(w, "page", ip_of(13), 80, "")}}, "http",
      {{"html_title", "BUFFALO WSR-3200AX4S"}, {"http.header_order", "content-type,.*server"}, {"http.body_hash", "^[0-9a-f]{64}$"}});
  out.push_back({ip_of(13), 80, "favicon", {{"favicon.sha256", to_hex(sha256(icon()))}, {"favicon.mmh3", "^-?[0-9]+$"}, {"favicon.md5", "^[0-9a-f]{32}$"}}});
  put({"lighttpd-tls", ip_of(13), 443,
       {"lighttpd", "-D", "-f", lighttpd(w, "tls", ip_of(13), 443, fmt::format("server.modules=(\"mod_openssl\")\nssl.engine=\"enable\"\nssl.pemfile=\"{}/maker.pem\"\n", shared))}},
      "https", {{"x509.subject", "CN=HDL2-AA"}, {"tls.version", "TLSv1\\.3"}, {"tls.alpn", "^http/1\\.1$"}, {"x509.shape_hash", "^[0-9a-f]{64}$"}, {"html_title", "BUFFALO"}});
  out.push_back({ip_of(13), 443, "favicon", {{"favicon.sha256", to_hex(sha256(icon()))}}});
  put({"redirect", ip_of(13), 8080, {"lighttpd", "-D", "-f", lighttpd(w, "redirect", ip_of(13), 8080, fmt::format("server.modules=(\"mod_redirect\")\nurl.redirect=(\"\"=>\"http://{}/\")\n", forbidden))}},
      "http", {{"http.status", "^30[12]$"}, {"http.location", std::string(forbidden)}});
  w.add({"forbidden", std::string(forbidden), 80, {"lighttpd", "-D", "-f", lighttpd(w, "forbidden", std::string(forbidden), 80, "")}});
  w.file("version/www/version", "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"Os\":\"linux\",\"Arch\":\"amd64\"}\n");
  put({"version", ip_of(13), 2375, {"lighttpd", "-D", "-f", lighttpd(w, "version", ip_of(13), 2375, "")}}, "docker", {{"docker.api", "^1\\.41$"}});  // the document of the manual, a genuine web server
  w.file("cwmp/index.html", "<title>IGD</title>\n");
  put({"cwmp", ip_of(14), 7547, {"busybox", "httpd", "-f", "-p", "7547", "-h", w.path("cwmp"), "-r", "IGD", "-c", w.file("auth.conf", "/:admin:$1$nobody$nobody.ever.logs.in.\n")}}, "cwmp",
      {{"http.status", "^401$"}, {"http.realm", "^IGD$"}});
  put({"vsftpd", ip_of(15), 21,
       {"vsftpd", w.file("vsftpd.conf", fmt::format("listen=YES\nlisten_address={}\nanonymous_enable=YES\nbackground=NO\nftpd_banner=Buffalo LinkStation FTP\nsecure_chroot_dir={}\nanon_root={}\n"
                                                    "seccomp_sandbox=NO\nrun_as_launching_user=YES\nallow_writeable_chroot=YES\nftp_username=nobody\n",
                                                    ip_of(15), w.folder("ftp"), w.folder("ftp")))},
       false},
      "ftp", {{"ftp.banner", "^Buffalo LinkStation FTP$"}});
  put({"smtp-sink", ip_of(16), 25, {"smtp-sink", "-h", "mx.example", ip_of(16) + ":25", "64"}}, "smtp", {{"smtp.banner", "ESMTP"}});
  const auto dovecot = w.file("dovecot.conf", fmt::format("protocols = pop3 imap\nlisten = {}\nbase_dir = {}\nstate_dir = {}\nlog_path = {}\nssl = no\ndefault_internal_user = nora\ndefault_internal_group = nora\n"
                                                          "default_login_user = nora\nmail_location = maildir:{}\npassdb {{\n driver = passwd-file\n args = {}\n}}\nuserdb {{\n driver = static\n args = uid=1000 gid=1000 home=/nonexistent\n}}\n"
                                                          "service anvil {{\n chroot =\n}}\nservice imap-login {{\n chroot =\n}}\nservice pop3-login {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n",
                                                          ip_of(17), w.folder("dovecot"), w.folder("dovecot-state"), w.path("logs/dovecot.txt"), w.path("mail"), w.file("nobody", "")));
  put({"dovecot", ip_of(17), 110, {"dovecot", "-F", "-c", dovecot}}, "pop3", {{"pop3.banner", "Dovecot"}});
  out.push_back({ip_of(17), 143, "imap", {{"imap4.banner", "Dovecot"}}});
  put({"redis", ip_of(18), 6379, {"redis-server", "--bind", ip_of(18), "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", w.folder("redis")}}, "redis", {{"redis.access", "^open$"}});
  put({"redis-closed", ip_of(19), 6379, {"redis-server", "--bind", ip_of(19), "--port", "6379", "--requirepass", "nobody-will-ask", "--save", "", "--dir", w.folder("redis2")}}, "redis", {{"redis.access", "^protected$"}});
  put({"memcached", ip_of(20), 11211, {"memcached", "-l", ip_of(20), "-p", "11211", "-U", "0"}}, "memcached", {{"memcached.version", "^1\\.6\\.18$"}});
  put({"mosquitto", ip_of(21), 1883, {"mosquitto", "-c", w.file("mosquitto.conf", fmt::format("listener 1883 {}\nallow_anonymous true\n", ip_of(21)))}}, "mqtt", {{"mqtt.connack", "^0$"}});
  put({"rsync", ip_of(22), 873, {"rsync", "--daemon", "--no-detach", "--address=" + ip_of(22), "--port=873", "--config=" + w.file("rsyncd.conf", "use chroot = no\n[media]\npath = /tmp\n")}}, "rsync",
      {{"rsync.version", "^3[0-9]\\.[0-9]$"}});
  put({"rpcbind", ip_of(23), 111, {"rpcbind", "-f", "-w", "-h", ip_of(23)}, false, {}, false, "wild"}, "portmap", {{"portmap.null", "^success$"}});
  const auto smb = w.folder("smb");
  put({"smbd", ip_of(24), 445,
       {"smbd", "-F", "--no-process-group", "-s",
        w.file("smb.conf", fmt::format("[global]\ninterfaces = {0}/32\nbind interfaces only = yes\nsmb ports = 445\ndisable netbios = yes\nserver min protocol = SMB2\nguest account = root\nprivate dir = {1}\nlock directory = {1}\n"
                                       "state directory = {1}\ncache directory = {1}\npid directory = {1}\nncalrpc dir = {1}/ncalrpc\nlog file = {1}/log\nload printers = no\ndisable spoolss = yes\n",
                                       ip_of(24), smb))},
       false},
      "smb", {{"smb.dialect", "^3\\.0\\.2$"}, {"smb.signing", "^(enabled|required)$"}, {"smb.guid", "^[0-9a-f]{32}$"}});
  put({"xrdp", ip_of(25), 3389,
       {"xrdp", "--nodaemon", "--config",
        w.file("xrdp.ini", fmt::format("[Globals]\nini_version=1\nfork=true\nport=tcp://{}:3389\nsecurity_layer=negotiate\ncrypt_level=high\ncertificate={}/router.crt\nkey_file={}/router.key\nssl_protocols=TLSv1.2, TLSv1.3\n"
                                       "[Logging]\nLogFile={}\nLogLevel=INFO\nEnableSyslog=false\n[Xorg]\nname=Xorg\nlib=libxup.so\n",
                                       ip_of(25), shared, shared, w.path("logs/xrdp.txt")))},
       false},
      "rdp", {{"rdp.nla", "^not-required$"}, {"rdp.security", "^(tls|rdp)$"}});
  put({"xvfb-open", ip_of(26), 6000, {"Xvfb", ":0", "-noreset", "-ac", "-screen", "0", "64x64x8", "-listen", "tcp", "-nolisten", "local"}, true, {}, true, "wild"}, "x11", {{"x11.access", "^open$"}, {"x11.vendor", "X\\.Org"}});
  put({"xvfb", ip_of(26), 6001, {"Xvfb", ":1", "-noreset", "-screen", "0", "64x64x8", "-listen", "tcp", "-nolisten", "local"}, true, {}, true, "wild"}, "x11", {{"x11.access", "^refused$"}});
  put({"pptpd", ip_of(27), 1723,
       {"pptpd", "--fg", "--conf", w.file("pptpd.conf", fmt::format("option {}\nlisten {}\nlocalip 10.9.0.1\nremoteip 10.9.0.2-9\n", w.file("pptp.options", "lock\n"), ip_of(27)))}, false},
      "pptp", {{"pptp.vendor", "linux"}, {"pptp.result", "^1$"}});
  put({"kamailio", ip_of(28), 5060,
       {"kamailio", "-DD", "-E", "-m", "16", "-M", "4", "-Y", w.folder("kamailio"), "-P", w.path("kamailio.pid"), "-L", "/usr/lib/x86_64-linux-gnu/kamailio/modules", "-f",
        w.file("k.cfg", fmt::format("#!KAMAILIO\nlisten=tcp:{}:5060\nchildren=1\ntcp_children=1\nlog_stderror=yes\nserver_header=\"Server: Aterm SIP\"\nloadmodule \"sl.so\"\nrequest_route{{ sl_send_reply(\"200\",\"OK\"); }}\n", ip_of(28)))}},
      "sip", {{"sip_header.server", "^Aterm SIP$"}, {"sip.status", "^200$"}});
  put({"ntrip", ip_of(29), 2101, {"str2str", "-in", "tcpsvr://:9998", "-out", "ntripc://:2101/TEST:TEST;Tokyo;RTCM 3"}, true, {}, true, "wild"}, "ntrip", {{"ntrip.streams", "^1$"}, {"ntrip.server", "RTKLIB"}});
  put({"rtsp", ip_of(30), 554, {w.helper(), "rtsp-camera", ip_of(30), "554"}, true,
       {"GST_PLUGIN_SYSTEM_PATH_1_0=" + shared + "/gst", "GST_PLUGIN_PATH_1_0=", "GST_REGISTRY=" + w.path("gst-registry"), "GST_REGISTRY_FORK=no", "HOME=" + w.path("")}},
      "rtsp", {{"rtsp_header.server", "GStreamer"}, {"rtsp.describe_status", "^200$"}});
  put({"vnc", ip_of(31), 5900,
       {"Xtigervnc", ":5", "-rfbport", "5900", "-interface", ip_of(31), "-SecurityTypes", "None", "-geometry", "320x200", "-depth", "16", "-BlacklistThreshold", "100000", "-nolisten", "local"}, true, {}, true},
      "rfb", {{"rfb.version", "^003\\.008$"}, {"rfb.security_types", "^1$"}});
  put({"microsocks", ip_of(32), 1080, {"microsocks", "-i", ip_of(32), "-p", "1080"}}, "socks5", {{"socks5.method", "^00$"}});
  put({"tinyproxy", ip_of(33), 8888, {"tinyproxy", "-d", "-c", w.file("tinyproxy.conf", fmt::format("Port 8888\nListen {}\nMaxClients 20\nTimeout 30\nAllow 0.0.0.0/0\nLogFile \"{}\"\nPidFile \"{}\"\n", ip_of(33), w.path("logs/tinyproxy.txt"), w.path("tinyproxy.pid")))}},
      "http_proxy", {{"http.proxy", "^relayed$"}});
  // A gateway whose list of mappings holds one into the home and, newest, one that leads out again. It closes after each answer, so the newest is what is seen.
  const auto leases = w.file("leases", "TCP:8081:192.168.1.20:80:0:camera\nTCP:8082:198.51.100.77:80:0:foreign\n");
  put({"miniupnpd", ip_of(34), 5000,
       {"miniupnpd", "-d", "-P", w.path("miniupnpd.pid"), "-f",
        w.file("miniupnpd.conf", fmt::format("ext_ifname=eth0\next_ip=100.255.255.9\nlistening_ip={}/2\nhttp_port=5000\nenable_natpmp=no\nenable_upnp=yes\nuuid=00000000-0000-4000-8000-000000000034\nfriendly_name=Aterm WG1200HP4\n"
                                             "model_name=Aterm WG1200HP4\nmanufacturer_name=NEC Platforms, Ltd.\nserial=00000034\nsecure_mode=no\nlease_file={}\nallow 1024-65535 0.0.0.0/0 1-65535\n", ip_of(34), leases))},
       false, {}, false, "gate"},
      "upnp", {{"upnp.model_name", "Aterm WG1200HP4"}});
  out.push_back({ip_of(34), 5000, "igd", {{"igd.mappings", "^1$"}, {"igd.foreign", "^1$"}}});
  for (auto d : {"cups/spool", "cups/cache", "cups/ssl", "cups/log"}) w.folder(d);
  w.file("cups/printers.conf", "<DefaultPrinter LBP6040>\nUUID urn:uuid:00000000-0000-4000-8000-000000000015\nInfo Canon LBP6040\nMakeModel Canon LBP6040\nDeviceURI file:///dev/null\nState Idle\nAccepting Yes\nShared Yes\n</DefaultPrinter>\n");
  const auto cups_files = w.file("cups/cups-files.conf", fmt::format("SystemGroup root\nServerRoot {0}\nCacheDir {0}/cache\nStateDir {0}/cache\nRequestRoot {0}/spool\nTempDir {0}/spool\nAccessLog {0}/log/access\nErrorLog {0}/log/error\nPageLog {0}/log/page\nServerKeychain {0}/ssl\nSandboxing relaxed\n", w.path("cups")));
  put({"cups", ip_of(35), 631,
       {"cupsd", "-f", "-c", w.file("cups/cupsd.conf", fmt::format("Listen {}:631\nListen 127.0.0.1:631\nServerTokens Full\nWebInterface Yes\nBrowsing No\nDefaultAuthType None\nHostNameLookups Off\nServerAlias *\n<Location />\nOrder allow,deny\nAllow all\n</Location>\n"
                                                                   "<Policy default>\n<Limit All>\nOrder allow,deny\nAllow all\n</Limit>\n</Policy>\n", ip_of(35))),
        "-s", cups_files}},
      "ipp", {{"http_header.server", "CUPS"}});
  put({"modbus", std::string(controller), 502, {w.helper(), "modbus-plc", std::string(controller), "502"}}, "modbus", {{"modbus.device_id", "MITSUBISHI|Mitsubishi"}});
  return out;
}

struct Heard {
  std::string protocol, probe;
  json::Object keys;
};
std::multimap<std::pair<std::string, std::int64_t>, Heard> replies_of(const std::string& ndjson, json::Object& summary) {
  std::multimap<std::pair<std::string, std::int64_t>, Heard> out;
  for (std::size_t at = 0; at < ndjson.size();) {
    const auto end = std::min(ndjson.find('\n', at), ndjson.size());
    auto o = json::parse_object(std::string_view(ndjson).substr(at, end - at));
    at = end + 1;
    if (!o) continue;
    if (json::string_or(*o, "type") == "summary") summary = *o;
    if (json::string_or(*o, "type") != "reply" || json::string_or(*o, "proto") != "tcp") continue;
    out.emplace(std::pair(json::string_or(*o, "ip"), json::int_or(*o, "port", 0)), Heard{json::string_or(*o, "protocol"), json::string_or(*o, "probe"), json::get_object(*o, "keys").value_or(json::Object{})});
  }
  return out;
}
std::string value_of(const json::Object& keys, const std::string& key) {
  const auto* v = keys.if_contains(key);
  if (v == nullptr) return "(none)";
  if (const auto* s = v->if_string()) return std::string(s->c_str(), s->size());
  return json::text(*v);
}

// What we sent on each connection, put together from the capture; everything else that left us is counted.
struct Capture {
  struct Stream {
    survey::Overheard where;
    std::uint32_t first = 0;
    std::map<std::uint32_t, Bytes> pieces;  // by distance from the first byte
    Bytes said() const {
      Bytes out;
      for (const auto& [at, bytes] : pieces)
        if (at <= out.size() && at + bytes.size() > out.size()) out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(out.size() - at), bytes.end());
      return out;
    }
  };
  std::map<std::tuple<std::uint16_t, Ip, std::uint16_t>, Stream> streams;
  std::map<std::string, int> frames_to;
  int listener_frames = 0;
};
Capture read_capture(const fs::path& file) {
  Capture out;
  const auto text = read_file(file, 256 << 20).value_or("");
  const auto bytes = as_bytes(text);
  auto u32 = [&](std::size_t at) { return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 | std::uint32_t{bytes[at + 3]} << 24; };
  for (std::size_t at = 24; at + 16 <= bytes.size();) {
    const std::size_t n = u32(at + 8);
    if (at + 16 + n > bytes.size()) break;
    const auto frame = bytes.subspan(at + 16, n);
    at += 16 + n;
    const auto p = net::parse_frame(frame);
    if (!p || !p->is_ip || p->source.text() != own) continue;
    if (p->is(net::ip_tcp) && p->source_port == relay_port) {  // our own listener answers the device that relayed to it
      ++out.listener_frames;
      continue;
    }
    ++out.frames_to[p->dest.text()];
    if (!p->is(net::ip_tcp) || p->source_port >= survey::tcp_source_base) continue;
    auto& s = out.streams[{p->source_port, p->dest, p->dest_port}];
    s.where = {p->dest, p->dest_port, std::string(own), std::string(relay_base)};
    if (p->tcp_flags & net::tcp_flag::syn) s.first = p->seq + 1;
    if (!p->payload.empty()) s.pieces[p->seq - s.first] = Bytes(p->payload.begin(), p->payload.end());
  }
  return out;
}

// Two servers insist on files below /etc: an account to become (there is one user here, so it is root's number) and a key of their own.
bool prepare_etc(const fs::path& dir) {
  const auto accounts = read_file("/etc/passwd").value_or("") + "_rpc:x:0:0::/run/rpcbind:/usr/sbin/nologin\n";
  if (!replace_file(dir / "passwd", accounts, 0644) || ::mount((dir / "passwd").c_str(), "/etc/passwd", nullptr, MS_BIND, nullptr) != 0) return false;
  if (::mount("tmpfs", "/etc/xrdp", "tmpfs", 0, "mode=0755") != 0) return false;
  const auto made = run({.argv = {"xrdp-keygen", "xrdp", "/etc/xrdp/rsakeys.ini"}});
  return made && made->code == 0;
}

int play(const fs::path& dir, const fs::path& bin) {
  int failed = 0;
  auto check = [&](bool good, const std::string& what) {
    if (good) return;
    ++failed;
    std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  };
  fs::create_directories(dir / "logs");
  if (auto made = neighbourhood::prepare_shared(dir / "shared"); !made) {
    std::fprintf(stderr, "%s\n", made.error().text().c_str());
    return 1;
  }
  if (!prepare_etc(dir)) {
    std::fprintf(stderr, "/etc of the sandbox cannot be completed\n");
    return 1;
  }
  Wire w(dir, bin);
  const auto expected = furnish(w);
  for (auto step : {&Wire::build, &Wire::start})
    if (auto done = (w.*step)(); !done) {
      std::fprintf(stderr, "%s\n", done.error().text().c_str());
      return 1;
    }
  auto nora = [&](std::vector<std::string> args, const std::string& netns = {}, std::chrono::seconds deadline = std::chrono::seconds(30)) {
    args.insert(args.begin(), w.nora());
    auto done = run({.argv = args, .netns = netns, .env = {"HOME=" + dir.string()}, .directory = dir}, {}, deadline);
    if (!done || done->code != 0) std::fprintf(stderr, "nora %s: %s\n", args[1].c_str(), done ? (done->err + done->out.substr(0, 500)).c_str() : done.error().text().c_str());
    return done ? done->out : std::string();
  };
  nora({"mandate", "keygen", "--name", "authority.example", "--out", "a.key"});
  nora({"mandate", "roots", "--threshold", "1", "--out", "roots.txt", "a.key.pub"});
  std::vector<std::string> mandate = {"mandate", "new", "--out", "m.txt", "--id", "real", "--authority", "Test Authority", "--legal-basis", "Test act", "--purpose", "test", "--contact", "test@example",
                                      "--source", std::string(own), "--listener", std::string(own) + " tcp 8088", "--rate-total", "20000", "--rate-per-24", "20000", "--rate-per-target", "200", "--probes-per-day", "5000"};
  auto more = [&](std::string option, std::string value) { mandate.insert(mandate.end(), {std::move(option), std::move(value)}); };
  std::set<std::string> ranges;
  std::set<std::uint16_t> ports;
  for (const auto& s : w.servers())
    if (s.ip != forbidden) ranges.insert(s.ip), ports.insert(s.port);
  ports.insert(143);
  for (const auto& r : ranges) more("--range", r + "/32");
  for (auto p : ports) more("--port", fmt::format("tcp/{}", p));
  more("--port", "udp/1900");
  more("--social-impact", std::string(controller) + "/32");
  for (auto c : {"P0", "P1", "P2", "P3"}) more("--probe-class", c);
  nora(mandate);
  nora({"mandate", "sign", "--key", "a.key", "m.txt"});

  auto tap = spawn({.argv = {"tcpdump", "-Z", "root", "-i", "far", "-s", "2048", "-B", "16384", "-U", "--immediate-mode", "-w", w.path("wire.pcap"), "ip and src host " + std::string(own)}, .netns = "far", .log = dir / "logs/tcpdump.log"});
  check(tap.has_value(), "tcpdump");
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  const auto out = nora({"scan", "run", "--mandate", "m.txt", "--roots", "roots.txt", "--dir", "spool", "--iface", "s0", "--answer-window-ms", "400", "--no-calibration", "--json"}, "scan", std::chrono::seconds(240));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  if (tap) neighbourhood::end(*tap);
  w.stop();
  (void)replace_file(dir / "run.ndjson", out);

  json::Object summary;
  const auto heard = replies_of(out, summary);
  check(json::bool_or(summary, "complete", false), "the survey is complete: " + json::text(summary).substr(0, 600));
  for (const auto& e : expected) {
    bool found = false;
    std::string seen;
    const auto range = heard.equal_range({e.ip, e.port});
    for (auto it = range.first; it != range.second; ++it) {
      seen += it->second.protocol + "(" + it->second.probe + ") " + json::text(it->second.keys).substr(0, 400) + "; ";
      if (it->second.protocol != e.protocol) continue;
      found = true;
      for (const auto& [key, pattern] : e.keys) {
        const auto value = value_of(it->second.keys, key);
        check(std::regex_search(value, std::regex(pattern)), fmt::format("{}:{} {}: {} is \"{}\", not {}", e.ip, e.port, e.protocol, key, value, pattern));
      }
    }
    check(found, fmt::format("{}:{} is not known as {}: {}", e.ip, e.port, e.protocol, seen.empty() ? "no reply" : seen));
  }

  // The audit: every byte that we sent into a connection is among the words.
  const auto capture = read_capture(dir / "wire.pcap");
  std::map<std::string, int> conversations;
  std::size_t bytes = 0;
  check(capture.streams.size() > w.servers().size() && capture.streams.size() < max_streams, fmt::format("{} connections captured", capture.streams.size()));
  for (const auto& [id, s] : capture.streams) {
    const auto said = s.said();
    bytes += said.size();
    const auto probe = survey::conversation_of(s.where, said);
    check(probe.has_value(), fmt::format("said to {}:{} and not among the words: {}", s.where.ip.text(), s.where.port, to_hex(ByteView(said).first(std::min<std::size_t>(said.size(), 120)))));
    ++conversations[probe.value_or("?")];
  }
  for (auto probe : {"listen", "http", "https", "rtsp", "sip-tcp", "mqtt", "redis", "memcached-tcp", "smb", "rdp", "x11", "pptp", "portmap-tcp", "ntrip", "socks5", "http-relay", "ipp", "igd", "modbus"})
    check(conversations[probe] > 0, std::string("no conversation on the wire of ") + probe);
  for (const auto& [ip, n] : capture.frames_to) check(ranges.contains(ip), fmt::format("{} frames to {}, which the mandate does not name", n, ip));
  check(capture.frames_to.count(std::string(forbidden)) == 0, "a redirect led to another host");
  check(capture.listener_frames > 0, "the relay test came through");
  std::string told;
  for (const auto& [probe, n] : conversations) told += fmt::format(" {}:{}", probe, n);
  std::fprintf(stderr, "%zu servers, %zu replies, %zu connections, %zu bytes said, all among the words:%s\n", w.servers().size(), heard.size(), capture.streams.size(), bytes, told.c_str());
  if (failed != 0)
    for (const auto& entry : fs::directory_iterator(dir / "logs"))
      if (auto log = read_file(entry.path(), 1 << 20); log && std::getenv("NORA_KEEP") != nullptr) std::fprintf(stderr, "== %s\n%s\n", entry.path().filename().c_str(), log->substr(0, 2000).c_str());
  return failed == 0 ? 0 : 1;
}

TEST(RealServers, AreUnderstoodAndHearNothingButTheWords) {
  const char* set = std::getenv("NORA_STANDINS");
  const fs::path root = set && *set ? fs::path(set) : fs::path(NORA_SOURCE_DIR) / "build/standins/root";
  ASSERT_TRUE(fs::exists(root)) << root << ": run `make standins`";
  std::string name = fmt::format("{}/nora-real-XXXXXX", std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp");
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  fs::permissions(name, fs::perms(0755));
  const auto bin = fs::read_symlink("/proc/self/exe").parent_path();
  const auto code = neighbourhood::enter({root, name}, [&] { return play(name, bin); });
  if (code) EXPECT_EQ(*code, 0);
  else ADD_FAILURE() << code.error().text();
  if (std::getenv("NORA_KEEP") == nullptr) fs::remove_all(name);
}

}  // namespace
}  // namespace nora
