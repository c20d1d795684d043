#!/usr/bin/env bash
# Log, then act: the disk of the audit log is full, and the survey sends nothing: 0 frames on the wire, and the exit says so. When there is room
# again, it goes on and finishes. Then the disk fills in the middle: what is on the wire afterwards is at most what a leaf had announced.
# Usage: audit_full.test.sh [BUILD_DIR]. Needs user namespaces, iproute2, python3.
set -u
. "$(dirname "$0")/../expect.sh"
nora=${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin/nora
nora=$(readlink -f "$nora")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$nora" mandate keygen --name authority.example --out a.key > /dev/null
"$nora" mandate roots --threshold 1 --out roots.txt a.key.pub > /dev/null
"$nora" mandate new --out m.txt --id test --authority "Test Authority" --legal-basis "Test act" --purpose test --contact test@example \
  --source 192.0.2.10 --range 203.0.113.0/26 --port tcp/80 --port tcp/23 --probe-class P0 --rate-total 400 --rate-per-24 400 --rate-per-target 50 > /dev/null
"$nora" mandate sign --key a.key m.txt > /dev/null
cat > far.py << 'PY'
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
s.bind(("far", 0))
with open("wire.txt", "w", buffering=1) as out:
    while True:
        frame, where = s.recvfrom(2048)
        if where[2] != socket.PACKET_OUTGOING: out.write(frame[14:].hex() + "\n")
PY
cat > inside.sh << SH
set -e
mkdir -p log/audit; mount -t tmpfs -o size=256k tmpfs log/audit
ip link set lo up
unshare -n sh -c 'echo \$\$ > far.pid; while [ ! -e go ]; do sleep 0.05; done; ip link set lo up; ip addr add 192.0.2.1/24 dev far; ip link set far up; ip route add local 203.0.113.0/26 dev lo; exec python3 far.py' &
while [ ! -s far.pid ]; do sleep 0.05; done
ip link add eth0 type veth peer name far netns \$(cat far.pid)
ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1
touch go; sleep 1
# The log is there, and then the disk is full.
"$nora" scan run --mandate m.txt --roots roots.txt --dir none --audit log/audit --iface nosuch > /dev/null 2>&1 || true
cp none/audit.key party.key
dd if=/dev/zero of=log/audit/filler bs=1k 2> /dev/null || true
set +e
"$nora" scan run --mandate m.txt --roots roots.txt --dir spool --audit log/audit --key party.key --iface eth0 --answer-window-ms 200 --segment-size 32 --no-calibration --json > full.ndjson 2> full.err
echo \$? > full.code; sleep 0.5; wc -l < wire.txt > full.frames
rm log/audit/filler
"$nora" scan resume --dir spool --json > again.ndjson 2> again.err
echo \$? > again.code; wc -l < wire.txt > again.frames
# A second survey, whose disk fills while it runs.
: > wire.txt
( for i in \$(seq 200); do [ \$(wc -l < wire.txt) -ge 20 ] && break; sleep 0.02; done; dd if=/dev/zero of=log/audit/filler bs=1k 2> /dev/null ) &
"$nora" scan run --mandate m.txt --roots roots.txt --dir second --audit log/audit --key party.key --iface eth0 --answer-window-ms 200 --segment-size 32 --no-calibration --json > mid.ndjson 2> mid.err
echo \$? > mid.code; sleep 0.5; wc -l < wire.txt > mid.frames
rm log/audit/filler
"$nora" audit show log/audit --kind segment_reserved --json > reserved.ndjson
"$nora" scan resume --dir second --json > mid2.ndjson 2> mid2.err
echo \$? > mid2.code
"$nora" audit verify log/audit --key none/audit.key.pub > verify.txt 2>&1
kill \$(cat far.pid)
SH
unshare --user --map-root-user --net --mount --pid --fork --mount-proc bash inside.sh > inside.log 2>&1 || { echo "inside: $(tail -5 inside.log)"; }
expect "full: it fails" 0 "^[15]$" cat full.code
expect "full: it says why" 0 "audit log cannot be written.*No space left" cat full.err
expect "full: not one frame" 0 "^0$" cat full.frames
expect "room again: it is finished" 0 "^0$" cat again.code
expect "room again: every probe went out" 0 '"sent":128.*"complete":true' tail -1 again.ndjson
expect "in the middle: it stops" 0 "^[15]$" cat mid.code
expect "in the middle: it says why" 0 "audit log cannot be written.*No space left" cat mid.err
expect "in the middle: only what a leaf had announced" 0 "^ok" python3 - << 'PY'
import json
second = json.loads(open("second/plan.json").read())["survey"]
leaves = [json.loads(l) for l in open("reserved.ndjson")]
announced = sum(l["data"]["to"] - l["data"]["from"] for l in leaves if l["data"]["survey"] == second)
frames = int(open("mid.frames").read())
assert 0 < frames <= announced < 128, (frames, announced)
print("ok: %d frames, %d announced" % (frames, announced))
PY
expect "in the middle: it goes on" 0 "^0$" cat mid2.code
expect "the log is whole" 0 "leaves, root" cat verify.txt

echo "$passed passed, $failed failed"
[ $failed = 0 ]
