#!/usr/bin/env bash
# The demo leaves the host as it was: the same listeners, enabled units, network interfaces, processes of ours and files outside the
# build tree before and after. (Files that belong to the running machine, not to the demo, are left out by folder.)
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build=$(cd "$1" && pwd)
source=$(cd "$NORA_SOURCE" && pwd)
snapshot() {  # folder
  mkdir -p "$1"
  ss -Hlntu 2>/dev/null | awk '{print $1, $5}' | sort -T "$work" >"$1/listeners"
  find /etc/systemd /run/systemd/generator /usr/lib/systemd -path '*.wants/*' 2>/dev/null | sort -T "$work" >"$1/units"
  ip -o link 2>/dev/null | awk -F': ' '{print $2}' | sort -T "$work" >"$1/links"
  ip netns list 2>/dev/null | sort -T "$work" >"$1/netns"
  findmnt -rno TARGET 2>/dev/null | sort -T "$work" >"$1/mounts"
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path "$source" -o -path "$build" -o -path "$work" -o -path /var/log -o -path /root -o -path /home \
    -o -path /var/cache -o -path '/tmp/bash_*' -o -path '/tmp/cc*' -o -path '/tmp/*-results' -o -path "${TMPDIR_SHARED:-/nonexistent}" \) -prune -o -type f -printf '%p %s %T@\n' 2>/dev/null | sort -T "$work" >"$1/files"
}
snapshot "$work/before"
(cd "$work" && timeout 280 "$NORA_BIN/nora" demo --headless --json >"$work/out" 2>"$work/err" </dev/null)
code=$?
sleep 1
snapshot "$work/after"
passed=0
failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi; }
check "the demo ended well (exit $code)" "$code"
for what in listeners units links netns mounts files; do
  diff "$work/before/$what" "$work/after/$what" >"$work/diff"
  status=$?
  [ $status = 0 ] || head -10 "$work/diff"
  check "$what are the same before and after" $status
done
left=$(pgrep -f "$build/bin/nora" | wc -l)
check "no process is left ($left)" "$left"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
