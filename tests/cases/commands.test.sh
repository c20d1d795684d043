#!/usr/bin/env bash
# nora list, case, cluster, find as people at the center use them: outputs, refusals, exit codes. Usage: commands.test.sh [BUILD_DIR].
set -u
bin=${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin
nora=$bin/nora
shipped=$(cd "$(dirname "$0")/../../data" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0
expect() { # name code regex command…
  local name=$1 code=$2 regex=$3; shift 3
  "$@" > out 2>&1; local rc=$?
  if [ $rc = "$code" ] && { [ -z "$regex" ] || grep -qE -- "$regex" out; }; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name (code $rc): $(head -c 600 out)"; fi
}
rows() { # name number command…: so many lines on stdout
  local name=$1 number=$2; shift 2
  local n; n=$("$@" 2>/dev/null | wc -l)
  if [ "$n" = "$number" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name: $n lines, not $number"; fi
}

sql() { python3 -c 'import sqlite3, sys; db = sqlite3.connect("c/nora.db"); db.execute(sys.argv[1]); db.commit()' "$1"; }

expect "fill" 0 "devices" "$bin/nora-test-fill" c
devices=$(sed -n 's/^\([0-9]*\) devices.*/\1/p' out)
rows "find: every device" "$devices" "$nora" find --dir c --json
expect "find: by address" 0 "LAN-W300N/R" "$nora" find --dir c 203.0.113.10
expect "find: by pattern" 0 "open-resolver" "$nora" find --dir c --findings --pattern A
rows "find: unknown" 4 "$nora" find --dir c --unknown --json
expect "find: bad pattern" 2 "A, B, C or D" "$nora" find --dir c --pattern X
expect "find: bad prefix" 1 "error" "$nora" find --dir c 203.0.113.7/24
expect "find: nothing, exit 3 only when asked" 3 "" "$nora" find --dir c 192.0.2.1 --exit-empty
expect "find: nothing" 0 "" "$nora" find --dir c 192.0.2.1

expect "case list" 0 "S1_VALIDATED.*hikari" "$nora" case list --dir c --isp hikari
expect "case causes" 0 "\"cases\":[0-9]+" "$nora" case causes --dir c --json
expect "case fixers: the unknown devices are one group" 0 "\"fixer\":\"maker\".*\"rule\":\"telnet-login\".*\"days\":\\[" "$nora" case fixers --dir c --json
expect "case fixers: the request names no address" 1 "" grep -qE "203\\.0\\.113|198\\.51\\.100" <("$nora" case fixers --dir c --request)
expect "case fixers: language" 1 "" "$nora" case fixers --dir c --lang xx
id=$("$nora" find --dir c --findings 203.0.113.10 --json | sed -n 's/.*"case":\([0-9]*\),.*/\1/p' | head -1)
expect "case show" 0 "telnet-login" "$nora" case show --dir c "$id"
expect "case show: events and findings" 0 '"findings":\[.*"events":\[' "$nora" case show --dir c "$id" --json
expect "case show: none" 1 "no case 9999" "$nora" case show --dir c 9999
expect "case move: not by the table" 4 "cannot go from" "$nora" case move --dir c "$id" --to S7_FIXED --by ops1 --reason wish
expect "case move: no such state" 1 "no case state" "$nora" case move --dir c "$id" --to S99 --by ops1 --reason x

rows "list make: a preview makes nothing" "$("$nora" case list --dir c --isp hikari --state S1_VALIDATED --json | wc -l)" "$nora" list make --dir c --isp hikari --dry-run
rows "no list yet" 0 "$nora" list status --dir c --json
expect "list make" 0 '"sequence":1,.*"file":"/' "$nora" list make --dir c --isp hikari --json
file=$(sed -n 's/.*"file":"\([^"]*\)".*/\1/p' out)
expect "the file is private" 0 "^600$" stat -c %a "$file"
expect "the file is sealed" 1 "" grep -a "203.0.113" "$file"
expect "list make: nothing new" 0 "nothing new" "$nora" list make --dir c --isp hikari
expect "list make: on site" 4 "visited" "$nora" list make --dir c --isp kinmirai
expect "list make: unknown ISP" 2 "no ISP" "$nora" list make --dir c --isp nobody
expect "list make: the other ISP" 0 "sakura: list 1" "$nora" list make --dir c
expect "list status" 0 "hikari-1.*written" "$nora" list status --dir c --isp hikari
list=$("$nora" list status --dir c --isp hikari --json | sed -n 's/.*"list":"\([^"]*\)".*/\1/p')
leaves() { "$nora" audit show c/audit --json 2>/dev/null | grep -c '"list_view"'; }
before=$(leaves)
expect "list show" 0 "telnet-login" "$nora" list show --dir c "$list" --by ops1
[ "$(leaves)" = $((before + 1)) ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAILED: a view of a list left no leaf"; }
head -c 300 /dev/urandom > junk
expect "return import: junk" 4 "not for this key" "$nora" list return import --dir c --isp hikari junk
expect "return import: a list is no return" 4 "not for this key" "$nora" list return import --dir c --isp hikari "$file"

key=$("$nora" cluster list --dir c --json | sed -n 's/.*"cluster":"\([^"]*\)".*/\1/p' | head -1)
expect "cluster list" 0 "4 devices" "$nora" cluster list --dir c
expect "cluster show" 0 "html_title = Device Console" "$nora" cluster show --dir c "$key"
expect "cluster name: preview" 0 "<fingerprint" "$nora" cluster name --dir c "$key" --product CTL-100 --by analyst1 --dry-run
expect "cluster name: one person is not two" 4 "second person" "$nora" cluster name --dir c "$key" --vendor Kinmirai --product CTL-100 --type Router --by analyst1 --accept analyst1
expect "cluster name: propose" 0 "proposal [0-9]+" "$nora" cluster name --dir c "$key" --vendor Kinmirai --product CTL-100 --type Router --by analyst1
n=$(sed -n 's/^proposal \([0-9]*\):.*/\1/p' out)
rows "still unknown before the second person" 4 "$nora" find --dir c --unknown --json
expect "cluster name: accept" 0 "4 devices" "$nora" cluster name --dir c --proposal "$n" --accept analyst2
rows "named at once" 4 "$nora" find --dir c --product CTL-100 --json
rows "nothing unknown" 0 "$nora" find --dir c --unknown --json
expect "cluster undo" 0 "taken back" "$nora" cluster undo --dir c "$key" --by analyst1
rows "unknown again" 4 "$nora" find --dir c --unknown --json
expect "a family without words that differ" 4 "the members differ in 0 words of html_title" "$nora" cluster name --dir c "$key" --vendor Kinmirai --product 'CTL-{1}' --by analyst1 --dry-run
expect "a family with a broken place" 2 "\\{1\\} stands for" "$nora" cluster name --dir c "$key" --vendor Kinmirai --product 'CTL-{x}' --by analyst1
expect "calibrate: nobody labelled" 1 "no device is labelled" "$nora" cluster calibrate --dir c --by analyst1
expect "cluster label" 0 "labelled" "$nora" cluster label 1 --dir c --vendor Somebody --product Else --by analyst1
expect "calibrate: a trial" 0 "0 right, 1 wrong" "$nora" cluster calibrate --dir c --by analyst1 --dry-run
expect "calibrate" 0 "replies identified again" "$nora" cluster calibrate --dir c --by analyst1
expect "calibrate: NDJSON" 0 '"labelled":1,.*"replies_again":0' "$nora" cluster calibrate --dir c --by analyst1 --json
expect "calibrate: taken back" 0 "[1-9][0-9]* replies identified again" "$nora" cluster calibrate --dir c --by analyst1 --forget
expect "cluster rebuild" 0 "4 devices without a name in 1 clusters .*; 0 have another cluster now" "$nora" cluster rebuild --dir c
sql "UPDATE device SET cluster = 'c-0000000000' WHERE cluster <> ''"
expect "cluster rebuild: NDJSON" 0 '"devices":4,.*"clusters":1,' "$nora" cluster rebuild --dir c --json
expect "the queue has the key again" 0 "$key" "$nora" cluster list --dir c

# Shipped rules that change between two programs: the next command finds the history under the new ones.
cp -r "$shipped" data
cat > data/fingerprints/nora_later.xml <<'X'
<fingerprints xmlns:nora="urn:nora:rules:1" matches="html_title" preference="0.95"><fingerprint pattern="^Device Console$" nora:id="later" nora:source="test" nora:verified="yes"><description>later</description>
<example>Device Console</example><param pos="0" name="hw.vendor" value="Kinmirai"/><param pos="0" name="hw.product" value="LATER-1"/></fingerprint></fingerprints>
X
expect "other shipped rules: the history is thought through again" 0 "all replies are identified again" env NORA_DATA="$work/data" "$nora" cluster list --dir c
rows "other shipped rules: named" 4 "$nora" find --dir c --product LATER-1 --json
expect "other shipped rules: once" 1 "" sh -c "NORA_DATA='$work/data' '$nora' cluster list --dir c 2>&1 | grep 'identified again'"
expect "the rules of before" 0 "identified again" "$nora" cluster list --dir c
rows "the rules of before: unknown again" 4 "$nora" find --dir c --unknown --json
# Folders that the server was given belong to every command that changes rules: a calibration takes no name away.
mkdir extra && mv data/fingerprints/nora_later.xml extra/
sql "INSERT INTO history_state (name, value) VALUES ('rules.folders', '$work/extra' || char(10))"
expect "the server's folders" 0 "" "$nora" cluster list --dir c
rows "the server's folders: named" 4 "$nora" find --dir c --product LATER-1 --json
expect "calibrate with the server's folders" 0 "after:" "$nora" cluster calibrate --dir c --by analyst1
rows "calibrate with the server's folders: still named" 4 "$nora" find --dir c --product LATER-1 --json
expect "audit holds" 0 "" "$nora" audit verify c/audit --key c/center.key.pub

echo "$passed passed, $failed failed"
[ $failed = 0 ]
