// Rules and libnftables (law/wall_rules.h). nft(8).
#include "law/wall_rules.h"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <algorithm>

#include "base/json.h"

namespace nora::law::wall {
namespace {

constexpr std::uint32_t least_burst = 64;  // one sendmmsg batch of the sender
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
    rule("ip6 nexthdr icmpv6 ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } counter name f_nd accept");
    rule("ip6 nexthdr != { tcp, udp, icmpv6 } counter name f_blocked drop");
  }
  rule(fmt::format("{} saddr != @source{} counter name f_blocked drop", ip, n));
  rule(fmt::format("{} daddr @opt_out{} counter name f_blocked drop", ip, n));
  rule(fmt::format("{} daddr @opt_out_fresh{} counter name f_opted_out drop", ip, n));
  rule(fmt::format("{} daddr @exclude{} goto outside", ip, n));
  rule(fmt::format("{} daddr != @range{} goto outside", ip, n));
  if (!p.tcp_ports.empty()) rule("tcp dport @tcp_ports goto verdict");
  if (!p.udp_ports.empty()) rule("udp dport @udp_ports goto verdict");
  if (has_listener) rule(fmt::format("{} saddr . tcp sport @listener{} tcp flags & ack == ack goto listener", ip, n));
  rule(fmt::format("{} counter name f_icmp_error accept", icmp));
  rule("tcp flags & rst == rst counter name f_stray drop");
  rule("counter name f_blocked drop");
  out += " }\n";
  return out;
}

}  // namespace

std::string install_script(const Plan& p, std::string_view iface) {
  std::string out = "add table netdev nora_wall\ndelete table netdev nora_wall\ntable netdev nora_wall {\n";
  for (const char* c : {"passed", "listener_passed", "blocked", "arp", "nd", "icmp_error", "multicast", "stray", "opted_out", "over_rate", "closing"})
    out += fmt::format(" counter f_{} {{ }}\n", c);
  out += " set alive { type ifname; flags timeout; }\n";
  const auto net_set = [&](std::string_view name, const std::vector<Net>& nets) {
    for (const bool v4 : {true, false})
      out += fmt::format(" set {}{} {{ type {}; flags interval; auto-merge;{}\n }}\n", name, v4 ? 4 : 6, v4 ? "ipv4_addr" : "ipv6_addr", prefixes(nets, v4));
  };
  net_set("range", p.ranges);
  net_set("exclude", p.excludes);
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
    const std::uint32_t burst = std::max(least_burst, p.rate_total / 10);
    add("verdict", "iifname != @alive counter name f_blocked drop");
    add("verdict", fmt::format("limit rate over {}/second burst {} packets counter name f_over_rate drop", p.rate_total, burst));
    add("verdict", "counter name f_passed accept");
    add("listener", "iifname != @alive counter name f_blocked drop");
    add("listener", "counter name f_listener_passed accept");
  } else {
    for (const char* chain : {"verdict", "listener"}) add(chain, state == State::closing ? "counter name f_closing drop" : "counter name f_blocked drop");
  }
  return out;
}

std::string opt_out_script(const std::vector<Net>& settled, const std::vector<Net>& fresh) {
  std::string out;
  for (const bool v4 : {true, false}) {
    const char* n = v4 ? "4" : "6";
    out += fmt::format("flush set netdev nora_wall opt_out{0}\nflush set netdev nora_wall opt_out_fresh{0}\n", n);
    out += add_elements(fmt::format("opt_out{}", n), settled, v4) + add_elements(fmt::format("opt_out_fresh{}", n), fresh, v4);
  }
  return out;
}

// Adding, deleting and adding again in one transaction renews the time: "add" alone leaves an existing element as it is.
std::string alive_script(std::string_view iface) {
  return fmt::format("add element netdev nora_wall alive {{ \"{0}\" }}\ndelete element netdev nora_wall alive {{ \"{0}\" }}\n"
                     "add element netdev nora_wall alive {{ \"{0}\" timeout {1}s }}\n", iface, alive_s);
}

struct Nft::Handle {
  nft_ctx* ctx = nullptr;
  ~Handle() { if (ctx) nft_ctx_free(ctx); }
};
Nft::Nft(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Nft::Nft(Nft&&) noexcept = default;
Nft::~Nft() = default;

Result<Nft> Nft::open() {
  auto handle = std::make_unique<Handle>();
  handle->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
  if (!handle->ctx) return fail(Code::environment, "libnftables cannot start");
  nft_ctx_buffer_output(handle->ctx);
  nft_ctx_buffer_error(handle->ctx);
  nft_ctx_output_set_flags(handle->ctx, NFT_CTX_OUTPUT_JSON);
  return Nft(std::move(handle));
}

Status Nft::run(const std::string& script) {
  if (nft_run_cmd_from_buffer(handle_->ctx, script.c_str()) == 0) {
    (void)nft_ctx_get_output_buffer(handle_->ctx);
    return {};
  }
  std::string words = nft_ctx_get_error_buffer(handle_->ctx);
  words = words.substr(0, 400);
  std::replace(words.begin(), words.end(), '\n', ' ');
  return fail(Code::environment, "the wall's rules cannot be set: " + words, "The wall needs CAP_NET_ADMIN in its namespace and nf_tables with the netdev family; \"nora doctor\" checks both.");
}

Result<std::map<std::string, std::uint64_t>> Nft::counters() {
  if (nft_run_cmd_from_buffer(handle_->ctx, "list counters table netdev nora_wall") != 0)
    return fail(Code::failed, std::string("the wall's counters cannot be read: ") + nft_ctx_get_error_buffer(handle_->ctx));
  NORA_TRY(const json::Object o, json::parse_object(nft_ctx_get_output_buffer(handle_->ctx)));
  NORA_TRY(const json::Array list, json::get_array(o, "nftables"));
  std::map<std::string, std::uint64_t> out;
  for (const auto& item : list) {
    if (!item.is_object() || !item.as_object().contains("counter")) continue;
    NORA_TRY(const json::Object c, json::get_object(item.as_object(), "counter"));
    NORA_TRY(const std::string name, json::get_string(c, "name"));
    NORA_TRY(const std::int64_t packets, json::get_int(c, "packets"));
    out[name.starts_with("f_") ? name.substr(2) : name] = static_cast<std::uint64_t>(packets);
  }
  return out;
}

}  // namespace nora::law::wall
