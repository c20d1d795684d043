// The demo world for real: builds it in namespaces, asks every device by plain clients, and tries what the demo relies on: leases,
// accounting, the NAS, mail, the bounded attack, patching and unplugging. Needs the unpacked stand-in servers (make deps).
#include "neighbourhood/world.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "neighbourhood/namespaces.h"

namespace nora::neighbourhood {
namespace {

namespace fs = std::filesystem;

// Inside the namespaces GoogleTest's bookkeeping would be lost with the process: checks are counted and printed here.
struct Checks {
  int failed = 0;
  void that(bool good, std::string_view what, std::string_view seen = {}) {
    if (good) return;
    ++failed;
    fmt::print(stderr, "FAILED: {}: {}\n", what, seen.substr(0, 400));
  }
};

std::string out_of(Command command, std::string_view input = {}) {
  auto done = run(command, input, std::chrono::seconds(60));
  return done ? done->out : done.error().text();
}

// What devices.md promises, as "id | … | text" of nora-neighbour faces.
constexpr std::pair<std::string_view, std::string_view> promises[] = {
    {"hk-telnet | telnet", "Logitec LAN-W300N/R Ver.2.27"},   {"hk-telnet | telnet", "LAN-W300NR login: "},
    {"hk-telnet | http", "Basic realm=\"LAN-W300N/R\""},      {"hk-ssh | ssh 22 |", "SSH-2.0-dropbear_2012.55"},
    {"hk-ssh | ssh 22 v6 |", "SSH-2.0-dropbear_2012.55"},     {"hk-ssh | http", "BUFFALO WHR-HP-G300N"},
    {"hk-resolver | dns version", "dnsmasq-2.90"},            {"hk-resolver | http", "ELECOM WRC-1167GST2"},
    {"hk-ntp | ntp mode 6", "version=\"ntpd ntpsec-1.2.2\""}, {"hk-ntp | http", "TS-2560 NTP Server"},
    {"hk-proxy | http 8080", "Server: tinyproxy/1.11.1"},     {"hk-proxy | http 80", "OpenBlocks IoT VX2"},
    {"hk-socks | socks", "\\x05\\x00"},                       {"hk-socks | http", "MZK-MF300N"},
    {"hk-upnp | ssdp", "rootDesc.xml"},                       {"hk-upnp | description", "<modelName>Aterm WG1200HP4</modelName>"},
    {"hk-recorder | http", "UDR-JA1604 DVR"},                 {"hk-unknown-1 | telnet", "** ctl console **"},
    {"hk-unknown-2 | http", "Device Console"},                {"hk-healthy | http", "(no connection)"},
    {"hk-camera | http", "BB-HCM715 Network Camera"},         {"hk-camera | rtsp", "application/sdp"},
    {"hk-tls | 203.0.113.83:443", "CN = HDL2-AA"},            {"hk-tls | [2001:db8:1000:83::83]:443", "CN = HDL2-AA"},
    {"sk-nas | ftp", "220 Buffalo LinkStation LS220D FTP"},   {"sk-nas | http", "LinkStation LS220D"},
    {"sk-mqtt | mqtt", " \\x02\\x00\\x00"},                   {"sk-mqtt | http", "SolarView Compact"},
    {"sk-printer | http", "Canon LBP6040"},                   {"sk-printer | ipp", "application/ipp"},
    {"sk-mape | http 9030", "Network Camera VB-S30D"},        {"sk-mape | http 80", "(no connection)"},
    {"sk-coap | coap", "</kinmirai/hems-gw1>"},               {"sk-vnc | rfb", "RFB 003.008\\n\\x01\\x01"},
    {"sk-vnc | http", "Pro-face GP4501TW"},                   {"sk-snmp | http", "YAMAHA-RT RTX1200"},
    {"sk-unknown-3 | http", "Device Console"},                {"sk-unknown-4 | telnet", "ctl login: "},
    {"biz-plc | modbus", "FX5U-32M"},                         {"biz-plc | http", "保守の山田"},
};

bool answers(const fs::path& helper, const std::string& from, const std::string& target) {
  auto done = run({.argv = {helper.string(), "visit", "GET", target, "/", target.substr(0, target.find(':')), "2"}, .netns = from});
  return done && done->code == 0 && done->out.starts_with("HTTP/1.1");
}

std::string coa(const fs::path&, std::string_view attributes, std::string_view secret = coa_secret) {
  return out_of({.argv = {"radclient", "-x", "-t", "1", "-r", "1", fmt::format("{}:{}", plan::hikari_nas, coa_port), "coa", std::string(secret)}, .netns = "hikari"}, attributes);
}

int play(const fs::path& state, const fs::path& helper) {
  Checks check;
  auto built = World::build({state, helper});
  if (!built) {
    check.that(false, "world", built.error().text());
    return check.failed;
  }
  auto& w = **built;
  // A bound against a hang; the figure itself (1.7 s on an idle machine) is printed, not judged: a busy machine is no fault of the world.
  constexpr double hang_s = 60;
  check.that(w.seconds_to_start() < hang_s, "all devices come up", fmt::format("{:.1f} s", w.seconds_to_start()));

  auto faces = out_of({.argv = {helper.string(), "faces"}, .netns = "scan"});
  for (auto [where, text] : promises) {
    bool found = false;
    for (std::size_t at = 0; at < faces.size();) {
      auto end = std::min(faces.find('\n', at), faces.size());
      auto line = std::string_view(faces).substr(at, end - at);
      found = found || (line.starts_with(where) && line.find(text) != line.npos);
      at = end + 1;
    }
    check.that(found, where, text);
  }
  // An idle wire is silent: nothing has reached the two homes that nobody asked.
  for (std::string netns : {"hk-excluded", "outside"}) {
    auto dev = out_of({.argv = {"cat", "/proc/self/net/dev"}, .netns = netns});
    long long bytes = -1, packets = -1;
    if (auto at = dev.find("eth0:"); at != std::string::npos) std::sscanf(dev.c_str() + at + 5, "%lld %lld", &bytes, &packets);
    check.that(packets == 0, "no packet at " + netns, std::to_string(packets));
  }

  // Kea: a lease for every home of Sakura, in the hook's log, records not interleaved.
  auto log = read_file(w.isp().kea_log()).value_or("");
  int leases = 0;
  for (auto at = log.find("== leases4_committed\n"); at != std::string::npos; at = log.find("== leases4_committed\n", at + 1)) {
    ++leases;
    check.that(log.compare(at + 21, 20, "DELETED_LEASES4_SIZE") == 0, "a record of the hook log is whole", log.substr(at, 80));
  }
  check.that(leases == 8, "eight leases", std::to_string(leases));

  // RADIUS: everything that was sent stands in the detail file.
  auto now = ::time(nullptr);
  check.that(w.isp().account(history(), now).has_value(), "accounting history");
  std::string detail;
  for (const auto& file : fs::directory_iterator(w.isp().radius_detail())) detail += read_file(file.path()).value_or("");
  std::size_t records = 0;
  for (auto at = detail.find("\tAcct-Status-Type"); at != std::string::npos; at = detail.find("\tAcct-Status-Type", at + 1)) ++records;
  check.that(records == history().size(), "every accounting record arrived", fmt::format("{} of {}", records, history().size()));

  // The NAS: one key alone is refused, a foreign session is refused, a wrong secret gets no answer.
  std::string session;
  for (const auto& a : history())
    if (a.ip == "203.0.113.52" && a.kind == Accounting::Kind::start) session = a.session;
  auto target = fmt::format("Acct-Session-Id = \"{}\"\nFramed-IP-Address = 203.0.113.52\n", session);
  check.that(coa(helper, "Framed-IP-Address = 203.0.113.52\nFilter-Id = \"walled-garden\"\n").find("Session-Context-Not-Found") != std::string::npos, "one key is refused");
  check.that(coa(helper, "Acct-Session-Id = \"00000000\"\nFramed-IP-Address = 203.0.113.52\nFilter-Id = \"walled-garden\"\n").find("CoA-NAK") != std::string::npos, "a foreign session is refused");
  check.that(coa(helper, target + "Filter-Id = \"open\"\n", "wrong").find("CoA-ACK") == std::string::npos, "a wrong secret is not answered");
  check.that(answers(helper, "biz-plc", "203.0.113.52:80") && answers(helper, "hk-recorder", "198.51.100.130:80"), "open before");
  check.that(coa(helper, target + "Filter-Id = \"block-in:80\"\n").find("CoA-ACK") != std::string::npos, "block-in acknowledged");
  check.that(!answers(helper, "biz-plc", "203.0.113.52:80") && answers(helper, "hk-recorder", "198.51.100.130:80"), "only the port inbound is closed");
  check.that(answers(helper, "biz-plc", "203.0.113.77:80"), "the neighbour is not touched");
  check.that(coa(helper, target + "Filter-Id = \"walled-garden\"\n").find("CoA-ACK") != std::string::npos, "walled garden acknowledged");
  check.that(!answers(helper, "hk-recorder", "203.0.113.77:80"), "the walled home reaches nobody");
  check.that(coa(helper, target + "Message-Authenticator = 0x00\nFilter-Id = \"open\"\n").find("CoA-ACK") != std::string::npos, "release acknowledged, with Message-Authenticator");
  check.that(answers(helper, "biz-plc", "203.0.113.52:80") && answers(helper, "hk-recorder", "198.51.100.130:80"), "open after");

  // The attack: as many SYNs as were asked for reach the darknet.
  auto before = out_of({.argv = {"cat", "/proc/self/net/dev"}, .netns = "darknet"});
  check.that(w.attack(40).has_value(), "attack");
  auto after = out_of({.argv = {"cat", "/proc/self/net/dev"}, .netns = "darknet"});
  auto packets = [](const std::string& dev) {
    long long bytes = 0, n = -1;
    if (auto at = dev.find("eth0:"); at != std::string::npos) std::sscanf(dev.c_str() + at + 5, "%lld %lld", &bytes, &n);
    return n;
  };
  check.that(packets(after) - packets(before) == 40, "40 packets in the darknet", std::to_string(packets(after) - packets(before)));
  check.that(!run({.argv = {helper.string(), "mirai-syn", "203.0.113.52", "8.8.8.0/24", "1"}, .netns = "hk-recorder"})->out.size() &&
                 run({.argv = {helper.string(), "mirai-syn", "203.0.113.52", "8.8.8.0/24", "1"}, .netns = "hk-recorder"})->code == 2,
             "no range but documentation ranges");

  // Patching and unplugging.
  check.that(w.close("hk-camera").has_value() && !answers(helper, "scan", "203.0.113.77:80"), "a closed device answers no more");
  check.that(w.start("hk-camera").has_value() && answers(helper, "scan", "203.0.113.77:80"), "a started device answers again");
  for (std::string id : {"hk-camera", "sk-nas"}) {
    auto address = std::string(find_device(id)->v4) + ":80";
    check.that(w.unplug(id).has_value() && !answers(helper, "scan", address), "an unplugged device is silent", id);
    check.that(w.plug(id).has_value() && answers(helper, "scan", address), "a plugged one is back", id);
  }
  return check.failed;
}

TEST(world, is_as_promised) {
  const char* set = std::getenv("NORA_STANDINS");
  fs::path root = set && *set ? fs::path(set) : fs::path(NORA_SOURCE_DIR) / "build/standins/root";
  ASSERT_TRUE(fs::exists(root)) << root << ": run `make deps`";
  std::string name = fmt::format("{}/nora-world-XXXXXX", std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp");
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  auto helper = fs::read_symlink("/proc/self/exe").parent_path() / "nora-neighbour";
  auto code = enter({root, name}, [&] { return play(name, helper); });
  if (code) EXPECT_EQ(*code, 0);
  else ADD_FAILURE() << code.error().text();
  fs::remove_all(name);
}

TEST(world, truth_file_knows_every_device_and_its_line) {
  auto text = read_file(fs::path(NORA_SOURCE_DIR) / "neighbourhood/truth.json");
  ASSERT_TRUE(text);
  std::set<std::string> lines;
  for (auto isp : {"hikari", "sakura"})
    for (const auto& l : lines_of(isp)) lines.insert(l.line);
  for (const auto& d : devices) {
    bool listed = text->find(fmt::format("\"id\": \"{}\"", d.id)) != std::string::npos;
    EXPECT_EQ(listed, d.id != "hk-healthy" && d.id != "hk-excluded" && d.id != "outside") << d.id;
  }
  for (std::size_t at = text->find("\"line\": \""); at != std::string::npos; at = text->find("\"line\": \"", at + 1)) {
    auto line = text->substr(at + 9, text->find('"', at + 9) - at - 9);
    EXPECT_TRUE(lines.contains(line) || line == "ambiguous" || line == "on-site") << line;
  }
}

}  // namespace
}  // namespace nora::neighbourhood
