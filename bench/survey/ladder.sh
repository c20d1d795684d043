#!/usr/bin/env bash
# The send ladder: nora-sender by each way onto the wire, with a permit and a check of the final bytes for each frame, the receive ring open and
# the XDP wall counting at the far end of a veth; Debian's zmap (and masscan) in the same rounds. Prints one line a sender and the ratios of the
# medians. Needs root, and Debian's zmap and masscan for the peers (skipped with a sentence when missing).
#   bench/survey/ladder.sh [BUILD]      SECS=3 ROUNDS=3 WAYS="packet xdp live" WALL=xdp|nft|none PPS=100000 (a paced run: look at cpu_share)
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-$top/build/release}" && pwd) || exit 2
SECS=${SECS:-3} ROUNDS=${ROUNDS:-3} WAYS=${WAYS:-packet xdp live} WALL=${WALL:-xdp} PPS=${PPS:-16000000}
A=nora-bench-a B=nora-bench-b
[ "$(id -u)" = 0 ] || { echo "needs root (network namespaces, XDP)" >&2; exit 6; }
work=$(mktemp -d)
wall=
cleanup() { [ -n "$wall" ] && kill "$wall" 2>/dev/null; wait 2>/dev/null; ip netns del $A 2>/dev/null; ip netns del $B 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT TERM
ip netns add $A && ip netns add $B || exit 6
ip link add nb0 netns $A numtxqueues 2 numrxqueues 2 type veth peer name nb1 netns $B numtxqueues 2 numrxqueues 2
for ns in $A $B; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip -n $ns link set lo up; done
ip -n $A link set nb0 address 02:00:00:00:00:01; ip -n $B link set nb1 address 02:00:00:00:00:02
ip -n $A addr add 192.0.2.1/24 dev nb0; ip -n $B addr add 192.0.2.2/24 dev nb1
ip -n $A link set nb0 up; ip -n $B link set nb1 up
ip -n $A neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev nb0 nud permanent
ip -n $B neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev nb1 nud permanent
ip -n $A route add default via 192.0.2.2 dev nb0

run_a() { ip netns exec $A "$@"; }
"$build/bin/send_bench" prepare "$work/m" 192.0.2.1 10.0.0.0/8 80 "$PPS" || exit 1
wall_on() {
  [ "$WALL" = none ] && return
  ip netns exec $B "$build/bin/nora-wall" --mandate "$work/m/mandate" --roots "$work/m/roots" --iface nb1 --status "$work/wall.json" --wall "$WALL" --sink 2>"$work/wall.err" & wall=$!
  for _ in $(seq 50); do grep -q '"state":"open"' "$work/wall.json" 2>/dev/null && return; sleep 0.1; done
  cat "$work/wall.err" >&2; exit 1
}
counter() { sed 's/.*"passed":\([0-9]*\).*/\1/' "$work/wall.json" 2>/dev/null || echo 0; }
blocked() { sed 's/.*"blocked":\([0-9]*\).*/\1/' "$work/wall.json" 2>/dev/null || echo 0; }
tx() { run_a cat /sys/class/net/nb0/statistics/tx_packets; }

own() { # WAY
  local before after line
  before=$(counter)
  line=$(run_a "$build/bin/send_bench" run "$work/m" nb0 "$build/bin/nora-sender" "$1" "$SECS") || { echo "$1: failed"; return; }
  sleep 0.5
  after=$(counter)
  echo "nora-$1 $line far=$((after - before)) blocked=$(blocked)"
  echo "nora-$1 $(sed 's/.*"mpps":\([0-9.]*\),"cpu_s_per_mpkt":\([0-9.]*\).*/\1 \2/' <<<"$line")" >>"$work/rates"
}
peer() { # NAME COMMAND…
  local name=$1 a b
  shift
  a=$(tx)
  /usr/bin/time -f '%U %S' -o "$work/time" "$@" >/dev/null 2>&1
  b=$(tx)
  awk -v n="$name" -v p=$((b - a)) -v w="$SECS" '{printf "%s {\"sent\":%d,\"mpps\":%.4f,\"cpu_s_per_mpkt\":%.3f}\n", n, p, p/w/1e6, ($1+$2)/(p/1e6)}' <(tail -1 "$work/time")
  awk -v n="$name" -v p=$((b - a)) -v w="$SECS" '{printf "%s %.4f %.3f\n", n, p/w/1e6, ($1+$2)/(p/1e6)}' <(tail -1 "$work/time") >>"$work/rates"
}

wall_on
for round in $(seq "$ROUNDS"); do
  echo "-- round $round of $SECS s"
  for way in $WAYS; do own "$way"; done
  if command -v zmap >/dev/null; then
    peer zmap timeout -k 1 $((SECS + 8)) ip netns exec $A zmap -p 80 -i nb0 -S 192.0.2.1 -G 02:00:00:00:00:02 -b /dev/null -C /dev/null -t "$SECS" --cooldown-time=1 -o /dev/null -r "$([ "$PPS" -ge 1000000 ] && echo 0 || echo "$PPS")" -T 1 10.0.0.0/8
  else
    echo "zmap is not installed: no peer, no ratio"
  fi
done
echo "-- medians: Mpps, CPU s per Mpkt, ratio to zmap"
sort -k1,1 -k2,2n "$work/rates" | awk '{n[$1]++; m[$1,n[$1]]=$2; c[$1,n[$1]]=$3} END {z=m["zmap",int((n["zmap"]+1)/2)]; for (k in n) {i=int((n[k]+1)/2); printf "%-14s %.3f  %.3f  %s\n", k, m[k,i], c[k,i], z ? sprintf("%.2fx", m[k,i]/z) : "-"}}' | sort
