#!/usr/bin/env bash
# nora scan as a user meets it: what it refuses, with which exit code and sentence, and one run against a page in namespaces of its own.
# Usage: scan_cli.test.sh [BUILD_DIR]. Needs user namespaces, iproute2, sqlite by way of nora.
set -u
. "$(dirname "$0")/../expect.sh"
nora=${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin/nora
nora=$(readlink -f "$nora")
here=$(readlink -f "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
draft() { "$nora" mandate new --out "$1" --id test --authority "Test Authority" --legal-basis "Test act" --purpose test --contact test@example \
  --source 192.0.2.10 --range 203.0.113.0/28 --exclude 203.0.113.8/30 --port tcp/80 --port tcp/23 --probe-class P0 --probe-class P1 \
  --rate-total 2000 --rate-per-24 2000 --rate-per-target 50 "${@:2}" > /dev/null && "$nora" mandate sign --key a.key "$1" > /dev/null; }
"$nora" mandate keygen --name authority.example --out a.key > /dev/null
"$nora" mandate roots --threshold 1 --out roots.txt a.key.pub > /dev/null
draft m.txt
draft old.txt --not-before 2020-01-01T00:00:00Z --days 30
draft later.txt --not-before 2099-01-01T00:00:00Z --days 30

scan=(--mandate m.txt --roots roots.txt)
expect "plan" 0 "24 to 12 addresses" "$nora" scan plan "${scan[@]}"
expect "plan, json" 0 '"left_out":\["203.0.113.8/30"\].*"targets":12,"probes":24' "$nora" scan plan "${scan[@]}" --json
expect "plan of one port" 0 '"probes":12,' "$nora" scan plan "${scan[@]}" --ports 80 --json
expect "expired" 4 "expired|no longer|over" "$nora" scan run --mandate old.txt --roots roots.txt --dir s0 --iface lo
expect "not yet" 4 "not valid before" "$nora" scan run --mandate later.txt --roots roots.txt --dir s0 --iface lo
expect "an address outside" 4 "does not cover" "$nora" scan plan "${scan[@]}" --only 203.0.113.200
expect "an excluded address" 4 "does not cover" "$nora" scan plan "${scan[@]}" --only 203.0.113.9
sed 's/^range: 203.0.113.0\/28/range: 203.0.113.0\/24/' m.txt > altered.txt
expect "altered" 4 "sign" "$nora" scan run --mandate altered.txt --roots roots.txt --dir s0 --iface lo
cp "$here/../../data/probes/catalogue.tsv" other.tsv
printf '# another catalogue\n' >> other.tsv
expect "another catalogue" 4 "catalogue" "$nora" scan plan "${scan[@]}" --catalogue other.tsv
expect "no such interface" 6 "nosuch" "$nora" scan run "${scan[@]}" --dir s1 --iface nosuch
expect "a directory in use" 2 "resume" "$nora" scan run "${scan[@]}" --dir s1 --iface nosuch
expect "no wall" 6 "nora-wall" "$nora" scan run "${scan[@]}" --dir s2 --iface lo --wall-status missing.json
expect "nothing to resume" 1 "run.json" "$nora" scan resume --dir s9
expect "a mandate is needed" 2 "--mandate" "$nora" scan run --dir s3 --iface lo

# One survey on a real wire: the far namespace answers for every address on 80 and refuses 23.
cat > far.py << 'PY'
import http.server, socketserver
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
touch go; sleep 1
# The next hop is found by ARP: there is no static neighbour here.
"$nora" scan run --mandate m.txt --roots roots.txt --dir spool --iface eth0 --store sqlite:center.db --answer-window-ms 300 --json > run.ndjson
"$nora" scan status --dir spool --json > status.json
"$nora" audit verify --dir spool/audit --key spool/audit.key.pub > audit.txt 2>&1 || true
kill \$(cat far.pid)
SH
unshare --user --map-root-user --net --mount --pid --fork --mount-proc bash inside.sh > inside.log 2>&1 || { echo "inside: $(tail -3 inside.log)"; }
expect "the run's summary" 0 '"sent":4[0-9].*"complete":true' tail -1 run.ndjson
expect "twelve pages" 0 "^12$" grep -c '"html_title":"page"' run.ndjson
expect "closed ports are told" 0 '"unique":24' tail -1 run.ndjson
expect "nothing left out was asked" 1 "^0$" grep -cE '"ip":"203.0.113.(8|9|10|11)"' run.ndjson
expect "status" 0 '"state":"finished".*"in_doubt":0' cat status.json
expect "finished surveys do not run again" 0 "is finished; nothing more is sent" "$nora" scan resume --dir spool

echo "$passed passed, $failed failed"
[ $failed = 0 ]
