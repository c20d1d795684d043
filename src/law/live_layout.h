// What the live-frame program (live.bpf.c, C) and its user (live_out.cc) share: sizes and shapes of the maps. Included by both.
#pragma once

#include <linux/types.h>

#define LIVE_JOBS 131072       // frames per run of the program; a power of two. The kernel waits about 20 ms at the end of each run, whatever it sent
#define LIVE_FRAME_BYTES 58    // an IPv4 SYN with an MSS option (net::SynTemplate)
#define LIVE_LEAF (1u << 31)   // net::FlagTable: a value, not the number of a block
#define LIVE_IN_RANGE 1u       // flags of law::Mandate
#define LIVE_DECIDING 7u       // in range, excluded, opted out

#define LIVE_GOOD 0u
#define LIVE_SHAPE 1u
#define LIVE_SOURCE 2u
#define LIVE_PORT 3u
#define LIVE_ADDRESS 4u
#define LIVE_TIME 5u

struct live_job {
  __u8 frame[64];
};
struct live_middle {
  __u32 v[256];
};
struct live_low {
  __u8 v[256];
};
struct live_state {
  __u64 next;           // job of the next run
  __u64 refused;        // frames that the program stopped
  __u64 why;            // of the last of them: LIVE_SHAPE …
  __u64 open_until_ns;  // CLOCK_MONOTONIC
  __u64 ports[1024];    // granted TCP ports, a bit each
};
