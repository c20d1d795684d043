#!/usr/bin/env bash
# Pages from many hosts: the grabber with the jailed parser against one genuine lighttpd that answers for every address of a range, clean and with
# tarpits mixed in; Debian's masscan --banners and nmap -sV at the same server in the same run. One line a measurement, then the ratios.
# Everything happens in three network namespaces of its own (198.18.0.0/15 is the benchmarking range of RFC 2544). Needs root, and the
# stand-in servers for lighttpd; masscan and nmap are skipped with a sentence when they are missing.
#   bench/survey/grab.sh [BUILD]      GOOD=16384 PITS=10000 ROUNDS=1 NMAP_HOSTS=512 STANDINS=build/standins/root
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-$top/build/release}" && pwd) || exit 2
GOOD=${GOOD:-16384} PITS=${PITS:-10000} ROUNDS=${ROUNDS:-1} NMAP_HOSTS=${NMAP_HOSTS:-512} STANDINS=${STANDINS:-$top/build/standins/root}
A=nora-grab-a B=nora-grab-b C=nora-grab-c
[ "$(id -u)" = 0 ] || { echo "needs root (network namespaces)" >&2; exit 6; }
lighttpd=$STANDINS/usr/sbin/lighttpd
[ -x "$lighttpd" ] || { echo "no lighttpd in $STANDINS: run \`make standins\`" >&2; exit 6; }
work=$(mktemp -d)
chmod 755 "$work"
pids=
cleanup() { for p in $pids; do kill "$p" 2>/dev/null; done; wait 2>/dev/null; for n in $A $B $C; do ip netns del $n 2>/dev/null; done; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT TERM
ulimit -n "$(ulimit -Hn)"
for n in $A $B $C; do ip netns add $n || exit 6; ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.tcp_max_syn_backlog=65536; ip -n $n link set lo up; done
link() { # LEFT-DEVICE RIGHT-NS RIGHT-DEVICE NUMBER
  ip link add "$1" netns $A type veth peer name "$3" netns "$2"
  ip -n $A link set "$1" address "02:00:00:00:0$4:01"; ip -n "$2" link set "$3" address "02:00:00:00:0$4:02"
  ip -n $A addr add "192.0.2.$4/32" dev "$1"; ip -n $A link set "$1" up; ip -n "$2" link set "$3" up
}
link ga0 $B gb0 1
link ga1 $C gc0 2
ip -n $A route add 198.18.0.0/18 dev ga0 src 192.0.2.1 via inet 198.18.0.1 onlink; ip -n $A neigh add 198.18.0.1 lladdr 02:00:00:00:01:02 dev ga0 nud permanent
ip -n $A route add 198.19.0.0/18 dev ga1 src 192.0.2.1 via inet 198.19.0.1 onlink; ip -n $A neigh add 198.19.0.1 lladdr 02:00:00:00:02:02 dev ga1 nud permanent
for far in "$B gb0 198.18.0.0/18 1" "$C gc0 198.19.0.0/18 2"; do
  set -- $far
  ip -n "$1" route add local "$3" dev lo
  ip -n "$1" route add 192.0.2.0/24 dev "$2" via inet 192.0.2.1 onlink
  ip -n "$1" neigh add 192.0.2.1 lladdr "02:00:00:00:0$4:01" dev "$2" nud permanent
done

mkdir -p "$work/www"
printf '<!DOCTYPE html>\n<html><head><title>Bench router</title></head><body><h1>Bench</h1><p>Firmware 1.00</p></body></html>\n' >"$work/www/index.html"
cat >"$work/l.conf" <<CONF
server.document-root="$work/www"
server.port=80
server.tag="lighttpd/1.4"
index-file.names=("index.html")
mimetype.assign=(".html"=>"text/html")
server.max-fds=16384
server.max-connections=8192
server.listen-backlog=4096
CONF
chmod -R a+rX "$work"
libraries=$STANDINS/usr/lib/x86_64-linux-gnu:$STANDINS/usr/lib
ip netns exec $B env LD_LIBRARY_PATH="$libraries" "$lighttpd" -D -f "$work/l.conf" -m "$STANDINS/usr/lib/lighttpd" >"$work/l.log" 2>&1 & pids="$pids $!"
ip netns exec $C "$build/bin/grab_bench" pit & pids="$pids $!"
sleep 1
kill -0 "${pids##* }" && ip netns exec $B ss -ltn 2>/dev/null | grep -q ':80 ' || { cat "$work/l.log" >&2; echo "lighttpd did not start" >&2; exit 1; }

grab() { ip netns exec $A "$build/bin/grab_bench" run 192.0.2.1 198.18.0.0 "$1" 198.19.0.0 "$2" "$build/bin/nora-parse"; }
field() { sed "s/.*\"$1\":\([0-9.]*\).*/\1/"; }
for round in $(seq "$ROUNDS"); do
  clean=$(grab "$GOOD" 0) || echo "clean: FAILED"
  echo "nora clean   $clean"
  mixed=$(grab "$GOOD" "$PITS") || echo "mixed: FAILED"
  echo "nora tarpits $mixed"
  awk -v c="$(field good_per_s <<<"$clean")" -v m="$(field good_per_s <<<"$mixed")" -v a="$(field rss_peak_kib <<<"$clean")" -v b="$(field rss_peak_kib <<<"$mixed")" \
    'BEGIN {printf "good hosts among tarpits: %.0f %% of the clean rate; memory %.1f -> %.1f MiB\n", 100*m/c, a/1024, b/1024}'
done
timed() { /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@"; }
if command -v masscan >/dev/null; then
  cp "$(command -v masscan)" "$work/masscan"
  timed timeout -k 1 -s INT 12 ip netns exec $A "$work/masscan" 198.18.0.0/18 -p80 --banners -e ga0 --source-ip 192.0.2.9 --source-port 40000-40255 \
    --router-mac 02-00-00-00-01-02 --rate 20000 --wait 3 -oL "$work/masscan.txt" >/dev/null 2>&1
  hosts=$(grep -c ' http ' "$work/masscan.txt" 2>/dev/null || true)
  awk -v h="${hosts:-0}" -v g=16384 '{printf "masscan --banners: %d of %d hosts with a page, %.1f s, %.0f/s, own CPU %.2f s, %.0f per own CPU-s, %.0f MiB\n", h, g, $1, h/$1, $2+$3, h/($2+$3), $4/1024}' <(tail -1 "$work/time")
else
  echo "masscan is not installed: no peer figure"
fi
if command -v nmap >/dev/null; then
  timed timeout 38 ip netns exec $A nmap -sV -Pn -n -p80 -T5 --min-hostgroup 512 --min-parallelism 200 -oG "$work/nmap.txt" 198.18.0.0/$((32 - $(awk -v n="$NMAP_HOSTS" 'BEGIN {print int(log(n)/log(2)+0.5)}'))) >/dev/null 2>&1
  hosts=$(grep -c 'lighttpd' "$work/nmap.txt" 2>/dev/null || true)
  awk -v h="${hosts:-0}" -v g="$NMAP_HOSTS" '{printf "nmap -sV: %d of %d hosts named, %.1f s, %.0f/s, own CPU %.2f s, %.0f per own CPU-s, %.0f MiB\n", h, g, $1, h/$1, $2+$3, h/($2+$3), $4/1024}' <(tail -1 "$work/time")
else
  echo "nmap is not installed: no peer figure"
fi
