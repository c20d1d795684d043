#!/usr/bin/env bash
# Puts the browser test's two packages (playwright-core, axe-core; pinned by the lock file's hashes) into build/browser. Nothing in the source tree.
# Usage: install.sh [FOLDER]. Does nothing when the folder already holds this lock file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/../../build/browser}
mkdir -p "$to"
if [ -f "$to/.done" ] && cmp -s "$here/package-lock.json" "$to/.done"; then exit 0; fi
cp "$here/package.json" "$here/package-lock.json" "$to/"
(cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
cp "$here/package-lock.json" "$to/.done"
