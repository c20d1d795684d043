// The wall as nft rules on the netdev ingress hook of the peer veth (law/wall.h), set through libnftables. nft(8). Works in a user namespace.
// The dead man is a set element with a timeout: frames pass only while the interface is in the set `alive`.

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <algorithm>

#include "base/json.h"
#include "law/wall_kinds.h"

namespace nora::law::wall {
namespace {

// Counters stand in the rules as f_arp, f_blocked …: "arp" alone is a word of nft.

template <class T, class F>
std::string elements(const std::vector<T>& list, F&& text) {
  std::string out;
  for (const T& x : list) {
    const std::string t = text(x);
    if (!t.empty()) out += (out.empty() ? "" : ", ") + t;
  }
  return out.empty() ? "" : " elements = { " + out + " }";
}

std::string prefixes(const std::vector<Net>& nets, bool v4) {
  return elements(nets, [&](const Net& n) { return n.v4 == v4 ? n.text : std::string(); });
}
std::string host(const Net& n) { return n.text.substr(0, n.text.find('/')); }

std::string add_elements(std::string_view set, const std::vector<Net>& nets, bool v4) {
  const std::string e = elements(nets, [&](const Net& n) { return n.v4 == v4 ? n.text : std::string(); });
  return e.empty() ? "" : fmt::format("add element netdev nora_wall {} {}\n", set, e.substr(e.find('{')));
}

// The rules of one family. `ip`: nft's name of the network header.
std::string family(const Plan& p, bool v4) {
  const std::string ip = v4 ? "ip" : "ip6", n = v4 ? "4" : "6";
  const bool has_listener = std::any_of(p.listeners.begin(), p.listeners.end(), [&](const Listener& l) { return l.host.v4 == v4; });
  const std::string icmp = v4 ? "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
                              : "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }";
  std::string out = fmt::format(" chain v{} {{\n", n);
  const auto rule = [&](std::string_view text) { out += fmt::format("  {}\n", text); };
  if (v4) {
    rule("ip protocol igmp ip daddr 224.0.0.0/24 counter name f_multicast drop");
    rule("ip hdrlength != 5 counter name f_blocked drop");
    rule("ip frag-off & 0x3fff != 0 counter name f_blocked drop");
  } else {
    rule("ip6 nexthdr 0 icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } counter name f_multicast drop");
    // It must end here: on the link, or at an address of the wall. Otherwise the wall's kernel would route it on.
    for (const char* here : {"{ ff02::/16, fe80::/10 }", "@own6"})
      rule(fmt::format("ip6 nexthdr icmpv6 ip6 hoplimit 255 icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} ip6 daddr {} counter name f_nd accept", here));
    rule("ip6 nexthdr != { tcp, udp, icmpv6 } counter name f_blocked drop");
  }
  rule(fmt::format("{} saddr != @source{} counter name f_blocked drop", ip, n));
  // One set holds them all: a transaction may take effect between the lookups of one frame, so an address must not move from set to set.
  rule(fmt::format("{} daddr @opt_out{} goto opted_out{}", ip, n, n));
  rule(fmt::format("{} daddr @exclude{} goto outside", ip, n));
  rule(fmt::format("{} daddr != @range{} goto outside", ip, n));
  if (!p.tcp_ports.empty()) rule("tcp dport @tcp_ports tcp doff >= 5 tcp urgptr >= 0 goto verdict");  // the last field: the header is whole
  if (!p.udp_ports.empty()) rule("udp dport @udp_ports udp checksum >= 0 goto verdict");
  if (has_listener) rule(fmt::format("{} saddr . tcp sport @listener{} tcp flags & ack == ack goto listener", ip, n));
  rule(fmt::format("{} counter name f_icmp_error accept", icmp));
  rule("tcp flags & rst == rst counter name f_stray drop");
  rule("counter name f_blocked drop");
  out += " }\n";
  return out;
}

// One transaction, with nothing allowed yet: state closed, not alive.
std::string install_script(const Plan& p, const std::vector<Net>& own, std::string_view iface) {
  std::string out = "add table netdev nora_wall\ndelete table netdev nora_wall\ntable netdev nora_wall {\n";
  for (const char* c : counter_names)
    out += fmt::format(" counter f_{} {{ }}\n", c);
  out += " set alive { type ifname; flags timeout; }\n";
  const auto net_set = [&](std::string_view name, const std::vector<Net>& nets) {
    for (const bool v4 : {true, false})
      out += fmt::format(" set {}{} {{ type {}; flags interval; auto-merge;{}\n }}\n", name, v4 ? 4 : 6, v4 ? "ipv4_addr" : "ipv6_addr", prefixes(nets, v4));
  };
  net_set("range", p.ranges);
  net_set("exclude", p.excludes);
  out += fmt::format(" set own6 {{ type ipv6_addr;{}\n }}\n", elements(own, host));
  net_set("opt_out", {});
  net_set("opt_out_fresh", {});
  for (const bool v4 : {true, false}) {
    const char* n = v4 ? "4" : "6";
    const char* type = v4 ? "ipv4_addr" : "ipv6_addr";
    out += fmt::format(" set source{} {{ type {};{}\n }}\n", n, type, elements(p.sources, [&](const Net& s) { return s.v4 == v4 ? host(s) : ""; }));
    out += fmt::format(" set listener{} {{ type {} . inet_service;{}\n }}\n", n, type,
                       elements(p.listeners, [&](const Listener& l) { return l.host.v4 == v4 ? fmt::format("{} . {}", host(l.host), l.port) : ""; }));
  }
  const auto port = [](std::uint16_t v) { return std::to_string(v); };
  out += fmt::format(" set tcp_ports {{ type inet_service;{}\n }}\n", elements(p.tcp_ports, port));
  out += fmt::format(" set udp_ports {{ type inet_service;{}\n }}\n", elements(p.udp_ports, port));
  out += " chain verdict {\n  counter name f_blocked drop\n }\n chain listener {\n  counter name f_blocked drop\n }\n";
  // Outside the range: what our kernel answers to packets of outsiders is dropped and is no incident; the rest is.
  out += " chain outside {\n  tcp flags & rst == rst counter name f_stray drop\n";
  if (std::any_of(p.listeners.begin(), p.listeners.end(), [](const Listener& l) { return l.host.v4; }))
    out += "  ip saddr . tcp sport @listener4 tcp flags & ack == ack counter name f_stray drop\n";
  if (std::any_of(p.listeners.begin(), p.listeners.end(), [](const Listener& l) { return !l.host.v4; }))
    out += "  ip6 saddr . tcp sport @listener6 tcp flags & ack == ack counter name f_stray drop\n";
  out += "  icmp type { destination-unreachable, time-exceeded, parameter-problem } counter name f_stray drop\n"
         "  icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } counter name f_stray drop\n"
         "  counter name f_blocked drop\n }\n";
  for (const char* n : {"4", "6"})
    out += fmt::format(" chain opted_out{0} {{\n  {1} daddr @opt_out_fresh{0} counter name f_opted_out drop\n  counter name f_blocked drop\n }}\n", n, *n == '4' ? "ip" : "ip6");
  out += family(p, true) + family(p, false);
  // The bytes of the Ethernet header decide (a VLAN tag is none of the three types), not what the kernel makes of them.
  out += fmt::format(" chain in {{\n  type filter hook ingress device \"{}\" priority 0; policy drop;\n"
                     "  @ll,96,16 0x0806 counter name f_arp accept\n"
                     "  @ll,96,16 0x0800 meta protocol ip jump v4\n"
                     "  @ll,96,16 0x86dd meta protocol ip6 jump v6\n"
                     "  counter name f_blocked drop\n }}\n}}\n", iface);
  return out;
}

std::string state_script(const Plan& p, State state) {
  std::string out = "flush chain netdev nora_wall verdict\nflush chain netdev nora_wall listener\n";
  const auto add = [&](std::string_view chain, std::string_view rule) { out += fmt::format("add rule netdev nora_wall {} {}\n", chain, rule); };
  if (state == State::open) {
    add("verdict", "iifname != @alive counter name f_blocked drop");
    add("verdict", fmt::format("limit rate over {}/second burst {} packets counter name f_over_rate drop", p.rate_total, burst(p.rate_total)));
    add("verdict", "counter name f_passed accept");
    add("listener", "iifname != @alive counter name f_blocked drop");
    add("listener", "counter name f_listener_passed accept");
  } else {
    for (const char* chain : {"verdict", "listener"}) add(chain, state == State::closing ? "counter name f_closing drop" : "counter name f_blocked drop");
  }
  return out;
}

std::string opt_out_script(const OptOuts& now) {
  std::string out;
  for (const bool v4 : {true, false}) {
    const char* n = v4 ? "4" : "6";
    out += fmt::format("flush set netdev nora_wall opt_out{0}\nflush set netdev nora_wall opt_out_fresh{0}\n", n);
    out += add_elements(fmt::format("opt_out{}", n), now.settled, v4) + add_elements(fmt::format("opt_out{}", n), now.fresh, v4) + add_elements(fmt::format("opt_out_fresh{}", n), now.fresh, v4);
  }
  return out;
}

// Adding, deleting and adding again in one transaction renews the time: "add" alone leaves an existing element as it is.
std::string alive_script(std::string_view iface, int seconds) {
  return fmt::format("add element netdev nora_wall alive {{ \"{0}\" }}\ndelete element netdev nora_wall alive {{ \"{0}\" }}\n"
                     "add element netdev nora_wall alive {{ \"{0}\" timeout {1}s }}\n", iface, seconds);
}

class Nft {
 public:
  static Result<Nft> open() {
    Nft nft;
    nft.context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!nft.context_) return fail(Code::environment, "libnftables cannot start");
    nft_ctx_buffer_output(nft.context_.get());
    nft_ctx_buffer_error(nft.context_.get());
    nft_ctx_output_set_flags(nft.context_.get(), NFT_CTX_OUTPUT_JSON);
    return nft;
  }
  // Errors: environment with nft's words.
  Status run(const std::string& script) {
    if (nft_run_cmd_from_buffer(context_.get(), script.c_str()) == 0) {
      (void)nft_ctx_get_output_buffer(context_.get());
      return {};
    }
    std::string words = nft_ctx_get_error_buffer(context_.get());
    words = words.substr(0, 400);
    std::replace(words.begin(), words.end(), '\n', ' ');
    return fail(Code::environment, "the wall's rules cannot be set: " + words, "The wall needs CAP_NET_ADMIN in its namespace and nf_tables with the netdev family; \"nora doctor\" checks both.");
  }
  // Packets by counter name.
  Result<Counters> counters() {
    if (nft_run_cmd_from_buffer(context_.get(), "list counters table netdev nora_wall") != 0)
      return fail(Code::failed, std::string("the wall's counters cannot be read: ") + nft_ctx_get_error_buffer(context_.get()));
    NORA_TRY(const json::Object o, json::parse_object(nft_ctx_get_output_buffer(context_.get())));
    NORA_TRY(const json::Array list, json::get_array(o, "nftables"));
    Counters out;
    for (const auto& item : list) {
      if (!item.is_object() || !item.as_object().contains("counter")) continue;
      NORA_TRY(const json::Object c, json::get_object(item.as_object(), "counter"));
      NORA_TRY(const std::string name, json::get_string(c, "name"));
      NORA_TRY(const std::int64_t packets, json::get_int(c, "packets"));
      out[name.starts_with("f_") ? name.substr(2) : name] = static_cast<std::uint64_t>(packets);
    }
    return out;
  }

