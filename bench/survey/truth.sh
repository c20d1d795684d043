#!/usr/bin/env bash
# The truth test: 1 % of 10.0.0.0/12 answers (10,444 addresses), each SYN with three SYN-ACKs, while 1,000,000 forged SYN-ACKs come in. `nora scan run`
# must find all of them, none twice, none false, at 100,000/s and at full rate, with three orders of the permutation. zmap and masscan, when
# installed, beside it in the same namespaces. Needs root. One JSON line per run; exits 1 when Nora's runs are not exact.
#   bench/survey/truth.sh [BUILD]     ORDERS=3 RATES="100000 1000000" FORGED=1000000 SEND=auto PEERS=1
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-$top/build/release}" && pwd) || exit 2
ORDERS=${ORDERS:-3} RATES=${RATES:-"100000 1000000"} FORGED=${FORGED:-1000000} SEND=${SEND:-auto} PEERS=${PEERS:-1}
A=nora-truth-a B=nora-truth-b
[ "$(id -u)" = 0 ] || { echo "needs root (network namespaces, XDP)" >&2; exit 6; }
work=$(mktemp -d)
far=
cleanup() { [ -n "$far" ] && kill "$far" 2>/dev/null; wait 2>/dev/null; ip netns del $A 2>/dev/null; ip netns del $B 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT TERM
ip netns add $A && ip netns add $B || exit 6
ip link add nt0 netns $A numtxqueues 2 numrxqueues 2 type veth peer name nt1 netns $B numtxqueues 2 numrxqueues 2
for ns in $A $B; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip -n $ns link set lo up; done
ip -n $A link set nt0 address 02:00:00:00:00:01; ip -n $B link set nt1 address 02:00:00:00:00:02
ip -n $A addr add 192.0.2.1/24 dev nt0; ip -n $B addr add 192.0.2.2/24 dev nt1
ip -n $A link set nt0 up; ip -n $B link set nt1 up
ip -n $A neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev nt0 nud permanent
ip -n $B neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev nt1 nud permanent
ip -n $A route add default via 192.0.2.2 dev nt0
ip netns exec $A sysctl -qw net.ipv4.tcp_timestamps=1 >/dev/null

nora=$build/bin/nora
"$nora" mandate keygen --name bench.example --out "$work/key" >/dev/null
"$nora" mandate roots --threshold 1 --out "$work/roots" "$work/key.pub" >/dev/null

far_on() { # FORGED SECONDS
  ip netns exec $B "$build/bin/truth_far" serve nt1 "$1" "$2" >"$work/far.out" 2>"$work/far.err" & far=$!
  for _ in $(seq 100); do grep -q ready "$work/far.out" && return; sleep 0.05; done
  cat "$work/far.err" >&2; exit 1
}
far_off() { kill "$far"; wait "$far" 2>/dev/null; far=; facts=$(tail -1 "$work/far.out"); }  # not in a subshell: it waits for a child of this one

wrong=0
for rate in $RATES; do
  rm -f "$work/m"
  "$nora" mandate new --out "$work/m" --id truth --authority Bench --legal-basis "none: own namespaces" --purpose measurement --contact bench@example --source 192.0.2.1 \
    --range 10.0.0.0/12 --port tcp/80 --probe-class P0 --probe-class P1 --rate-total "$rate" --rate-per-24 "$rate" --rate-per-target 100 >/dev/null || exit 1
  "$nora" mandate sign --key "$work/key" "$work/m" >/dev/null || exit 1
  for order in $(seq "$ORDERS"); do
    rm -rf "$work/spool"
    far_on "$FORGED" $((1048576 / rate + 3))
    ip netns exec $A "$nora" scan run --mandate "$work/m" --roots "$work/roots" --dir "$work/spool" --iface nt0 --send "$SEND" --no-calibration -q --json >"$work/run" 2>"$work/err"
    rc=$?
    far_off
    verdict=$("$build/bin/truth_far" judge "$work/spool/journal.ndjson"); exact=$?
    [ $rc = 0 ] || { echo "nora scan run: exit $rc"; tail -3 "$work/err"; wrong=1; }
    [ $exact = 0 ] || wrong=1
    summary=$(tail -1 "$work/run" | grep -o '"send":"[a-z]*"\|"sent":[0-9]*\|"received":[0-9]*\|"unique":[0-9]*\|"duplicates":[0-9]*\|"ring_drops":[0-9]*\|"seconds":[0-9.E+]*' | tr '\n' ',')
    echo "{\"who\":\"nora\",\"rate\":$rate,\"order\":$order,\"verdict\":$verdict,\"far\":$facts,${summary%,}}"
  done
  [ "$PEERS" = 1 ] || continue
  if command -v zmap >/dev/null; then
    far_on 0 1
    ip netns exec $A zmap -q -p 80 -s 61000-64999 -i nt0 -S 192.0.2.1 -G 02:00:00:00:00:02 -b /dev/null -C /dev/null --cooldown-time=2 -r "$rate" -T 1 -o "$work/zmap" 10.0.0.0/12 >/dev/null 2>&1
    far_off
    echo "{\"who\":\"zmap\",\"rate\":$rate,\"verdict\":$("$build/bin/truth_far" judge-list "$work/zmap"),\"far\":$facts}"
  fi
  if command -v masscan >/dev/null; then
    far_on 0 1
    (sleep $((1048576 / rate + 4)); while :; do ip netns exec $B ping -c 1 -W 1 192.0.2.1; sleep 0.1; done) >/dev/null 2>&1 & drip=$!  # without frames it never ends
    timeout -k 1 -s INT $((1048576 / rate + 25)) ip netns exec $A masscan 10.0.0.0/12 -p80 --rate "$rate" -e nt0 --router-mac 02-00-00-00-00-02 --source-ip 192.0.2.9 --source-port 61000-61255 --wait 3 -oL "$work/masscan" >/dev/null 2>&1
    kill $drip 2>/dev/null; wait $drip 2>/dev/null
    far_off
    awk '$1=="open"{print $4}' "$work/masscan" >"$work/masscan.list"
    echo "{\"who\":\"masscan\",\"rate\":$rate,\"verdict\":$("$build/bin/truth_far" judge-list "$work/masscan.list"),\"far\":$facts}"
  fi
done
exit $wrong
