# What the shell tests share; sourced. Counts in $passed and $failed; leaves the last command's output in ./out.
passed=0 failed=0
expect() { # name code regex command…
  local name=$1 code=$2 regex=$3; shift 3
  "$@" > out 2>&1; local rc=$?
  if [ $rc = "$code" ] && grep -qE -- "$regex" out; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name (code $rc): $(head -c 300 out) … $(tail -c 300 out)"; fi
}
