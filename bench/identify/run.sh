#!/usr/bin/env bash
# Measures identification beside its reference, in one run. Usage: bench/identify/run.sh RECOG_DIR [RECOG_RUBY_DIR]
# RECOG_DIR: recog with its folder xml/ (github.com/rapid7/recog). RECOG_RUBY_DIR: its Ruby matcher (rapid7/recog-ruby; Debian: ruby, ruby-nokogiri).
# First: cmake --preset release && cmake --build build/release --target bench nora
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
recog=${1:?recog folder} ruby_dir=${2:-}
bin=$top/build/release/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grep -m1 'model name' /proc/cpuinfo || true
if [ -n "$ruby_dir" ]; then
  echo "== reference: recog's own matcher"
  timeout 300 ruby "$top/bench/identify/recog_ruby.rb" "$ruby_dir" "$recog"
fi
echo "== in process, recog's rules and examples"
timeout 600 "$bin/identify_bench" "$recog/xml"
echo "== the command, NDJSON in and out"
export NORA_CACHE=$work/cache
"$bin/nora" rules import recog "$recog" --into "$work/rules" 2>"$work/import.err"
python3 - "$recog/xml" >"$work/once" <<'PY'
import base64, glob, json, os, sys
import xml.etree.ElementTree as ET
for path in sorted(glob.glob(sys.argv[1] + "/*.xml")):
    root, stem = ET.parse(path).getroot(), os.path.basename(path)[:-4]
    for rule in root.iter("fingerprint"):
        for e in rule.findall("example"):
            raw = base64.b64decode(e.text or "") if e.get("_encoding") == "base64" else (e.text or "").encode()
            o = {"key": root.get("matches") or stem, "file": stem}
            try: o["value"] = raw.decode()
            except UnicodeDecodeError: o["value_base64"] = base64.b64encode(raw).decode()
            print(json.dumps(o))
PY
lines=$(wc -l <"$work/once")
for _ in $(seq 40); do cat "$work/once"; done >"$work/in"
"$bin/nora" identify --rules "$recog/xml" <"$work/in" >/dev/null   # fills the cache
for n in 1 2 3; do
  /usr/bin/env bash -c "TIMEFORMAT='%R s wall, %U s user'; time $bin/nora identify --rules '$recog/xml' <'$work/in' >'$work/out'" 2>&1 | sed "s/^/$((lines * 40)) lines: /"
done
echo "answers with a fingerprint: $(grep -vc '"fingerprint":null' "$work/out") of $(wc -l <"$work/out")"
echo "== start from cache: one line"
head -1 "$work/once" >"$work/one"
for n in 1 2 3; do
  /usr/bin/env bash -c "TIMEFORMAT='%R s wall, %U s user'; time $bin/nora identify --rules '$recog/xml' <'$work/one' >/dev/null" 2>&1
done
