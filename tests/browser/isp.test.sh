#!/usr/bin/env bash
# The provider's pages in Chromium: every page of `nora isp serve` in both languages, axe 0, light and dark, 320 px; the second person approves.
# Argument: the build folder. Last line: "N passed, N failed".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
bash "$here/install.sh" "$here/../../build/browser" >&2
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
links=$("$build/bin/nora-test-isp" "$dir" "$here/../../data")
"$build/bin/nora" isp serve --dir "$dir" --listen 127.0.0.1:0 --json >"$dir/out" 2>"$dir/err" &
server=$!
for _ in $(seq 100); do grep -q ready "$dir/out" && break; sleep 0.1; done
base=$(node -e 'console.log(JSON.parse(require("fs").readFileSync(process.argv[1], "utf8").split("\n")[0]).url)' "$dir/out")
# The operator sees drafts and asks for isolations; the approver sees the button of the second person.
status=0
: >"$dir/walks"
for user in ops1 ops2; do
  login=$(node -e 'console.log(JSON.parse(process.argv[1])[process.argv[2]])' "$links" "$user")
  node "$here/pages.mjs" --base "$base" --login "$login" --start /ja/row/case-12,/en/row/case-5,/ja/isolation,/ja/worklist,/en/worklist --most 40 "${@:2}" | tee -a "$dir/walks" || status=1
done
awk '/ passed, [0-9]+ failed$/ { passed += $1; failed += $3 } END { print passed " passed, " failed " failed" }' "$dir/walks"
exit "$status"