 private:
  struct Close {
    void operator()(nft_ctx* c) const { nft_ctx_free(c); }
  };
  std::unique_ptr<nft_ctx, Close> context_;
};

class NftWall final : public Wall {
 public:
  NftWall(Nft nft, Plan plan, std::string iface) : nft_(std::move(nft)), plan_(std::move(plan)), iface_(std::move(iface)) {}
  Status start(const std::vector<Net>& own, const OptOuts& opt_outs) { return nft_.run(install_script(plan_, own, iface_) + opt_out_script(opt_outs)); }
  std::string_view kind() const override { return "nft"; }
  Status set_opt_outs(const OptOuts& now) override { return nft_.run(opt_out_script(now)); }
  Status set_state(State state) override { return nft_.run(state_script(plan_, state)); }
  Status renew(int seconds) override { return nft_.run(alive_script(iface_, seconds)); }
  Result<Counters> counters() override { return nft_.counters(); }
  bool needs_net_admin() const override { return true; }

 private:
  Nft nft_;
  Plan plan_;
  std::string iface_;
};

}  // namespace

Result<std::unique_ptr<Wall>> install_nft(const Site& site) {
  // Newer kernels take a rule for an interface that is not there (yet); a wall before nothing is a mistake.
  NORA_CHECK(must_exist(site.iface));
  NORA_TRY(Nft nft, Nft::open());
  NORA_TRY(const auto own, own_addresses());
  auto wall = std::make_unique<NftWall>(std::move(nft), site.plan, site.iface);
  NORA_CHECK(wall->start(own, site.opt_outs));
  return wall;
}

void remove_nft() {
  if (auto nft = Nft::open()) (void)nft->run("add table netdev nora_wall\ndelete table netdev nora_wall\n");
}

}  // namespace nora::law::wall
