#!/usr/bin/env bash
# nora serve, user and doctor as people use them: start on an empty folder, log in by the one-time link, refusals, a clean end.
# Argument: the build folder. Last line: "N passed, N failed".
set -uo pipefail
build=${1:-build/dev}
nora=$build/bin/nora
dir=$(mktemp -d)
passed=0 failed=0
pid=
cleanup() { [ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$dir"; }
trap cleanup EXIT
check() { # what, command…
  local what=$1; shift
  if "$@" > "$dir/out" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what: $(head -c 300 "$dir/out")"; fi
}
code() { local want=$1; shift; "$@"; local got=$?; [ "$got" = "$want" ] || { echo "exit $got instead of $want"; return 1; }; }
says() { local pattern=$1; shift; local text; text=$("$@" 2>&1); grep -Eq -- "$pattern" <<< "$text" || { echo "no /$pattern/ in: $text"; return 1; }; }
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
is() { local want=$1; shift; local got; got=$("$@"); [ "$got" = "$want" ] || { echo "$got instead of $want"; return 1; }; }

check "serve without a key says what is missing" says 'center\.key' "$nora" serve --dir "$dir/empty" --listen 127.0.0.1:0
check "serve wants the roots with the mandate" code 2 "$nora" serve --dir "$dir" --mandate x
"$nora" mandate keygen --name center.example --out "$dir/center.key" > /dev/null
printf '[[isp]]\nid = "kinmirai"\nname = "Kinmirai"\ntrack = "on-site"\n[[isp.prefix]]\nprefix = "198.51.100.128/28"\nfrom = 2026-01-01T00:00:00Z\n' > "$dir/routes.toml"
store=sqlite:$dir/nora.db
"$nora" serve --dir "$dir" --store "$store" --listen 127.0.0.1:0 --portal-socket "$dir/portal.sock" --json > "$dir/ready" 2> "$dir/errors" &
pid=$!
for _ in $(seq 100); do [ -s "$dir/ready" ] && break; sleep 0.1; done
base=$(sed -n 's/.*"url":"\([^"]*\)\/".*/\1/p' "$dir/ready")
check "serve is ready and says where" test -n "$base"
check "the portal's socket is there, for this user and group only" is 660 stat -c %a "$dir/portal.sock"
check "keys are nobody else's" is 600 stat -c %a "$dir/csrf.key"
check "the overview is public" is 200 status "$base/en/"
check "the language follows the reader" says '^location: /en/' sh -c "curl -s -D - -o /dev/null -H 'Accept-Language: en-GB,ja;q=0.5' $base/ | tr 'A-Z' 'a-z'"
check "everything else asks to log in" is 401 status "$base/en/findings"
check "no script may run" says "default-src 'none'" curl -s -D - -o /dev/null "$base/en/"
check "no cookie before login" is 0 sh -c "curl -s -D - -o /dev/null $base/en/ | grep -ci '^set-cookie'"

check "an unknown role is refused" code 2 "$nora" user add x --role king --store "$store"
check "a bad id is refused" code 2 "$nora" user add 'x y' --role analyst --store "$store"
check "a user needs a role" code 2 "$nora" user add x --store "$store"
link=$("$nora" user add analyst1 --role analyst --name 'Aoi <b>' --store "$store" --url "$base/" --json | sed -n 's/.*"link":"\([^"]*\)".*/\1/p')
check "user add prints a link" says '/login/[A-Za-z0-9_-]{43}$' echo "$link"
form=$(curl -s "$link")
csrf=$(sed -n 's/.*name="csrf" value="\([^"]*\)".*/\1/p' <<< "$form")
token=${link##*/}
check "another site cannot log in for us" is 403 status -d "token=$token" -d "csrf=$csrf" -H 'Sec-Fetch-Site: cross-site' "$base/login"
check "the link logs in" is 303 status -c "$dir/jar" -d "token=$token" --data-urlencode "csrf=$csrf" "$base/login"
check "and only once" is 403 status -d "token=$token" --data-urlencode "csrf=$csrf" "$base/login"
check "an analyst sees findings" is 200 status -b "$dir/jar" "$base/en/findings"
check "and the API" is 200 status -b "$dir/jar" "$base/api/findings"
check "but no lists" is 403 status -b "$dir/jar" "$base/en/lists"
check "user list" says 'analyst1 +Aoi <b> +analyst' "$nora" user list --store "$store"
check "disable" code 0 "$nora" user disable analyst1 --store "$store"
check "a disabled user is out at once" is 401 status -b "$dir/jar" "$base/en/findings"
check "a disabled user gets no link" code 1 "$nora" user link analyst1 --store "$store"

kill -TERM "$pid"
wait "$pid"
check "serve ends cleanly on SIGTERM" is 0 echo $?
pid=
check "serve logged no error" is 0 sh -c "grep -ci ' error' '$dir/errors'"
check "the views stand in the log, and it holds" says '[1-9][0-9]* leaves' "$nora" audit verify "$dir/audit" --key "$dir/center.key.pub"
check "who looked at what" says 'desk_view.*analyst1' "$nora" audit show "$dir/audit"

check "doctor answers in JSON, one record a line" says '^\{"check":"kernel","health":"ok"' "$nora" doctor --json
check "doctor: a folder that is not there is a failure with exit 6" code 6 "$nora" doctor --for serve --dir "$dir/not-there"
check "doctor names the fix" says "mkdir -p '.*not-there'" "$nora" doctor --for serve --dir "$dir/not-there"
check "doctor without namespaces says what to do" says 'sysctl -w user.max_net_namespaces=10000' unshare --user --map-root-user sh -c "echo 0 > /proc/sys/user/max_net_namespaces && setpriv --bounding-set -all --inh-caps -all '$nora' doctor --for demo; true"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
