#!/usr/bin/env bash
# nora vuln as people at the center use it: imports, refusals with their reason, answers, stored devices. Usage: vuln_cli.test.sh [BUILD_DIR].
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${1:-$(dirname "${NORA_BIN:-$top/build/dev/bin}")}/bin
bin=$(cd "$bin" && pwd)
nora=$bin/nora
data=$top/src/expose/testdata
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$top/tests/expect.sh"
store=sqlite:c/nora.db

expect "fill" 0 "devices" "$bin/nora-test-fill" c
expect "no data yet" 0 "no vulnerability data has been imported" "$nora" vuln for --product "Kinmirai Denki CTL-100" --store $store
for pair in kev:kev.json nvd:nvd.json epss:epss.csv jvn:jvn_rss.xml jvn:jvn_vuldef.xml csaf:csaf_advisory.json; do
  expect "import $pair" 0 "[1-9] new" "$nora" vuln import "${pair%%:*}" "$data/${pair#*:}" --store $store --no-reassess
done
expect "import eol, then judge" 0 "devices judged again" "$nora" vuln import eol "$data/routeros.json" --store $store
expect "import again changes nothing" 0 '"added":0,"changed":0,"same":2' "$nora" vuln import nvd "$data/nvd.json" --store $store --json
expect "csaf warns" 0 "warning: test 6.3.10" "$nora" vuln import csaf "$data/csaf_advisory.json" --store $store
expect "two files" 0 "jvn_vuldef.xml: 1 records of 2026-02-23" "$nora" vuln import jvn "$data/jvn_rss.xml" "$data/jvn_vuldef.xml" --store $store

sed 's/"baseScore": 9.8/"baseScore": 4.0/' "$data/csaf_advisory.json" > bad.json
expect "csaf refused by its test" 1 "bad.json: the CSAF document breaks test 6.1.9 at /vulnerabilities/0/scores/0/cvss_v3/baseScore" "$nora" vuln import csaf bad.json --store $store
expect "not the source that was named" 1 "catalogVersion" "$nora" vuln import kev "$data/nvd.json" --store $store
expect "compressed" 1 "still compressed" bash -c "gzip -c $data/epss.csv > e.csv.gz; $nora vuln import epss e.csv.gz --store $store"
expect "no such source" 2 "" "$nora" vuln import rumour "$data/kev.json" --store $store
expect "older catalogue" 0 "older than what is stored" bash -c "sed 's/2026-03-01T12/2026-01-01T12/' $data/kev.json > kev.json; $nora vuln import kev kev.json --store $store"

expect "affected by version" 0 "affected according to NVD: firmware Ver.2.3 is from 1.0 and before 2.4" "$nora" vuln for --product "Kinmirai Denki CTL-100" --firmware Ver.2.3 --store $store
expect "possibly without a version" 0 "possibly affected according to" "$nora" vuln for --product "Kinmirai Denki CTL-100" --store $store
expect "never more than possibly" 1 '^0$' bash -c "$nora vuln for --product 'Kinmirai Denki CTL-100' --store $store --json | grep -c affected_by_version"
expect "priority in words" 0 "KEV since 2026-02-20, by ransomware" "$nora" vuln for --vendor "Kinmirai Denki" --product CTL-100 --firmware 2.3 --store $store
expect "json" 0 '"cve":"CVE-2026-90001","verdict":"affected_by_version".*"kev":\{' "$nora" vuln for --product "Kinmirai Denki CTL-100" --firmware 2.3 --store $store --json
expect "fixed version" 0 "is not from 1.0 and before 2.4|not affected" "$nora" vuln for --product "Kinmirai Denki CTL-100" --firmware 2.4 --all --store $store
expect "by CPE" 0 "affected according to" "$nora" vuln for --cpe "cpe:/o:kinmirai_denki:ctl-100_firmware:2.3" --store $store
expect "by CPE, version unknown" 0 "possibly affected" "$nora" vuln for --cpe "cpe:2.3:o:kinmirai_denki:ctl-100_firmware:-:*:*:*:*:*:*:*" --store $store
expect "bad CPE" 1 "not a CPE name" "$nora" vuln for --cpe "cpe:/q:x" --store $store
expect "nobody's product" 0 "no proof that it is safe" "$nora" vuln for --product "Nobody Nothing" --store $store
expect "end of support" 0 "end of support: ended 2026-02-01" "$nora" vuln for --product "MikroTik RouterOS" --firmware 6.49.1 --store $store
expect "nothing asked" 2 "exactly one of" "$nora" vuln for --store $store
expect "two asked" 2 "exactly one of" "$nora" vuln for --store $store --product "A B" --cpe cpe:/a:b:c
expect "no such device" 1 "no device 9999" "$nora" vuln for --device 9999 --store $store
expect "stored device" 0 "Kinmirai Denki" bash -c "for i in \$($nora find --dir c --json | sed -n 's/.*\"device\":\([0-9]*\).*Kinmirai.*/\1/p' | head -1); do $nora vuln for --device \$i --store $store; done"
expect "reassess" 0 '"rows_added":0,"rows_removed":0' "$nora" vuln reassess --store $store --json
expect "log" 0 "csaf  csaf_advisory.json" "$nora" vuln imports --store $store
expect "help" 0 "possibly_affected: the version" "$nora" vuln for --help

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
