#!/usr/bin/env bash
# clang-tidy-19 over the sources that differ from the base given in NORA_TIDY_BASE (default: all), clang-format check over everything.
# Used by `make tidy`. The compile database of g++ holds flags that clang does not know: they are taken out.
set -uo pipefail
build=$1
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$build/tidy"
sed -E 's/ -Wno-(restrict|maybe-uninitialized|stringop-overflow)//g; s/-fno-omit-frame-pointer//g; s#/usr/bin/ccache ##g' "$build/compile_commands.json" >"$build/tidy/compile_commands.json"
if [ -n "${NORA_TIDY_BASE:-}" ]; then files=$(git diff --name-only "$NORA_TIDY_BASE" -- 'src/*.cc' 'neighbourhood/*.cc'); else files=$(git ls-files 'src/*.cc' 'neighbourhood/*.cc'); fi
status=0
printf '%s\n' $files | grep -v compile_fail | xargs -r -P "$(nproc)" -n 4 clang-tidy-19 -p "$build/tidy" --quiet 2>/dev/null || status=1
exit $status
