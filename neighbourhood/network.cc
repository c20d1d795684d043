#include "neighbourhood/network.h"

#include <fmt/core.h>

#include <cstdint>
#include <map>

#include "neighbourhood/namespaces.h"
#include "neighbourhood/plan.h"
#include "neighbourhood/process.h"

namespace nora::neighbourhood {
namespace {

// Collects the lines of `ip -batch` per namespace and runs each batch once.
class Batches {
 public:
  template <class... A>
  void add(std::string_view netns, fmt::format_string<A...> format, A&&... args) {
    lines_[std::string(netns)] += fmt::format(format, std::forward<A>(args)...) + "\n";
  }
  Status run_all() {
    for (auto& [netns, text] : lines_) {
      NORA_TRY(auto done, run({.argv = {"ip", "-batch", "-"}, .netns = netns}, text));
      if (done.code != 0) return fail(Code::environment, fmt::format("ip in {}: {}", netns, done.err));
    }
    lines_.clear();
    return {};
  }

 private:
  std::map<std::string, std::string> lines_;
};

struct End {
  std::string_view netns, device, v4, v6;  // v4 and v6: the address by which the other end knows this one
};

// A cable with both neighbours known to each other for good.
void cable(Batches& make, Batches& set, const End& a, const End& b) {
  auto mac_a = mac_of(std::string(a.netns), std::string(a.device)), mac_b = mac_of(std::string(b.netns), std::string(b.device));
  make.add(a.netns, "link add {} address {} type veth peer name {} address {} netns {}", a.device, mac_a, b.device, mac_b, b.netns);
  auto side = [&](const End& here, const End& there, const std::string& mac) {
    set.add(here.netns, "link set {} up", here.device);
    if (!there.v4.empty()) set.add(here.netns, "neigh replace {} lladdr {} dev {} nud permanent", there.v4, mac, here.device);
    if (!there.v6.empty()) set.add(here.netns, "neigh replace {} lladdr {} dev {} nud permanent", there.v6, mac, here.device);
  };
  side(a, b, mac_b);
  side(b, a, mac_a);
}

void address(Batches& set, std::string_view netns, std::string_view device, std::string_view v4, std::string_view v6) {
  if (!v4.empty()) set.add(netns, "addr add {}/32 dev {}", v4, device);
  if (!v6.empty()) set.add(netns, "addr add {}/128 dev {} nodad", v6, device);
}

void route(Batches& set, std::string_view netns, std::string_view to, std::string_view via, std::string_view device) {
  set.add(netns, "route add {} via {} dev {} onlink", to, via, device);
}

std::string short_name(std::string_view id) { return fmt::format("h-{}", id).substr(0, 15); }

// A home's own routes (and its IPv6 address), at first and again after the cable was out.
void home_side(Batches& set, const Device& d) {
  bool at_sakura = d.isp == "sakura", mape = d.id == "sk-mape";
  std::string_view gateway = at_sakura ? (mape ? plan::sakura_v4 : plan::sakura_gateway) : d.isp == "kinmirai" ? plan::biz_v4 : plan::hikari_v4;
  set.add(d.id, "route replace default via {} dev eth0 onlink", gateway);
  if (d.v6.empty()) return;
  set.add(d.id, "addr replace {}/128 dev eth0 nodad", d.v6);
  set.add(d.id, "route replace default via {} dev eth0 onlink", plan::hikari_v6);
}

}  // namespace

std::string mac_of(const std::string& netns, const std::string& device) {
  if (device == "eth0")
    if (const auto* d = find_device(netns)) return std::string(d->mac);
  // Locally administered, from a hash of the name: the same in every run (FNV-1a).
  std::uint32_t h = 2166136261u;
  for (unsigned char c : netns + "/" + device) h = (h ^ c) * 16777619u;
  return fmt::format("02:00:{:02x}:{:02x}:{:02x}:{:02x}", h >> 24, (h >> 16) & 0xff, (h >> 8) & 0xff, h & 0xff);
}

Status unplug_home(const std::string& device) {
  Batches set;
  set.add(device, "link set eth0 down");
  return set.run_all();
}

Status plug_home(const std::string& device) {
  const auto* d = find_device(device);
  if (!d) return fail(Code::usage, "no device " + device);
  Batches set;
  set.add(device, "link set eth0 up");
  // The neighbour entry outlives the outage only on the router's side.
  bool on_bridge = d->isp == "sakura" && d->id != "sk-mape";
  std::string router(d->isp == "sakura" ? "sakura" : d->isp == "kinmirai" ? "biz" : "hikari");
  auto far = mac_of(router, on_bridge ? "br0" : short_name(d->id));
  std::string_view gateway = on_bridge ? plan::sakura_gateway : router == "sakura" ? plan::sakura_v4 : router == "biz" ? plan::biz_v4 : plan::hikari_v4;
  set.add(device, "neigh replace {} lladdr {} dev eth0 nud permanent", gateway, far);
  if (!d->v6.empty()) set.add(device, "neigh replace {} lladdr {} dev eth0 nud permanent", plan::hikari_v6, far);
  home_side(set, *d);
  return set.run_all();
}

Status build_network() {
  using namespace plan;
  const std::vector<std::string> routers = {"wall", "core", "hikari", "sakura", "biz"};
  std::vector<std::string> all = {"scan", "wall", "core", "center", "portal", "hikari", "sakura", "biz", "darknet"};
  for (const auto& d : devices) all.emplace_back(d.id);
  for (const auto& name : all) NORA_CHECK(make_netns(name));
  for (const auto& name : routers)
    NORA_CHECK(set_sysctls(name, {{"net/ipv4/ip_forward", "1"}, {"net/ipv6/conf/all/forwarding", "1"}}));

  Batches make, set;
  for (const auto& name : all) set.add(name, "link set lo up");
  cable(make, set, {"scan", "eth0", scan_v4, scan_v6}, {"wall", "inside", wall_v4, wall_v6});
  cable(make, set, {"wall", "outside", wall_v4, wall_v6}, {"core", "wall0", core_v4, core_v6});
  cable(make, set, {"core", "hikari0", core_v4, core_v6}, {"hikari", "core0", hikari_v4, hikari_v6});
  cable(make, set, {"core", "sakura0", core_v4, core_v6}, {"sakura", "core0", sakura_v4, sakura_v6});
  cable(make, set, {"core", "biz0", core_v4, {}}, {"biz", "core0", biz_v4, {}});
  cable(make, set, {"core", "portal0", core_v4, core_v6}, {"portal", "eth0", portal_v4, portal_v6});
  cable(make, set, {"core", "darknet0", core_v4, {}}, {"darknet", "eth0", darknet_v4, {}});

  address(set, "scan", "eth0", scan_v4, scan_v6);
  route(set, "scan", "default", wall_v4, "eth0");
  route(set, "scan", "default", wall_v6, "eth0");

  address(set, "wall", "inside", wall_v4, wall_v6);
  set.add("wall", "route add {}/32 dev inside", scan_v4);
  set.add("wall", "route add {}/128 dev inside", scan_v6);
  route(set, "wall", "default", core_v4, "outside");
  route(set, "wall", "default", core_v6, "outside");

  address(set, "core", "lo", core_v4, core_v6);
  address(set, "core", "lo", resolver_v4, {});
  route(set, "core", fmt::format("{}/32", scan_v4), wall_v4, "wall0");
  route(set, "core", fmt::format("{}/128", scan_v6), wall_v6, "wall0");
  route(set, "core", "203.0.113.0/24", hikari_v4, "hikari0");
  route(set, "core", hikari_range6, hikari_v6, "hikari0");
  route(set, "core", "198.51.100.0/25", sakura_v4, "sakura0");
  route(set, "core", sakura_range6, sakura_v6, "sakura0");
  route(set, "core", biz_range, biz_v4, "biz0");
  route(set, "core", darknet_range, darknet_v4, "darknet0");
  route(set, "core", fmt::format("{}/32", darknet_v4), darknet_v4, "darknet0");
  route(set, "core", fmt::format("{}/32", portal_v4), portal_v4, "portal0");
  route(set, "core", fmt::format("{}/128", portal_v6), portal_v6, "portal0");
  // What nobody owns is dropped without a word, as on the real internet's edge of an ISP.
  set.add("core", "route add blackhole 0.0.0.0/0");
  set.add("core", "route add blackhole ::/0");

  for (auto [netns, v4, v6] : {std::tuple{"portal", portal_v4, portal_v6}, {"darknet", darknet_v4, std::string_view()}}) {
    address(set, netns, "eth0", v4, v6);
    route(set, netns, "default", core_v4, "eth0");
    if (!v6.empty()) route(set, netns, "default", core_v6, "eth0");
  }

  for (auto [netns, v4, v6, range4, range6] :
       {std::tuple{"hikari", hikari_v4, hikari_v6, std::string_view("203.0.113.0/24"), hikari_range6},
        {"sakura", sakura_v4, sakura_v6, std::string_view("198.51.100.0/25"), sakura_range6},
        {"biz", biz_v4, std::string_view(), biz_range, std::string_view()}}) {
    address(set, netns, "lo", v4, v6);
    route(set, netns, "default", core_v4, "core0");
    set.add(netns, "route add blackhole {}", range4);
    if (!v6.empty()) route(set, netns, "default", core_v6, "core0");
    if (!range6.empty()) set.add(netns, "route add blackhole {}", range6);
  }
  for (auto ip : {hikari_mail, hikari_radius, hikari_nas}) address(set, "hikari", "lo", ip, {});
  address(set, "sakura", "lo", sakura_mail, {});

  // Sakura's homes share one access segment, on which Kea answers.
  make.add("sakura", "link add br0 address {} type bridge mcast_snooping 0 stp_state 0", mac_of("sakura", "br0"));
  address(set, "sakura", "br0", sakura_gateway, {});
  set.add("sakura", "link set br0 up");

  for (const auto& d : devices) {
    bool at_sakura = d.isp == "sakura", mape = d.id == "sk-mape";
    std::string_view router = at_sakura ? "sakura" : d.isp == "kinmirai" ? "biz" : "hikari";
    std::string_view gateway = at_sakura ? (mape ? sakura_v4 : sakura_gateway) : router == "biz" ? biz_v4 : hikari_v4;
    std::string_view gateway6 = d.v6.empty() ? std::string_view() : hikari_v6;
    std::string_view own = mape ? mape_inside : d.v4;
    auto port = short_name(d.id);
    if (at_sakura && !mape) {
      make.add("sakura", "link add {} address {} type veth peer name eth0 address {} netns {}", port, mac_of("sakura", port), d.mac, d.id);
      set.add("sakura", "link set {} master br0 up", port);
      set.add("sakura", "link set {} type bridge_slave isolated on", port);
      set.add("sakura", "route add {}/32 dev br0", d.v4);
      set.add("sakura", "neigh replace {} lladdr {} dev br0 nud permanent", d.v4, d.mac);
      set.add(d.id, "link set eth0 up");
      set.add(d.id, "neigh replace {} lladdr {} dev eth0 nud permanent", gateway, mac_of("sakura", "br0"));
      continue;
    }
    cable(make, set, {router, port, gateway, gateway6}, {d.id, "eth0", own, d.v6});
    address(set, d.id, "eth0", own, {});
    home_side(set, d);
    set.add(router, "route add {}/32 dev {}", own, port);
    if (!d.v6.empty()) set.add(router, "route add {}/128 dev {}", d.v6, port);
  }
  NORA_CHECK(make.run_all());
  // Where nobody speaks IPv6 it stays off: a kernel that has it announces its groups on every link (MLD).
  auto six = [](const std::string& netns, const std::vector<std::string>& names) {
    std::vector<std::pair<std::string, std::string>> values;
    for (const auto& name : names) values.emplace_back("net/ipv6/conf/" + name + "/disable_ipv6", "0");
    return set_sysctls(netns, values);
  };
  std::vector<std::string> hikari = {"core0"};
  for (const auto& d : devices) {
    if (d.v6.empty()) continue;
    hikari.push_back(short_name(d.id));
    NORA_CHECK(six(std::string(d.id), {"eth0"}));
  }
  for (const auto& [netns, names] : std::map<std::string, std::vector<std::string>>{{"scan", {"eth0"}}, {"wall", {"inside", "outside"}}, {"core", {"wall0", "hikari0", "sakura0", "portal0"}},
                                                                                    {"portal", {"eth0"}}, {"sakura", {"core0"}}, {"hikari", hikari}})
    NORA_CHECK(six(netns, names));
  NORA_CHECK(set.run_all());

  // MAP-E at Sakura's border relay: the shared address reaches the home only on the ports of its PSID, and the home leaves with
  // one of them. (The tunnel between relay and home is left out: it is not what the loop is about.)
  auto rules = fmt::format(
      "table ip mape {{\n"
      " chain in {{ type nat hook prerouting priority -100; ip daddr {0} tcp dport {1}-{2} dnat to {3}; ip daddr {0} udp dport {1}-{2} dnat to {3}; }}\n"
      " chain out {{ type nat hook postrouting priority 100; ip saddr {3} oifname core0 meta l4proto {{ tcp, udp }} snat to {0}:{1}-{2}; }}\n"
      "}}\n",
      mape_shared, mape_port & ~0xf, mape_port | 0xf, mape_inside);
  NORA_TRY(auto nft, run({.argv = {"nft", "-f", "-"}, .netns = "sakura"}, rules));
  if (nft.code != 0) return fail(Code::environment, "nft in sakura: " + nft.err);
  return {};
}

}  // namespace nora::neighbourhood
