#!/usr/bin/env bash
# Every UDP probe that a Debian server can answer, sent by nora-sender under a mandate to that server, parsed in the jail; then the audit of a
# capture of the whole run. Prints what each probe got: bytes asked, answered, factor.
# Usage: udp_servers.test.sh [BUILD_DIR]. Needs user namespaces, iproute2, a C compiler, and the servers of deps/standins_udp.txt, which are
# unpacked into build/standins-udp (fetched once).
set -u
nora=$(readlink -f "${1:-$(dirname "${NORA_BIN:-build/bin}")}/bin/nora")
here=$(readlink -f "$(dirname "$0")")
top=$(readlink -f "$here/../..")
root=$(dirname "$(dirname "$(dirname "$nora")")")/standins-udp
bash "$top/neighbourhood/unpack.sh" "$root" "$top/deps/standins_udp.txt" || { echo "0 passed, 1 failed"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0
# ok RESULT NAME. The result comes first: a substitution in the name would change $? before it is read.
ok() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }

ports=$(awk -F'\t' '$2 == "udp" { n = split($3, p, ","); for (i = 1; i <= n; i++) print "--port", "udp/" p[i] }' "$top/data/probes/catalogue.tsv" | sort -u)
"$nora" mandate keygen --name authority.example --out a.key > /dev/null
"$nora" mandate roots --threshold 1 --out roots.txt a.key.pub > /dev/null
# shellcheck disable=SC2086
"$nora" mandate new --out m.txt --id test --authority "Test Authority" --legal-basis "Test act" --purpose test --contact test@example \
  --source 203.0.113.250 --range 203.0.113.1/32 --social-impact 203.0.113.1/32 $ports --probe-class P0 --probe-class P1 --probe-class P2 \
  --rate-total 1000 --rate-per-24 1000 --rate-per-target 20 > /dev/null && "$nora" mandate sign --key a.key m.txt > /dev/null
ok $? "a mandate of every UDP port"

mkdir etc servers
{ cat /etc/passwd; printf 'avahi:x:0:0::/:/bin/false\n_rpc:x:0:0::/:/bin/false\n'; } > etc/passwd
{ cat /etc/group; printf 'avahi:x:0:\nfrrvty:x:0:root\n'; } > etc/group
printf '127.0.0.1 localhost\n203.0.113.250 survey.example\n203.0.113.1 device.example %s\n' "$(hostname)" > etc/hosts
echo 'hosts: files' > etc/nsswitch.conf
cat > inside.sh << SH
set -e
mount -t overlay overlay -o lowerdir=$root/root/usr:/usr /usr
mount -t overlay overlay -o lowerdir=$work/etc:$root/root/etc:/etc /etc
for d in /run /var/lib /var/log /var/cache /var/tmp; do mount -t tmpfs tmpfs \$d; done
ip link set lo up
set +e
cd servers
. "$here/udp_servers.sh"
cd ..
for i in \$(seq 1 40); do  # until the slow ones are there
  F ss -lun > listening.txt
  for p in 53 111 500 1194 2123 3478 3671 4672 5060 5353 7003 51413; do grep -q ":\$p " listening.txt || continue 2; done
  break
done
sleep 2
F env LD_PRELOAD=\$PWD/servers/nogroups.so tcpdump -Z root -i far -s 0 -U -w run.pcap > tcpdump.log 2>&1 & TAP=\$!
sleep 1
"$nora" scan run --mandate m.txt --roots roots.txt --dir spool --iface near --answer-window-ms 3000 --no-calibration --json > run.ndjson 2> run.log
sleep 1; kill \$TAP; wait \$TAP
"$nora" scan audit --mandate m.txt --roots roots.txt --pcap run.pcap --json > audit.json 2> audit.log; echo \$? > audit.code
kill \$(jobs -p) 2> /dev/null
SH
unshare --user --map-root-user --net --mount --pid --ipc --uts --fork --mount-proc bash inside.sh > inside.log 2>&1
tail -n 1 run.ndjson | grep -q '"complete":true'; ok $? "the survey is complete: $(tail -n 2 run.log | tr '\n' ' ')"

