#!/usr/bin/env bash
# "Was it you?" and the audit log as a party uses them: one real survey on a wire that is captured at the far end; then the complaint is answered
# from the records, and every packet that it quotes is one that was captured, and the other way round. Proofs, witness, going back, shredding.
# Usage: complaint.test.sh [BUILD_DIR]. Needs user namespaces, iproute2, python3.
set -u
. "$(dirname "$0")/../expect.sh"
nora=${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin/nora
nora=$(readlink -f "$nora")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$nora" mandate keygen --name authority.example --out a.key > /dev/null
"$nora" mandate keygen --name isp1.example/witness --out w.key > /dev/null
"$nora" mandate roots --threshold 1 --out roots.txt a.key.pub > /dev/null
"$nora" mandate new --out m.txt --id test-2026 --authority "Test Authority" --legal-basis "Test act, article 1" --purpose "find stray IoT" --contact survey@authority.example \
  --source 192.0.2.10 --range 203.0.113.0/28 --exclude 203.0.113.8/30 --port tcp/80 --port tcp/23 --port udp/53 --probe-class P0 --probe-class P1 \
  --rate-total 2000 --rate-per-24 2000 --rate-per-target 50 > /dev/null
"$nora" mandate sign --key a.key m.txt > /dev/null

# The far end answers on 80, refuses 23, and keeps every IP packet with its time.
cat > far.py << 'PY'
import http.server, socket, socketserver, threading, time
def capture():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    s.bind(("far", 0))
    with open("wire.txt", "w", buffering=1) as out:
        while True:
            frame, where = s.recvfrom(2048)
            if where[2] != socket.PACKET_OUTGOING: out.write("%.6f %s\n" % (time.time(), frame[14:].hex()))
threading.Thread(target=capture, daemon=True).start()
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"<title>page</title>")
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 64
Server(("0.0.0.0", 80), Page).serve_forever()
PY
cat > inside.sh << SH
set -e
ip link set lo up
unshare -n sh -c 'echo \$\$ > far.pid; while [ ! -e go ]; do sleep 0.05; done; ip link set lo up; ip addr add 192.0.2.1/24 dev far; ip link set far up; ip route add local 203.0.113.0/28 dev lo; exec python3 far.py' &
while [ ! -s far.pid ]; do sleep 0.05; done
ip link add eth0 type veth peer name far netns \$(cat far.pid)
ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1
touch go; sleep 1.5
"$nora" scan run --mandate m.txt --roots roots.txt --dir spool --iface eth0 --answer-window-ms 300 --no-calibration --json > run.ndjson 2> run.err
kill \$(cat far.pid)
SH
unshare --user --map-root-user --net --mount --pid --fork --mount-proc bash inside.sh > inside.log 2>&1 || { echo "inside: $(tail -3 inside.log) $(tail -3 run.err)"; }
expect "the survey" 0 '"complete":true' tail -1 run.ndjson

