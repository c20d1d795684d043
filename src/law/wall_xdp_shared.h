// What the eBPF program (wall_xdp.bpf.c) and its owner in user space (wall_xdp.cc) both know: C, included by these two only.
// Places of IPv4 are a table of three levels: /16, then /24, then address. An entry below nora_wall_places is the place of the whole block,
// otherwise the number (less nora_wall_places) of the page or leaf that says more. All of it exists twice, and `generation` says which one holds:
// user space writes the other one and turns the switch, so that every frame meets one whole version. IPv6 has two LPM tries for the same reason.
#pragma once

#include <linux/types.h>

enum nora_wall_counter {
  nora_wall_passed, nora_wall_listener_passed, nora_wall_blocked, nora_wall_arp, nora_wall_nd, nora_wall_icmp_error,
  nora_wall_multicast, nora_wall_stray, nora_wall_opted_out, nora_wall_over_rate, nora_wall_closing,
  nora_wall_counters
};

enum nora_wall_place { nora_wall_outside, nora_wall_range, nora_wall_fresh, nora_wall_opt_out, nora_wall_places };

enum nora_wall_state { nora_wall_is_closed, nora_wall_is_closing, nora_wall_is_open };  // zero, what the map starts with, is closed

// The mandate, fixed before the program is loaded.
struct nora_wall_law {
  __u32 tcp_ports[2048], udp_ports[2048];  // one bit a port
  __u32 sources4, sources6, listeners;     // how many
  __u32 source4[1], source6[4];            // the first one, network order: the only one of most mandates
  __u32 sink;
  __u32 lot;                               // frames that a CPU takes from the bucket at once
  __u64 rate, burst;                       // frames per second; frames
  __u64 alive_most_ns;                     // a deadline further away than this is none: another clock
};

// Written by user space while frames flow.
struct nora_wall_control {
  __u32 generation;
  __u32 state;
  __u64 alive_until_ns;                    // CLOCK_MONOTONIC
};

struct nora_wall_top { __u32 block[65536]; };
struct nora_wall_page { __u32 block[256]; };
struct nora_wall_leaf { __u32 places[16]; };  // two bits an address
struct nora_wall_key6 { __u32 length; __u32 address[4]; };

struct nora_wall_host { __u32 address[4]; };  // IPv4 as ::ffff:a.b.c.d
enum { nora_wall_is_source = 1, nora_wall_is_own = 2 };
struct nora_wall_listener_key { __u32 address[4]; __u32 port; };  // port in network order

// Of each CPU.
struct nora_wall_cpu {
  __u64 counters[nora_wall_counters];
  __u64 tokens;      // taken from the bucket and not used yet
  __u64 refused_at;  // the bucket was empty at this time; the coarse clock has to move before it is asked again
};
