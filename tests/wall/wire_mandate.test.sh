#!/usr/bin/env bash
# The mandate on the wire, in namespaces of this test: scan - wall - far. Random mandates (up to 64 prefixes of both families, edges of the address
# space, opt-outs); half of all frames are a planner's mistakes (off by one, byte order, wrap-around, stale opt-out, port +-1 ...).
#   the wall removed             -> wire 0
#   both walls                   -> wire 0, wall 0
#   the sender's check removed   -> wall counts each, wire 0
#   both removed                 -> wire > 0 (the count can see it)
# Then: four ways to put a frame on the wire past every check of the sender, live opt-out, dead man, end of the wall, refusals.
# Once with the nft wall in a user namespace, and, for root, once with the XDP wall. Usage: wire_mandate.test.sh [BUILD_DIR]; NORA_FRAMES=1e8 for a long
# run, NORA_SEED=N for other mandates. Last line: "N passed, N failed".
set -u
build=${1:-${NORA_BIN:+$(dirname "$NORA_BIN")}}
export BIN=${build:-build}/bin NORA_SEED=${NORA_SEED:-20261125}
if [ -z "${WIRE_KIND:-}" ]; then
  total=$(printf '%.0f' "${NORA_FRAMES:-1e6}")
  # Five runs a round: one without a wall, two for each kind.
  FRAMES=$((total / 40)); [ $FRAMES -gt 1000000 ] && FRAMES=1000000
  export FRAMES ROUNDS=$(((total + FRAMES * 5 - 1) / (FRAMES * 5)))
  passed=0 failed=0
  # Both at once: each waits for clocks most of the time, and neither sees the other's namespaces.
  results=$(mktemp -d)
  trap 'rm -rf "$results"' EXIT
  kinds=(nft)
  WIRE_KIND=nft unshare --user --map-root-user --net --mount --pid --fork --kill-child bash "$0" "$build" > "$results/nft" 2>&1 &
  if [ "$(id -u)" = 0 ] && grep -q ' 0 *0 *4294967295' /proc/self/uid_map; then
    kinds+=(xdp)
    WIRE_KIND=xdp unshare --net --mount --pid --fork --kill-child bash "$0" "$build" > "$results/xdp" 2>&1 &
  else
    echo "not root of the first user namespace: the XDP wall was not tried"
  fi
  wait
  for kind in "${kinds[@]}"; do
    cat "$results/$kind"
    if [[ $(tail -1 "$results/$kind") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    else failed=$((failed + 1)); fi
  done
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
  exit
fi
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
work=$(mktemp -d)
trap 'kill -CONT $(jobs -rp) 2>/dev/null; kill $(jobs -rp) 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0
ok() { # name condition…
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $WIRE_KIND: $name"; fi
}
field() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" "$1"; }
now_ms() { date +%s%3N; }

set -e
ip netns add scan; ip netns add wall; ip netns add far
ip link add eth0 netns scan type veth peer name inside netns wall
ip link add outside netns wall type veth peer name far0 netns far
for pair in scan:eth0 wall:inside wall:outside far:far0; do ip -n "${pair%:*}" link set "${pair#*:}" up; done
ip -n scan link set lo up
ip netns exec wall sh -c 'for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done; for f in all inside outside; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done'
ip -n wall addr add 192.0.2.9/32 dev outside; ip -n wall addr add 2001:db8:0:9::9/128 dev outside
mac() { ip -n "$1" -o link show dev "$2" | sed 's/.*ether \([0-9a-f:]*\).*/\1/'; }
far_mac=$(mac far far0) wall_mac=$(mac wall inside)
ip -n wall neigh add 192.0.2.2 lladdr "$far_mac" dev outside; ip -n wall route add default via 192.0.2.2 dev outside onlink
ip -n wall neigh add fe80::2 lladdr "$far_mac" dev outside; ip -n wall -6 route add default via fe80::2 dev outside
ip -n scan addr add 192.0.2.10/32 dev eth0
ip -n scan neigh add 192.0.2.9 lladdr "$wall_mac" dev eth0; ip -n scan route add default via 192.0.2.9 dev eth0 onlink
set +e

status=$work/status
wall_start() { # mandate directory, further arguments…
  rm -f "$status"
  ip netns exec wall "$BIN/nora-wall" --mandate "$1/mandate" --roots "$1/roots" --opt-out "$1/opt-out-signed" --opt-out "$1/opt-out" --iface inside \
    --wall $WIRE_KIND --status "$status" "${@:2}" 2> "$work/wall.err" & wall=$!
  for _ in $(seq 500); do [ -s "$status" ] && return; sleep 0.02; done
  cat "$work/wall.err"
}
wall_end() { kill -TERM "$wall" 2>/dev/null; wait "$wall"; }
watch() { # name mandate directory
  rm -f "$work/ready"
  ip netns exec far "$BIN/wire_probe" count "$2" far0 "$work/ready" > "$work/$1.wire" 2>> "$work/outside" & counter=$!
  for _ in $(seq 500); do [ -s "$work/ready" ] && return; sleep 0.02; done
}
watched() { kill -TERM $counter; wait $counter; }
probe() { ip netns exec scan "$BIN/wire_probe" "$@"; }
send() { # name law|raw mandate-directory frames [path]
  watch "$1" "$3"
  probe "$2" "$3" eth0 "$wall_mac" "$4" "${5:-packet}" > "$work/$1.sent" || echo "FAILED: $1: the sender"
  watched
  # The wall writes its status each 200 ms: the second file from now is complete.
  if [ -n "${wall:-}" ] && kill -0 "$wall" 2>/dev/null; then
    for _ in 1 2; do local before; before=$(cat "$status"); for _ in $(seq 100); do [ "$(cat "$status")" != "$before" ] && break; sleep 0.02; done; done
  fi
  cp "$status" "$work/$1.status" 2>/dev/null
}
f() { field "$work/$1" "$2"; }
demo=$work/demo
"$BIN/wire_probe" make "$demo"

# --- random mandates
sent_frames=0 outside=0 blocked=0 refused=0
random_round() { # seed mode(alone|walled) path
  local d=$work/$1 name="seed $1 by $3"
  "$BIN/wire_probe" random "$d" "$1" || { ok "$name: a mandate" false; return; }
  if [ "$2" = alone ]; then
    send alone law "$d" "$FRAMES" "$3"
    ok "$name: wall removed: the sender alone lets nothing out" [ "$(f alone.wire outside)$(f alone.sent bad)" = 00 ]
    ok "$name: wall removed: what is permitted arrives" [ "$(f alone.wire inside)" = "$(f alone.sent good_routed)" ]
    ok "$name: permit and judge agree" [ "$(f alone.sent disagree)$(f alone.sent refused_good)" = 00 ]
    ok "$name: the sender stopped something" [ $(($(f alone.sent refused) * $(f alone.sent no_permit))) -gt 0 ]
    sent_frames=$((sent_frames + FRAMES)) outside=$((outside + $(f alone.wire outside))) refused=$((refused + $(f alone.sent refused) + $(f alone.sent no_permit)))
  else
    wall_start "$d"
    send both law "$d" "$FRAMES" "$3"
    ok "$name: both: wire 0" [ "$(f both.wire outside)" = 0 ]
    ok "$name: both: wall 0" [ "$(f both.status blocked)$(f both.status over_rate)" = 00 ]
    ok "$name: both: no incident" grep -q '"incident":false' "$work/both.status"
    ok "$name: both: what is permitted arrives" [ "$(f both.wire inside) $(f both.status passed)" = "$(f both.sent good_routed) $(f both.sent good)" ]
    send unchecked raw "$d" "$FRAMES"
    ok "$name: sender's check removed: wire 0" [ "$(f unchecked.wire outside)" = 0 ]
    ok "$name: sender's check removed: the wall counts each" [ "$(f unchecked.status blocked)" = "$(f unchecked.sent bad)" ]
    ok "$name: sender's check removed: and there are some" [ "$(f unchecked.sent bad)" -gt 0 ]
    ok "$name: sender's check removed: incident" grep -q '"incident":true' "$work/unchecked.status"
    ok "$name: sender's check removed: what is right arrives" [ "$(f unchecked.wire inside)" = "$(f unchecked.sent good_routed)" ]
    ok "$name: the count lost nothing" [ "$(f both.wire drops)$(f unchecked.wire drops)" = 00 ]
    sent_frames=$((sent_frames + 2 * FRAMES)) outside=$((outside + $(f both.wire outside) + $(f unchecked.wire outside))) blocked=$((blocked + $(f unchecked.status blocked)))
    wall_end
  fi
  rm -rf "$d"
}
# Without a wall first: it stays when it ends.
if [ $WIRE_KIND = nft ]; then
  for r in $(seq "$ROUNDS"); do random_round $((NORA_SEED + r)) alone packet; done
  "$BIN/wire_probe" random "$work/naked" "$NORA_SEED"
  send naked raw "$work/naked" "$FRAMES"
  ok "both removed: the count sees frames outside" [ "$(f naked.wire outside)" -gt 0 ]
  ok "both removed: all of them" [ "$(f naked.wire outside)" -ge "$(f naked.sent bad_routed)" ]
fi
# Live frames vanish where the far end has no native XDP, and need eBPF.
paths=(packet xdp); [ $WIRE_KIND = xdp ] && paths+=(live)
for r in $(seq "$ROUNDS"); do random_round $((NORA_SEED + 1000 + r)) walled "${paths[r % ${#paths[@]}]}"; done
echo "$WIRE_KIND: $ROUNDS mandates, $sent_frames frames, $refused stopped by the sender, $blocked by the wall, $outside outside"

# --- past every check of the sender
wall_start "$demo"
ok "the wall is of this kind" grep -q "\"kind\":\"$WIRE_KIND" "$status"
for kind in ip packet bypass xsk; do
  for dest in 203.0.113.200 203.0.113.7; do
    watch path "$demo"
    probe path $kind eth0 "$wall_mac" $dest 100 > "$work/path.sent"
    ok "$kind to $dest: sent" [ "$(f path.sent sent)" = 100 ]
    watched
    if [ $dest = 203.0.113.200 ]; then ok "$kind: 0 of 100 forbidden frames pass" [ "$(f path.wire outside)$(f path.wire inside)" = 00 ]
    else ok "$kind: 100 of 100 allowed frames pass" [ "$(f path.wire inside)" = 100 ]; fi
  done
done
for _ in 1 2; do sleep 0.25; done
ok "the wall counted 400 and 400" [ "$(field "$status" blocked) $(field "$status" passed)" = "400 400" ]
wall_end

# --- live opt-out: a steady stream to 203.0.113.7, which opts out, and comes back
wall_start "$demo"
watch optout "$demo"
probe trickle eth0 "$wall_mac" 6000 > "$work/optout.sent" & stream=$!
sleep 1
at=$(now_ms); echo '203.0.113.0/26' >> "$demo/opt-out"   # beats the range 203.0.113.0/25
wait $stream; watched
took=$(($(f optout.wire last_ms) - at))
ok "live opt-out: frames passed before" [ "$(f optout.wire inside)" -gt 100 ]
ok "live opt-out: on the wire within 2 s ($took ms)" [ $took -le 2000 ]
ok "live opt-out: counted apart, no incident" [ "$(field "$status" opted_out)" -gt 0 ]
ok "live opt-out: no incident" grep -q '"incident":false' "$status"
ok "live opt-out: not one lost" [ $(($(field "$status" opted_out) + $(f optout.wire inside))) -ge "$(($(f optout.sent sent) - 200))" ]
echo '# live' > "$demo/opt-out"
sleep 2.2
send optin law "$demo" 2000
ok "live opt-out taken back" [ "$(f optin.wire inside)" -gt 0 ]

# --- dead man: nora-wall is stopped in the middle of a stream
watch dead "$demo"
probe trickle eth0 "$wall_mac" 12500 > "$work/dead.sent" & stream=$!
sleep 1
at=$(now_ms); kill -STOP "$wall"
wait $stream; watched
took=$(($(f dead.wire last_ms) - at))
ok "dead man: frames pass for a while ($took ms)" [ $took -ge 8500 ]
ok "dead man: and no longer than 10 s ($took ms)" [ $took -le 10050 ]
kill -9 "$wall"; wait "$wall" 2>/dev/null
send killed law "$demo" 2000
ok "a killed wall stays closed" [ "$(f killed.wire inside)" = 0 ]
wall_start "$demo"
send again law "$demo" 2000
ok "and opens with a new one" [ "$(f again.wire inside)" -gt 0 ]
if [ $WIRE_KIND = xdp ]; then
  ok "the XDP wall runs without any capability" grep -q '^CapPrm:[[:space:]]*0*$' "/proc/$wall/status"
fi
kill -TERM "$wall"; wait "$wall"; rc=$?
ok "a stopped wall ends well" [ $rc = 0 ]
send stopped law "$demo" 2000
ok "a stopped wall stays closed" [ "$(f stopped.wire inside)" = 0 ]

# --- refusals
refuse() { # name exit-code words nora-wall-arguments…
  timeout 20 ip netns exec wall "$BIN/nora-wall" --roots "$demo/roots" --status "$work/x" "${@:4}" 2> "$work/err"; rc=$?
  ok "$1 ($rc)" [ $rc = "$2" ]
  ok "$1: and says so" grep -q "$3" "$work/err"
}
sed 's|203.0.113.0/25|203.0.113.0/24|' "$demo/mandate" > "$work/altered"
refuse "an altered mandate" 4 altered --mandate "$work/altered" --iface inside
refuse "the signed opt-out list is missing" 4 opt-out --mandate "$demo/mandate" --opt-out "$demo/opt-out" --iface inside
refuse "a missing interface" 6 nosuch --mandate "$demo/mandate" --opt-out "$demo/opt-out-signed" --iface nosuch
refuse "another kind" 2 wall --mandate "$demo/mandate" --opt-out "$demo/opt-out-signed" --iface inside --wall brick
if [ $WIRE_KIND = nft ]; then
  refuse "XDP in a user namespace" 6 CAP_BPF --mandate "$demo/mandate" --opt-out "$demo/opt-out-signed" --iface inside --wall xdp
  WIRE_KIND=auto wall_start "$demo"
  ok "auto falls back to nft" grep -q '"kind":"nft"' "$status"
  ok "and says why" grep -q '"note":"the wall is of nft rules, not of XDP: .*CAP_BPF' "$status"
  wall_end
else
  WIRE_KIND=auto wall_start "$demo"
  ok "auto takes XDP" grep -q '"kind":"xdp native"' "$status"
  wall_end
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
