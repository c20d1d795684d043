#!/usr/bin/env bash
# The whole loop, headless, as an unprivileged user and (when the test runs as root) as root: the product's main job is its end-to-end test.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
chmod 777 "$work"
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
add() { read -r p _ f _ <<<"$(tail -1 "$1" | tr -d ,)"; passed=$((passed + p)); failed=$((failed + f)); }
one() {  # name, command…
  local name=$1 code
  shift
  echo "== $name"
  (cd "$work" && timeout 280 env TMPDIR="$work" HOME="$work" "$@" "$NORA_BIN/nora" demo --headless --json) >"$work/$name.out" 2>"$work/$name.err" </dev/null
  code=$?
  node "$here/check_summary.mjs" "$work/$name.out" "$code" | tee "$work/$name.checks"
  [ "${PIPESTATUS[0]}" = 0 ] || { tail -40 "$work/$name.err"; tail -3 "$work/$name.out"; }
  add "$work/$name.checks"
}
if [ "$(id -u)" = 0 ]; then
  one root env
  nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
  # A checkout below a private folder cannot be read by another user: then the unprivileged user is one of a user namespace.
  "${nobody[@]}" test -x "$NORA_BIN/nora" || nobody=(unshare --user --map-user=1000 --map-group=1000)
  one nobody "${nobody[@]}"
else
  one user env
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