# probe, and what its answer must have been parsed to
while read -r probe wanted; do
  line=$(grep "\"probe\":\"$probe\"" run.ndjson | head -n 1)
  echo "$line" | grep -qF -- "$wanted"; ok $? "$probe: $wanted in $(echo "$line" | head -c 400)"
  echo "$line" | LC_ALL=C sed -nE "s/.*\"request_bytes\":([0-9]+).*\"reply_bytes\":([0-9]+).*/\1 \2/p; s/.*\"reply_bytes\":([0-9]+).*\"request_bytes\":([0-9]+).*/\2 \1/p" |
    head -n 1 | awk -v p="$probe" '{ printf "%-18s %5d -> %5d  x%.1f\n", p, $1, $2, $2 / $1 }'
done << 'T'
dns-recursion "dns.recursion":"open"
dns-version "dns.version_bind":"unbound 1.
ntp-readvar "ntp.mode6":"answered"
snmpv3-engine "snmpv3.enterprise":"8072"
ssdp "ssdp.server":"Debian
coap-core "coap.code":"2.05"
coap-ping "coap.ping":"reset"
natpmp "natpmp.external":"100.255.255.9"
chargen "chargen.answered":"1"
echo "echo.answered":"1"
daytime "daytime.answered":"1"
time "time.answered":"1"
memcached "memcached.version":"1.
netbios-status "netbios.name":"LS220D"
portmap-null "portmap.null":"success"
portmap-dump "portmap.programs":"100000/2/tcp/111,
tftp "tftp.error":"File not found"
mdns "mdns.services":"_workstation._tcp.local"
wsd "wsd.types":"wsdp:Device pub:Computer"
xdmcp "xdmcp.answer":"willing"
stun "stun.software":"Coturn-
sip "sip_header.server":"Aterm SIP"
ipmi "ipmi.auth_types":"none,md2,md5,password"
l2tp "l2tp.vendor":"xelerance.com"
ike "ike.answer":"notify 14"
openvpn "openvpn.answered":"1"
rip "rip.routes":"2"
gtp-echo "gtp.version":"1"
dtls "dtls.answer":"hello-verify"
kad "kad.answered":"1"
bittorrent-dht "bittorrent.dht":"answered"
afs-rx "rx.version":"OpenAFS
knx "knx.name":"Nora-KNX"
T
grep -q '"probe":"snmp-public"' run.ndjson; [ $? = 1 ]; ok $? "no community was sent"

# Debian's tcpdump at the far end of the cable saw every frame (on the near end it sees no probe: they pass by the taps there); nothing of ours is outside the mandate or the catalogue, and nothing is a credential.
[ "$(cat audit.code)" = 0 ]; ok $? "the audit is clean: $(cat audit.json audit.log | head -c 600)"
for zero in '"outside":0,' '"datagrams_outside_catalogue":0,' '"bytes_outside_catalogue":0,' '"credential_bytes":0,'; do
  grep -qF -- "$zero" audit.json; ok $? "$zero"
done
sent=$(tail -n 1 run.ndjson | sed -nE 's/.*"sent":([0-9]+).*/\1/p')
seen=$(sed -nE 's/.*"datagrams":([0-9]+).*/\1/p' audit.json)
echo "sent $sent datagrams, the capture holds $seen"
[ -n "$sent" ] && [ "$sent" = "$seen" ]; ok $? "every datagram that was sent is in the capture and was judged"
rows=$(awk -F'\t' '$2 == "udp" && $8 !~ /credential/ { n += split($3, p, ",") } END { print n }' "$top/data/probes/catalogue.tsv")
[ "$sent" = "$rows" ]; ok $? "every row and port of the catalogue was sent once: $rows"

[ $failed = 0 ] || tail -n 3 inside.log servers/*.log 2> /dev/null | head -c 6000
echo "$passed passed, $failed failed"
[ $failed = 0 ]
