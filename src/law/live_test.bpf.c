// The far end of live_out_test: lets everything through. Live frames cross a veth only where the other end has a native XDP program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp") int pass_all(struct xdp_md *c) {
  (void)c;
  return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
