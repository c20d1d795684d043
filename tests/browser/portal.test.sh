#!/usr/bin/env bash
# The owner's path in Chromium against `nora portal` and the test center. Argument: the build folder. Last line: "N passed, N failed".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
bash "$here/install.sh" "$here/../../build/browser" >&2
exec node "$here/run.mjs" --self --nora "$build/bin/nora" --center "$build/bin/nora-test-center"
