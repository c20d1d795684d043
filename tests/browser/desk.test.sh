#!/usr/bin/env bash
# The desk in Chromium over the test center. Argument: the build folder. Last line: "N passed, N failed".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
bash "$here/install.sh" "$here/../../build/browser" >&2
exec node "$here/desk.mjs" --desk "$build/bin/nora-test-desk"
