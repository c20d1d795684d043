#!/usr/bin/env bash
# nora mandate and nora audit as a user meets them: exit codes and sentences. Usage: mandate_cli.test.sh [BUILD_DIR].
set -u
. "$(dirname "$0")/../expect.sh"
nora=${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin/nora
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
draft() { "$nora" mandate new --out "$1" --id demo --authority "Example Communications Authority 総務" --legal-basis "Example act, article 18" --purpose "find stray IoT" \
  --contact survey@authority.example --source 192.0.2.10 --source 2001:db8:0:10::10 --range 203.0.113.0/25 --range 198.51.100.0/26 --exclude 203.0.113.96/28 \
  --port udp/53 --port tcp/80 --port tcp/23 --probe-class P0 --probe-class P1 "${@:2}"; }

expect "keygen" 0 "authority1.example\+[0-9a-f]{8}\+" "$nora" mandate keygen --name authority1.example --out a1.key
expect "keygen never overwrites" 1 "a1.key" "$nora" mandate keygen --name authority1.example --out a1.key
"$nora" mandate keygen --name authority2.example --out a2.key > /dev/null
"$nora" mandate keygen --name stranger.example --out x.key > /dev/null
expect "the key is private" 0 "^600$" stat -c %a a1.key
expect "roots" 0 "2 of 2 signers" "$nora" mandate roots --threshold 2 --out roots.txt a1.key.pub a2.key.pub
expect "roots: threshold too high" 2 "threshold" "$nora" mandate roots --threshold 3 --out r2.txt a1.key.pub a2.key.pub
expect "new" 0 "not signed yet" draft m.txt
expect "new never overwrites" 1 "exists already" draft m.txt
expect "new: a range with host bits" 2 "203.0.113.1/25" draft bad.txt --range 203.0.113.1/25
expect "new: P3 without a listener" 2 "listener" draft bad.txt --probe-class P3
check=("$nora" mandate check m.txt --roots roots.txt)
expect "unsigned" 4 "not signed" "${check[@]}"
expect "sign" 0 "signed by authority1" "$nora" mandate sign --key a1.key m.txt
expect "the same signer again" 4 "already signed" "$nora" mandate sign --key a1.key m.txt
expect "one of two" 4 "1 of 2 needed" "${check[@]}"
"$nora" mandate sign --key x.key m.txt > /dev/null
expect "a stranger does not count" 4 "1 of 2 needed" "${check[@]}"
"$nora" mandate sign --key a2.key m.txt > /dev/null
expect "good" 0 "is in force until" "${check[@]}"
expect "good, json" 0 '"ok":true.*"signers":\["authority1.example","authority2.example"\]' "${check[@]}" --json
expect "granted target" 0 "grants 203.0.113.7 port 80" "${check[@]}" --target 203.0.113.7 --port 80
expect "outside" 4 "outside every range" "${check[@]}" --target 203.0.113.200 --port 80
expect "excluded" 4 "excludes" "${check[@]}" --target 203.0.113.100 --port 80
expect "port" 4 "does not grant this port" "${check[@]}" --target 203.0.113.7 --port 22
expect "expired" 4 "expired at" "${check[@]}" --at 2099-01-01T00:00:00Z
expect "not yet" 4 "not valid before" "${check[@]}" --at 2020-01-01T00:00:00Z
expect "altered" 4 "altered" sh -c "sed 's|203.0.113.0/25|203.0.113.0/24|' m.txt > alt.txt; exec '$nora' mandate check alt.txt --roots roots.txt"
expect "no law profile" 4 "no law profile \"jp\"" "${check[@]}" --law-dir "$work"
printf 'x\ttcp\t80\tP0\t0\t-\tx\n' > other.tsv
expect "another catalogue" 4 "not the one that the mandate names" "${check[@]}" --catalogue other.tsv
printf '203.0.113.7 # by mail\n' > opt.txt
expect "opted out" 4 "opt-out list" "${check[@]}" --opt-out opt.txt --target 203.0.113.7 --port 80
expect "no such file" 1 "nosuch" "$nora" mandate check nosuch --roots roots.txt
expect "show" 0 "^range: 198.51.100.0/26" "$nora" mandate show m.txt
expect "show, json" 0 '"ranges":\["198.51.100.0/26","203.0.113.0/25"\]' "$nora" mandate show m.txt --json
expect "usage" 2 "" "$nora" mandate check
expect "window outside" 0 "not signed yet" draft w.txt --daily-window 03:00-03:01
"$nora" mandate sign --key a1.key w.txt > /dev/null; "$nora" mandate sign --key a2.key w.txt > /dev/null
tomorrow=$(date -u -d "+1 day" +%Y-%m-%d)
expect "outside its hours" 4 "outside the daily window" "$nora" mandate check w.txt --roots roots.txt --at "${tomorrow}T12:00:00Z"
expect "inside its hours" 0 "in force" "$nora" mandate check w.txt --roots roots.txt --at "${tomorrow}T03:00:30Z"
expect "no audit log" 1 "no audit log" "$nora" audit verify "$work" --key a1.key.pub
expect "audit: nothing to show" 1 "" "$nora" audit show "$work/nosuch"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
