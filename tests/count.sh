#!/usr/bin/env bash
# Adds up ctest's junit files: GoogleTest programs and scripts say their own counts in their output, other entries count as one.
# Skipped counts as failed. Prints "N passed, N failed" and fails when anything failed or nothing ran.
cat "$@" 2>/dev/null | awk '
  function close_case() {
    if (name == "") return
    if (script) { p += script_p; f += script_f }
    if (skip > 0) f += skip
    if (p + f == 0) { if (status == "run") p = 1; else f = 1 }
    if (status != "run" && f == 0) f = 1
    if (f > 0) print "FAILED: " name " (" f ")"
    passed += p; failed += f; name = ""
  }
  /<testcase / {
    close_case()
    name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
    status = $0; sub(/.*status="/, "", status); sub(/".*/, "", status)
    p = f = skip = script = 0
  }
  /\[  PASSED  \] [0-9]+ test/ { t = $0; sub(/.*\[  PASSED  \] /, "", t); p += t + 0 }
  /\[  FAILED  \] [0-9]+ test/ { t = $0; sub(/.*\[  FAILED  \] /, "", t); f += t + 0 }
  /\[  SKIPPED \] [0-9]+ test/ { t = $0; sub(/.*\[  SKIPPED \] /, "", t); skip += t + 0 }
  # A script may call others: its last line counts.
  match($0, /[0-9]+ passed, [0-9]+ failed/) { split(substr($0, RSTART, RLENGTH), a, /[ ,]+/); script_p = a[1]; script_f = a[3]; script = 1 }
  END { close_case(); printf "%d passed, %d failed\n", passed, failed; exit (failed > 0 || passed == 0) }'
