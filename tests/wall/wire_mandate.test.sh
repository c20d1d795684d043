#!/usr/bin/env bash
# The mandate on the wire, in namespaces of this test: scan - wall - far. A planner bug is planted (every other frame goes wrong).
#   sender's check and wall      -> wire 0, wall 0
#   the sender's check removed   -> wall > 0, wire 0
#   the wall removed             -> wire 0
#   both removed                 -> wire > 0 (the count can see it)
# and: live opt-out, a killed wall closes by itself, a stopped wall stays closed, an altered mandate is refused.
# Root or user namespaces. Usage: wire_mandate.test.sh [BUILD_DIR]; FRAMES=N. Last line: "N passed, N failed".
set -u
build=${1:-${NORA_BIN:+$(dirname "$NORA_BIN")}}
export BIN=${build:-build}/bin FRAMES=${FRAMES:-100000}
if [ -z "${WIRE_INNER:-}" ]; then
  export WIRE_INNER=1
  exec unshare --user --map-root-user --net --mount --pid --fork --kill-child bash "$0" "$@"
fi
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
work=$(mktemp -d)
trap 'kill $(jobs -rp) 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0
ok() { # name condition…
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}
field() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" "$1"; }

set -e
ip netns add scan; ip netns add wall; ip netns add far
ip link add eth0 netns scan type veth peer name inside netns wall
ip link add outside netns wall type veth peer name far0 netns far
for pair in scan:eth0 wall:inside wall:outside far:far0; do ip -n "${pair%:*}" link set "${pair#*:}" up; done
ip netns exec wall sh -c 'for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done; for f in all inside outside; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done'
ip -n wall addr add 192.0.2.9/32 dev outside; ip -n wall addr add 2001:db8:0:9::9/128 dev outside
far_mac=$(ip -n far -o link show dev far0 | sed 's/.*ether \([0-9a-f:]*\).*/\1/')
wall_mac=$(ip -n wall -o link show dev inside | sed 's/.*ether \([0-9a-f:]*\).*/\1/')
ip -n wall neigh add 192.0.2.2 lladdr "$far_mac" dev outside; ip -n wall route add default via 192.0.2.2 dev outside onlink
ip -n wall neigh add fe80::2 lladdr "$far_mac" dev outside; ip -n wall -6 route add default via fe80::2 dev outside
"$BIN/wire_probe" make "$work"
set +e

# run NAME law|raw [no-wall]: leaves $work/NAME.sent, NAME.wire, NAME.status
wall_start() {
  rm -f "$work/status"
  ip netns exec wall "$BIN/nora-wall" --mandate "$work/mandate" --roots "$work/roots" --opt-out "$work/opt-out" --iface inside --status "$work/status" & wall=$!
  for _ in $(seq 100); do [ -s "$work/status" ] && break; sleep 0.1; done
}
send() { # name mode frames
  rm -f "$work/ready"
  ip netns exec far "$BIN/wire_probe" count far0 "$work/ready" > "$work/$1.wire" & local counter=$!
  for _ in $(seq 100); do [ -s "$work/ready" ] && break; sleep 0.1; done
  ip netns exec scan "$BIN/wire_probe" "$2" "$work" eth0 "$wall_mac" "$3" > "$work/$1.sent" || echo "FAILED: $1: the sender"
  sleep 0.6
  kill -TERM $counter; wait $counter
  cp "$work/status" "$work/$1.status" 2>/dev/null
}
f() { field "$work/$1" "$2"; }

# Without a wall first: its rules stay when it ends.
send unwalled law "$FRAMES"
ok "wall removed: the sender alone lets nothing out" [ "$(f unwalled.wire outside)" = 0 ]
ok "wall removed: what is permitted arrives" [ "$(f unwalled.wire inside)" = "$(f unwalled.sent sent)" ]
ok "the sender refused something" [ "$(f unwalled.sent refused)" -gt 0 ]
ok "the sender refused nothing that was right" [ "$(f unwalled.sent refused_good)" = 0 ]
send naked raw "$FRAMES"
ok "both removed: the count sees frames outside" [ "$(f naked.wire outside)" -gt 0 ]

wall_start
ok "the wall is open" grep -q '"state":"open"' "$work/status"
send both law "$FRAMES"
ok "both: wire 0" [ "$(f both.wire outside)" = 0 ]
ok "both: wall 0" [ "$(f both.status blocked)" = 0 ]
ok "both: no incident" grep -q '"incident":false' "$work/both.status"
ok "both: what is permitted arrives" [ "$(f both.wire inside)" = "$(f both.sent sent)" ]
send unchecked raw "$FRAMES"
ok "sender's check removed: wire 0" [ "$(f unchecked.wire outside)" = 0 ]
ok "sender's check removed: the wall counts each" [ "$(f unchecked.status blocked)" = "$(f unchecked.sent bad)" ]
ok "sender's check removed: and there are some" [ "$(f unchecked.sent bad)" -gt 0 ]
ok "sender's check removed: incident" grep -q '"incident":true' "$work/unchecked.status"
ok "sender's check removed: what is right arrives" [ "$(f unchecked.wire inside)" = "$(f unchecked.sent good)" ]

# Live opt-out of everything: the sender (which does not re-read here) goes on; nothing arrives any more.
printf '198.51.100.0/24\n203.0.113.0/24\n2001:db8:1000::/36\n' >> "$work/opt-out"
sleep 2.5
send optout law 2000
ok "live opt-out: nothing arrives" [ "$(f optout.wire inside)" = 0 ]
ok "live opt-out: counted apart" [ "$(f optout.status opted_out)" -gt 0 ]
printf '# live\n' > "$work/opt-out"
sleep 2.5
send optin law 2000
ok "live opt-out taken back" [ "$(f optin.wire inside)" -gt 0 ]

kill -9 "$wall"; wait "$wall" 2>/dev/null
sleep 11
send dead law 2000
ok "a killed wall closes by itself" [ "$(f dead.wire inside)" = 0 ]
wall_start
send again law 2000
ok "and opens with a new one" [ "$(f again.wire inside)" -gt 0 ]
kill -TERM "$wall"; wait "$wall"; rc=$?
ok "a stopped wall ends well" [ $rc = 0 ]
send stopped law 2000
ok "a stopped wall stays closed" [ "$(f stopped.wire inside)" = 0 ]

sed 's|203.0.113.0/25|203.0.113.0/24|' "$work/mandate" > "$work/altered"
timeout 20 ip netns exec wall "$BIN/nora-wall" --mandate "$work/altered" --roots "$work/roots" --iface inside --status "$work/x" 2> "$work/err"; rc=$?
ok "an altered mandate is refused with 4" [ $rc = 4 ]
ok "and says so" grep -q "altered" "$work/err"
timeout 20 ip netns exec wall "$BIN/nora-wall" --mandate "$work/mandate" --roots "$work/roots" --iface nosuch --status "$work/x" 2> "$work/err"; rc=$?
ok "a missing interface is told" [ $rc = 6 ]

echo "wire: $(cat "$work/both.sent") $(cat "$work/unchecked.wire") blocked $(f unchecked.status blocked)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
