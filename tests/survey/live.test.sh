#!/usr/bin/env bash
# Live frames can be lost without a word. `nora scan run --send live` therefore needs a wall that counts, ends well where every frame arrives, and stops
# with a sentence where the far end cannot take them (no native XDP there: the nft wall sees none of them).
# Usage: live.test.sh [BUILD_DIR]. Needs root of the first user namespace (eBPF); elsewhere it says so and checks the refusal alone.
set -u
. "$(dirname "$0")/../expect.sh"
bin=$(readlink -f "${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin")
work=$(mktemp -d)
A=nora-live-a-$$ B=nora-live-b-$$ wall=
cleanup() { [ -n "$wall" ] && kill "$wall" 2> /dev/null; wait 2> /dev/null; ip netns del $A 2> /dev/null; ip netns del $B 2> /dev/null; rm -rf "$work"; }
trap cleanup EXIT
cd "$work" || exit 1
finish() { echo "$passed passed, $failed failed"; [ $failed = 0 ]; exit; }
"$bin/nora" mandate keygen --name authority.example --out a.key > /dev/null
"$bin/nora" mandate roots --threshold 1 --out roots.txt a.key.pub > /dev/null
"$bin/nora" mandate new --out m.txt --id live --authority "Test Authority" --legal-basis "Test act" --purpose test --contact test@example \
  --source 192.0.2.1 --range 198.18.0.0/19 --port tcp/80 --probe-class P0 --rate-total 20000 --rate-per-24 20000 --rate-per-target 50 > /dev/null
"$bin/nora" mandate sign --key a.key m.txt > /dev/null
if [ "$(id -u)" != 0 ] || ! ip netns add $A 2> err; then
  echo "not root of the first user namespace: live frames cannot be had here"
  expect "a way that there is not is named" 2 "auto, packet, xdp" "$bin/nora" scan run --mandate m.txt --roots roots.txt --dir x --iface lo --send alive
  finish
fi
ip netns add $B
ip link add nv0 netns $A type veth peer name nv1 netns $B
for ns in $A $B; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip -n $ns link set lo up; done
ip -n $A link set nv0 address 02:00:00:00:00:01; ip -n $B link set nv1 address 02:00:00:00:00:02
ip -n $A addr add 192.0.2.1/24 dev nv0; ip -n $A link set nv0 up; ip -n $B link set nv1 up
ip -n $A neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev nv0 nud permanent
ip -n $A route add default via 192.0.2.2
wall_on() { # KIND [--sink]
  ip netns exec $B "$bin/nora-wall" --mandate m.txt --roots roots.txt --iface nv1 --status wall.json --wall "$@" 2> wall.err & wall=$!
  for _ in $(seq 100); do grep -q '"state":"open"' wall.json 2> /dev/null && return; sleep 0.1; done
  echo "the wall does not open: $(cat wall.err)"
}
wall_off() { kill "$wall"; wait "$wall" 2> /dev/null; wall=; rm -f wall.json; ip -n $B link set nv1 xdp off 2> /dev/null; ip netns exec $B nft flush ruleset 2> /dev/null; }
scan() { ip netns exec $A "$bin/nora" scan run --mandate m.txt --roots roots.txt --iface nv0 --send live --no-calibration --answer-window-ms 200 --segment-size 1024 -q --json "$@"; }

expect "without a wall that counts it does not begin" 2 "add --wall-status" scan --dir none
wall_on xdp --sink
# Short segments: an order ends more often than the wall writes its status, and every frame is held against it all the same.
expect "every frame is counted at the far end" 0 '"send":"live".*"complete":true|"complete":true.*"send":"live"' scan --dir good --wall-status wall.json
expect "8192 of them" 0 '"passed":8192' cat wall.json
wall_off
wall_on nft
expect "lost without a word: the survey stops and says so" 5 "of [0-9]+ live frames the wall counted 0" scan --dir lost --wall-status wall.json
wall_off
finish
