#!/usr/bin/env bash
# Misuse of permits, raw senders, secrets and subscribers must not compile. Each .cc here says in its second line what the compiler must
# complain about ("// expect: REGEX"); control.cc must compile, so that a broken include path cannot make every case "fail as expected".
# Usage: compile_fail.test.sh [BUILD_DIR]. Last line: "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
compiler=${NORA_CXX:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile() { LC_ALL=C "$compiler" -std=c++23 -fsyntax-only -fno-diagnostics-show-caret -I"$source/src" "$1" >"$work/$(basename "$1").out" 2>&1; echo $? >"$work/$(basename "$1").rc"; }
for file in "$here"/*.cc; do
  compile "$file" &
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
done
wait
passed=0 failed=0
for file in "$here"/*.cc; do
  name=$(basename "$file") expected=$(sed -n '2s|^// expect: ||p' "$file")
  rc=$(cat "$work/$name.rc") out="$work/$name.out"
  if [ "$expected" = compiles ]; then
    if [ "$rc" = 0 ]; then good=1; else good=0; fi
  elif [ -n "$expected" ] && [ "$rc" != 0 ] && grep -qE "error: .*($expected)" "$out" && ! grep -q "No such file" "$out"; then
    good=1
  else
    good=0
  fi
  if [ $good = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name (expected: $expected, compiler's status $rc)"; head -5 "$out"; fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