# When the wire saw probes to .3, by the far end's own clock.
victim=203.0.113.3
at=$(python3 - << 'PY'
import datetime
for line in open("wire.txt"):
    t, h = line.split(); p = bytes.fromhex(h)
    if p[16:20] == bytes([203, 0, 113, 3]) and int.from_bytes(p[20:22], "big") >= 61000:
        print(datetime.datetime.fromtimestamp(float(t), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")); break
PY
)
ask() { "$nora" complaint --dir spool "$@"; }
expect "yes" 0 "YES, it was us" ask --ip $victim --at "$at" --window 2m --letter letter.txt --proof reply.tlog-proof
ask --ip $victim --at "$at" --window 2m --json > yes.json
# Every packet quoted was on the wire to the byte, every probe on the wire is quoted.
cat > compare.py << 'PY'
import json
a = json.load(open("yes.json"))
wire = [l.split()[1] for l in open("wire.txt")]
probes = [h for h in wire if h[32:40] == "cb007103" and int(h[40:44], 16) >= 61000 and (h[18:20] == "11" or h[66:68] == "02")]
quoted = [p["packet"] for p in a["probes"]]
left = list(probes)
for q in quoted:
    hit = next((h for h in left if h == q), None)
    assert hit, "quoted and not on the wire: " + q
    left.remove(hit)
assert not left, "on the wire and not quoted: " + str(left)
assert len(quoted) == 4, len(quoted)  # tcp 23, tcp 80, two DNS questions
assert all(p["exact"] and ".." not in p["packet"] and p["record"] == "proven" for p in a["probes"])
talks = [t for t in a["conversations"] if t["port"] == 80]
assert talks and talks[0]["words"].startswith("GET / HTTP/1.1\r\nHost: 203.0.113.3\r\n"), talks
assert talks[0]["request_bytes"] == len(talks[0]["words"])
assert any(bytes.fromhex(h)[40:].endswith(talks[0]["words"].encode()) for h in wire if h[32:40] == "cb007103"), "the words were not on the wire"
assert a["mandate"]["id"] == "test-2026" and a["in_range"] and a["verdict"] == "sent"
print("ok")
PY
expect "the wire agrees" 0 "^ok$" python3 compare.py
expect "the proofs hold without us" 0 "segment_committed" "$nora" audit check-proof reply.tlog-proof --key spool/audit.key.pub
sed 's/^index \([0-9]*\)/index 1\1/' reply.tlog-proof > bad.tlog-proof
expect "an altered proof does not" 1 "not proved" "$nora" audit check-proof bad.tlog-proof --key spool/audit.key.pub
for words in "ご担当者様" "To whom it may concern" "Test act, article 1" "survey@authority.example" "調査を止めるには" "How to opt out" "TCP port 80" "reply.tlog-proof"; do
  expect "the letter: $words" 0 "$words" cat letter.txt
done
expect "one language" 1 "^0$" sh -c "'$nora' complaint --dir spool --ip $victim --at $at --lang en --letter en.txt > /dev/null; grep -c 様 en.txt"
expect "every complaint is a leaf" 0 '"port":80' sh -c "'$nora' complaint --dir spool --ip $victim --port 80 --at $at > /dev/null; '$nora' audit show spool/audit --kind complaint --json | tail -1"

day_before=$(date -u -d "$at 1 day ago" +%Y-%m-%dT%H:%M:%SZ) hour_later=$(date -u -d "$at 1 hour" +%Y-%m-%dT%H:%M:%SZ)
tokyo=$(date -u -d "$at 9 hours" +%Y-%m-%dT%H:%M:%SZ)  # the local time, given as if it were UTC
expect "a time at which nothing was sent" 0 '"verdict":"not_sent".*"segments":\[\]' ask --ip $victim --at "$(date -u -d "$at 3 days ago" +%Y-%m-%dT%H:%M:%SZ)" --json
expect "a clock that is one hour off" 0 '"verdict":"not_sent".*"hours_off":-1' ask --ip $victim --at "$hour_later" --json
expect "a time without its zone" 0 "9 whole hours away" ask --ip $victim --at "$tokyo"
expect "an address outside" 0 '"verdict":"not_sent","in_range":false,"in_plan":false' ask --ip 198.51.100.9 --at "$at" --json
expect "an address that was left out" 0 '"verdict":"not_sent","in_range":false' ask --ip 203.0.113.9 --at "$at" --json
expect "a time without a zone is refused" 1 "zone|offset|time" ask --ip $victim --at 2026-11-25T00:00:00
cp -r spool altered; printf '\1' | dd of=altered/segments/0.bin bs=1 seek=10 conv=notrunc 2> /dev/null
for n in altered/segments/*.bin; do printf '\1' | dd of="$n" bs=1 seek=10 conv=notrunc 2> /dev/null; done
expect "altered records are no proof" 0 '"verdict":"uncertain"' "$nora" complaint --dir altered --audit spool/audit --ip $victim --port 53 --at "$at" --json

# The log itself.
key=spool/audit.key.pub
expect "verify" 0 "leaves, root" "$nora" audit verify spool/audit --key $key
segment=$("$nora" audit show spool/audit --kind segment_committed --json | head -1 | sed 's/.*"segment":"\([^"]*\)".*/\1/')
"$nora" audit prove spool/audit --segment "$segment" --out s.tlog-proof --key $key > /dev/null
expect "both leaves of a segment" 0 "segment_reserved" "$nora" audit check-proof s.tlog-proof --key $key
expect "and the committed one" 0 "segment_committed" "$nora" audit check-proof s.tlog-proof --key $key
expect "a closed proof discloses nothing" 0 "not disclosed" sh -c "'$nora' audit prove spool/audit --leaf 0 --closed --out c.tlog-proof > /dev/null; '$nora' audit check-proof c.tlog-proof --key $key"
expect "no witness yet" 1 "0 of 1 witnesses" "$nora" audit verify spool/audit --key $key --witness w.key.pub
expect "a log that the witness does not know" 4 "does not know" "$nora" audit witness --state seen --key w.key --log spool/audit --out one.txt
expect "the witness looks" 0 "cosigned" "$nora" audit witness --state seen --key w.key --log spool/audit --log-key $key --out one.txt
expect "its cosignature is kept" 0 "seen by isp1.example/witness" "$nora" audit accept spool/audit --key $key --witness w.key.pub one.txt
expect "verify with a witness" 0 "seen by isp1.example/witness" "$nora" audit verify spool/audit --key $key --witness w.key.pub --quorum 1 --max-age 1h
cp -r spool/audit before
ask --ip $victim --at "$at" > /dev/null
size=$("$nora" audit verify before --key $key --json | sed 's/.*"size":\([0-9]*\).*/\1/')
"$nora" audit request spool/audit --old "$size" --out request.txt
expect "by letter" 0 "cosigned" "$nora" audit witness --state seen --key w.key --request request.txt --out two.txt
expect "the same letter again" 4 "make the request with --old" "$nora" audit witness --state seen --key w.key --request request.txt --out three.txt
"$nora" audit accept spool/audit --key $key --witness w.key.pub two.txt > /dev/null
expect "a log that was put back looks well" 0 "leaves, root" "$nora" audit verify before --key $key --witness w.key.pub --quorum 1
expect "but not to who has the witness's note" 1 "went back" "$nora" audit verify before --key $key --witness w.key.pub --quorum 1 --seen seen/*/checkpoint
expect "nor to the witness" 4 "went back" "$nora" audit witness --state seen --key w.key --log before --out four.txt
"$nora" complaint --dir spool --audit before --ip $victim --at "$day_before" > /dev/null
"$nora" complaint --dir spool --audit before --ip $victim --at "$day_before" > /dev/null
expect "a fork" 4 "forked" "$nora" audit witness --state seen --key w.key --log before --out four.txt
leaf=$("$nora" audit show spool/audit --kind complaint --json | head -1 | sed 's/.*"index":\([0-9]*\).*/\1/')
expect "shredding needs a reason" 2 "reason" "$nora" audit shred spool/audit --key spool/audit.key --leaf "$leaf"
expect "shredding" 0 "1 leaves shredded" "$nora" audit shred spool/audit --key spool/audit.key --leaf "$leaf" --reason "answered, 90 days"
expect "it is gone" 0 "^ *$leaf  - .*shredded" sh -c "'$nora' audit show spool/audit --from $leaf --to $((leaf + 1))"
expect "and the log holds" 0 "1 of them are shredded" "$nora" audit verify spool/audit --key $key --witness w.key.pub --quorum 1 --seen seen/*/checkpoint
mkdir public; cp -r spool/audit/checkpoint spool/audit/tile public
expect "a public copy" 0 "leaves, root" "$nora" audit verify public --key $key --public
expect "which is not the whole log" 1 "private" "$nora" audit verify public --key $key
printf '\1' | dd of="$(find spool/audit/tile/entries -type f | head -1)" bs=1 seek=5 conv=notrunc 2> /dev/null
expect "a changed byte" 1 "does not hold" "$nora" audit verify spool/audit --key $key

echo "$passed passed, $failed failed"
[ $failed = 0 ]
