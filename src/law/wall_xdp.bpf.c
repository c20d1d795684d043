// The wall as an eBPF program at the wall's end of the sender's veth: judges each frame before the kernel does anything with it, counts it, and lets
// it pass or drops it. What passes and how the rest is counted stands in wall.h; wall_nft.cc says the same in nft. Loaded by wall_xdp.cc.
// Every bound is explicit; an entry that is not found counts as opted out. Cost: one table walk of at most three loads, no lock but once per lot.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "law/wall_xdp_shared.h"

#define ALWAYS static __always_inline

SEC(".rodata.law") const volatile struct nora_wall_law law = {};
SEC(".data.control") volatile struct nora_wall_control control = {};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct nora_wall_cpu);
} cpus SEC(".maps");

// The sizes of the next ones are set by wall_xdp.cc.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct nora_wall_top);
} tops SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct nora_wall_page);
} pages SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct nora_wall_leaf);
} leaves SEC(".maps");

struct places6 {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct nora_wall_key6);
  __type(value, __u32);
};
struct places6 places6_even SEC(".maps"), places6_odd SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, struct nora_wall_host);
  __type(value, __u32);
} hosts SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, struct nora_wall_listener_key);
  __type(value, __u32);
} listeners SEC(".maps");

struct bucket {
  struct bpf_spin_lock lock;
  __u64 credit;  // in frames times 1e9: what one nanosecond earns is `rate`
  __u64 at_ns;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bucket);
} total_rate SEC(".maps");

#define FRAME 1000000000ull

ALWAYS int drop(struct nora_wall_cpu* c, enum nora_wall_counter what) {
  c->counters[what]++;
  return XDP_DROP;
}
ALWAYS int pass(struct nora_wall_cpu* c, enum nora_wall_counter what) {
  c->counters[what]++;
  return law.sink ? XDP_DROP : XDP_PASS;
}

// Takes up to a lot of frames out of the bucket. Not inlined: it is rare.
static __attribute__((noinline)) __u64 take_lot(__u64 now) {
  __u32 at = 0;
  struct bucket* b = bpf_map_lookup_elem(&total_rate, &at);
  if (!b) return 0;
  const __u64 rate = law.rate, most = law.burst * FRAME, lot = law.lot;
  bpf_spin_lock(&b->lock);
  __u64 spent = now > b->at_ns ? now - b->at_ns : 0;  // another CPU may have read a later time
  if (spent > FRAME) spent = FRAME;                   // one second fills every bucket; and the product cannot overflow
  __u64 credit = b->credit + spent * rate;
  if (credit > most) credit = most;
  __u64 n = credit / FRAME;
  if (n > lot) n = lot;
  b->credit = credit - n * FRAME;
  if (now > b->at_ns) b->at_ns = now;
  bpf_spin_unlock(&b->lock);
  return n;
}

// A frame that the mandate covers: is the wall open, alive, and below the rate?
ALWAYS int verdict(struct nora_wall_cpu* c, enum nora_wall_counter as, int counts_for_rate) {
  const __u32 state = control.state;
  if (state != nora_wall_is_open) return drop(c, state == nora_wall_is_closing ? nora_wall_closing : nora_wall_blocked);
  const __u64 now = bpf_ktime_get_coarse_ns();
  if (control.alive_until_ns - now > law.alive_most_ns) return drop(c, nora_wall_blocked);  // past ones wrap round
  if (counts_for_rate) {
    if (c->tokens == 0) {
      if (c->refused_at == now) return drop(c, nora_wall_over_rate);
      c->tokens = take_lot(now);
      if (c->tokens == 0) {
        c->refused_at = now;
        return drop(c, nora_wall_over_rate);
      }
    }
    c->tokens--;
  }
  return pass(c, as);
}

