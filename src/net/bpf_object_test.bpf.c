// For bpf_object_test.cc: counts the frames that it is run on and lets them through.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} frames SEC(".maps");

SEC("xdp") int count(struct xdp_md* frame) {
  (void)frame;
  __u32 at = 0;
  __u64* n = bpf_map_lookup_elem(&frames, &at);
  if (n) ++*n;
  return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
