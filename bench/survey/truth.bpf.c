// The truth of bench/survey/truth.sh, as an XDP program at the far end: of 10.0.0.0/12 the addresses with hash % 100 == 0 answer (10,444 of them).
// Their SYNs pass to truth_far, which answers; everything else to that range is counted and dropped here, so that the far end costs little.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} seen SEC(".maps");  // [0]: SYNs to addresses that answer, [1]: everything else to the range

static __always_inline __u32 hash32(__u32 x) {
  x ^= x >> 16;
  x *= 0x7feb352d;
  x ^= x >> 15;
  x *= 0x846ca68b;
  x ^= x >> 16;
  return x;
}

SEC("xdp") int truth(struct xdp_md* ctx) {
  void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  struct iphdr* ip = (void*)(eth + 1);
  struct tcphdr* tcp = (void*)(ip + 1);
  if ((void*)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP || ip->ihl != 5) return XDP_PASS;
  __u32 to = bpf_ntohl(ip->daddr);
  if (to >> 20 != 0x0a0) return XDP_PASS;  // 10.0.0.0/12
  __u32 key = !(tcp->syn && !tcp->ack && hash32(to) % 100 == 0);
  __u64* count = bpf_map_lookup_elem(&seen, &key);
  if (count) ++*count;
  return key == 0 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