ALWAYS __u32 place_of4(__u32 address) {
  __u32 at = control.generation & 1;
  struct nora_wall_top* top = bpf_map_lookup_elem(&tops, &at);
  if (!top) return nora_wall_opt_out;
  at = top->block[address >> 16];
  if (at < nora_wall_places) return at;
  at -= nora_wall_places;
  struct nora_wall_page* page = bpf_map_lookup_elem(&pages, &at);
  if (!page) return nora_wall_opt_out;
  at = page->block[address >> 8 & 255];
  if (at < nora_wall_places) return at;
  at -= nora_wall_places;
  struct nora_wall_leaf* leaf = bpf_map_lookup_elem(&leaves, &at);
  if (!leaf) return nora_wall_opt_out;
  return leaf->places[address >> 4 & 15] >> 2 * (address & 15) & 3;
}

ALWAYS __u32 place_of6(const __u32* address) {
  struct nora_wall_key6 key = {128, {address[0], address[1], address[2], address[3]}};
  const __u32* place = control.generation & 1 ? bpf_map_lookup_elem(&places6_odd, &key) : bpf_map_lookup_elem(&places6_even, &key);
  return place ? *place : nora_wall_outside;
}

static __attribute__((noinline)) __u32 host_is(const struct nora_wall_host* host) {
  if (!host) return 0;
  const __u32* what = bpf_map_lookup_elem(&hosts, host);
  return what ? *what : 0;
}

ALWAYS int has(const volatile __u32* ports, __u16 port) {
  return ports[port >> 5] >> (port & 31) & 1;
}

// The upper layer, for both families. `source` as in nora_wall_host.
ALWAYS int upper(struct nora_wall_cpu* c, __u8 protocol, void* header, void* end, int in_range, int v4, const struct nora_wall_host* source) {
  if (protocol == IPPROTO_TCP) {
    struct tcphdr* t = header;
    if ((void*)(t + 1) > end || t->doff < 5) return drop(c, nora_wall_blocked);
    if (in_range && has(law.tcp_ports, bpf_ntohs(t->dest))) return verdict(c, nora_wall_passed, 1);
    if (law.listeners && t->ack) {
      struct nora_wall_listener_key key = {{source->address[0], source->address[1], source->address[2], source->address[3]}, t->source};
      if (bpf_map_lookup_elem(&listeners, &key)) return in_range ? verdict(c, nora_wall_listener_passed, 0) : drop(c, nora_wall_stray);
    }
    return drop(c, t->rst ? nora_wall_stray : nora_wall_blocked);
  }
  if (protocol == IPPROTO_UDP) {
    struct udphdr* u = header;
    if ((void*)(u + 1) > end) return drop(c, nora_wall_blocked);
    if (in_range && has(law.udp_ports, bpf_ntohs(u->dest))) return verdict(c, nora_wall_passed, 1);
    return drop(c, nora_wall_blocked);
  }
  if (protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
    const __u8* type = header;
    if ((void*)(type + 1) > end) return drop(c, nora_wall_blocked);
    // RFC 792: unreachable, time exceeded, parameter problem. RFC 4443: 1 to 4.
    const int error = v4 ? *type == 3 || *type == 11 || *type == 12 : *type >= 1 && *type <= 4;
    if (!error) return drop(c, nora_wall_blocked);
    return in_range ? pass(c, nora_wall_icmp_error) : drop(c, nora_wall_stray);
  }
  return drop(c, nora_wall_blocked);
}

