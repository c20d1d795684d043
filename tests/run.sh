#!/usr/bin/env bash
# Runs every test of the build folder given, then the parsers under clang-19's ASan and UBSan with corpus replay, and adds it all up.
# Used by `make test`. Last line: "N passed, N failed". A skipped test counts as failed; so does a test program that printed no count.
set -uo pipefail
build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
results=$build/results
mkdir -p "$results"

run_ctest() {  # folder, name, ctest arguments…
  local folder=$1 name=$2
  shift 2
  ctest --test-dir "$folder" --output-on-failure --test-output-size-passed 2000000 --test-output-size-failed 2000000 \
    --output-junit "$top/$results/$name.xml" "$@" 2>&1 | tee "$results/$name.log" | grep -vE '^ +[0-9]+/[0-9]+ Test .* Passed|^      Start '
}

run_ctest "$build" dev -j 2 || true

# Parsers of foreign bytes under the sanitizers, with replay of the kept corpora and short fuzzing of nothing else: that is `make nightly`.
if cmake --preset asan >"$results/asan-configure.log" 2>&1 && cmake --build build/asan -j "$(nproc)" --target parsers >"$results/asan-build.log" 2>&1; then
  run_ctest build/asan asan -R 'fuzz_replay_' || true
else
  echo "the sanitizer build failed:"
  tail -30 "$results/asan-configure.log" "$results/asan-build.log" 2>/dev/null
  echo '<testcase name="sanitizer build" status="fail"/>' >"$results/asan.xml"
fi

exec bash tests/count.sh "$results/dev.xml" "$results/asan.xml"
