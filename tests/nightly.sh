#!/usr/bin/env bash
# What is too long for every change: thread sanitizer, 5 minutes of fuzzing per parser (NORA_FUZZ_SECONDS), ten times the property runs.
# Used by `make nightly`. Prints "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
seconds=${NORA_FUZZ_SECONDS:-300}
passed=0
failed=0
step() {  # name, command…
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

cmake --preset tsan >/dev/null && cmake --build build/tsan -j "$(nproc)"
step tsan env TSAN_OPTIONS=halt_on_error=1 ctest --test-dir build/tsan --output-on-failure -E 'e2e_|browser_|fuzz_replay_'

cmake --preset fuzz >/dev/null && cmake --build build/fuzz -j "$(nproc)" --target parsers
for target in build/fuzz/bin/fuzz_*; do
  name=${target##*/fuzz_}
  mkdir -p "build/fuzz/corpus/$name"
  step "fuzz $name" "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 "build/fuzz/corpus/$name" "fuzz/corpus/$name"
done

# Other mandates each night; a failure prints the seed of its mandate.
step wire env NORA_FRAMES=1e8 NORA_SEED="$(date +%Y%m%d)0000" bash tests/wall/wire_mandate.test.sh build/dev
step mutants env NORA_MUTANTS=1e7 build/dev/bin/law_wall_test --gtest_brief=1 --gtest_filter='WallDifferential*'
step kills env NORA_KILLS=100 build/dev/bin/kill_test --gtest_brief=1
step properties env RC_PARAMS="max_success=5000" ctest --test-dir build/dev --output-on-failure -E 'e2e_|browser_|fuzz_replay_'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