ALWAYS int judge4(struct nora_wall_cpu* c, void* data, void* end) {
  struct iphdr* ip = data;
  if ((void*)(ip + 1) > end) return drop(c, nora_wall_blocked);
  if (ip->protocol == IPPROTO_IGMP && (ip->daddr & bpf_htonl(0xffffff00)) == bpf_htonl(0xe0000000)) return drop(c, nora_wall_multicast);
  const __u32 total = bpf_ntohs(ip->tot_len);
  if (*(__u8*)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff) || total < sizeof *ip || total > (unsigned long)(end - data)) return drop(c, nora_wall_blocked);
  const struct nora_wall_host source = {{0, 0, bpf_htonl(0xffff), ip->saddr}};
  if (!law.sources4) return drop(c, nora_wall_blocked);
  if (ip->saddr != law.source4[0])
    if (law.sources4 == 1 || !(host_is(&source) & nora_wall_is_source)) return drop(c, nora_wall_blocked);
  const __u32 place = place_of4(bpf_ntohl(ip->daddr));
  if (place == nora_wall_opt_out) return drop(c, nora_wall_blocked);
  if (place == nora_wall_fresh) return drop(c, nora_wall_opted_out);
  return upper(c, ip->protocol, ip + 1, end, place == nora_wall_range, 1, &source);
}

ALWAYS int judge6(struct nora_wall_cpu* c, void* data, void* end) {
  struct ipv6hdr* ip = data;
  if ((void*)(ip + 1) > end) return drop(c, nora_wall_blocked);
  const __u8* next = (void*)(ip + 1);
  const __u32* to = ip->daddr.in6_u.u6_addr32;
  const __u32* from = ip->saddr.in6_u.u6_addr32;
  if (ip->nexthdr == IPPROTO_HOPOPTS) {  // MLD carries the router alert option (RFC 3810 section 5): ICMPv6 after one header of 8 bytes
    if ((void*)(next + 9) <= end && next[0] == IPPROTO_ICMPV6 && next[1] == 0 && (next[8] == 131 || next[8] == 132 || next[8] == 143))
      return drop(c, nora_wall_multicast);
    return drop(c, nora_wall_blocked);
  }
  if (ip->version != 6 || bpf_ntohs(ip->payload_len) + sizeof *ip > (unsigned long)(end - data)) return drop(c, nora_wall_blocked);
  if (ip->nexthdr == IPPROTO_ICMPV6 && ip->hop_limit == 255 && (void*)(next + 1) <= end && (*next == 133 || *next == 135 || *next == 136)) {
    // RFC 4861. It must end here: on the link, or at an address of the wall.
    const struct nora_wall_host host = {{to[0], to[1], to[2], to[3]}};
    if ((to[0] & bpf_htonl(0xffff0000)) == bpf_htonl(0xff020000) || (to[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) ||
        host_is(&host) & nora_wall_is_own)
      return pass(c, nora_wall_nd);
  }
  const struct nora_wall_host source = {{from[0], from[1], from[2], from[3]}};
  if (!law.sources6) return drop(c, nora_wall_blocked);
  if (from[0] != law.source6[0] || from[1] != law.source6[1] || from[2] != law.source6[2] || from[3] != law.source6[3])
    if (law.sources6 == 1 || !(host_is(&source) & nora_wall_is_source)) return drop(c, nora_wall_blocked);
  const __u32 place = place_of6(to);
  if (place == nora_wall_opt_out) return drop(c, nora_wall_blocked);
  if (place == nora_wall_fresh) return drop(c, nora_wall_opted_out);
  return upper(c, ip->nexthdr, ip + 1, end, place == nora_wall_range, 0, &source);
}

SEC("xdp") int nora_wall(struct xdp_md* frame) {
  void *data = (void*)(long)frame->data, *end = (void*)(long)frame->data_end;
  __u32 at = 0;
  struct nora_wall_cpu* c = bpf_map_lookup_elem(&cpus, &at);
  if (!c) return XDP_DROP;
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > end) return drop(c, nora_wall_blocked);
  if (eth->h_proto == bpf_htons(ETH_P_IP)) return judge4(c, eth + 1, end);
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return judge6(c, eth + 1, end);
  if (eth->h_proto == bpf_htons(ETH_P_ARP)) return pass(c, nora_wall_arp);
  return drop(c, nora_wall_blocked);  // a VLAN tag included
}

char _license[] SEC("license") = "GPL";
