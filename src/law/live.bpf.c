// The generating program of the live-frame path (law/live_out.h): runs in the kernel once per queued frame, copies it into the packet, reads the
// deciding fields back out of those final bytes, holds them against the mandate by itself, and only then lets the packet out.
// Run by BPF_PROG_TEST_RUN with live frames, on one processor at a time: the state needs no lock. Frames are IPv4 SYNs of one size.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "law/live_layout.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, LIVE_JOBS);
  __type(key, __u32);
  __type(value, struct live_job);
} jobs SEC(".maps");

// net::FlagTable as it stands, grown by user space before loading.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, __u64);  // elements of an array map lie 8 bytes apart at least
} top SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct live_middle);
} middle SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct live_low);
} low SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct live_state);
} state SEC(".maps");

const volatile __u32 out_if = 0, source = 0;  // source: network order

static __always_inline __u32 flags_of(__u32 dest) {
  __u32 key = dest >> 16;
  __u64 *t = bpf_map_lookup_elem(&top, &key);
  if (!t) return 0;
  key = (__u32)*t;
  if (key & LIVE_LEAF) return key & 0xff;
  struct live_middle *m = bpf_map_lookup_elem(&middle, &key);
  if (!m) return 0;
  key = m->v[dest >> 8 & 255];
  if (key & LIVE_LEAF) return key & 0xff;
  struct live_low *l = bpf_map_lookup_elem(&low, &key);
  return l ? l->v[dest & 255] : 0;
}

SEC("xdp") int generate(struct xdp_md *c) {
  __u8 *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
  __u32 zero = 0;
  struct live_state *s = bpf_map_lookup_elem(&state, &zero);
  if (!s || d + LIVE_FRAME_BYTES > e) return XDP_ABORTED;
  __u32 at = s->next++ & (LIVE_JOBS - 1);
  struct live_job *job = bpf_map_lookup_elem(&jobs, &at);
  if (!job) return XDP_ABORTED;
  __builtin_memcpy(d, job->frame, LIVE_FRAME_BYTES);
  struct ethhdr *eth = (void *)d;
  struct iphdr *ip = (void *)(eth + 1);
  struct tcphdr *tcp = (void *)(ip + 1);
  __u32 port = bpf_ntohs(tcp->dest), why = LIVE_GOOD;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)ip != 0x45 || ip->tot_len != bpf_htons(LIVE_FRAME_BYTES - sizeof *eth) ||
      (ip->frag_off & bpf_htons(0x3fff)) || ip->protocol != IPPROTO_TCP || !tcp->syn || tcp->ack)
    why = LIVE_SHAPE;
  else if (ip->saddr != source) why = LIVE_SOURCE;
  else if (!(s->ports[port >> 6 & 1023] >> (port & 63) & 1)) why = LIVE_PORT;
  else if ((flags_of(bpf_ntohl(ip->daddr)) & LIVE_DECIDING) != LIVE_IN_RANGE) why = LIVE_ADDRESS;
  else if (bpf_ktime_get_coarse_ns() >= s->open_until_ns) why = LIVE_TIME;
  if (why == LIVE_GOOD) return bpf_redirect(out_if, 0);
  s->refused++;
  s->why = why;
  return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
