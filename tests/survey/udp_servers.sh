#!/usr/bin/env bash
# The genuine servers that answer the UDP probes, on 203.0.113.1 in a network namespace of their own, behind a cable ("near" on this side with
# 203.0.113.250). Sourced by udp_servers.test.sh inside its namespaces, in an empty folder. Sets FAR (a process in the servers' namespace). All run
# as the one user that an ordinary user may map; what wants to give up groups gets a setgroups() that does nothing.
A=203.0.113.1 O=203.0.113.250 D=$PWD
ip link add near type veth peer name far
unshare -n sleep 300 & FAR=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(readlink /proc/$FAR/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.1; done
ip link set far netns $FAR
ip addr add $O/24 dev near; ip link set near up
F() { nsenter -t $FAR -n "$@"; }
S() { local n=$1; shift; F timeout 200 "$@" > "$D/$n.log" 2>&1 < /dev/null & }
F ip link set lo up; F ip addr add $A/24 dev far; F ip link set far up; F ip route add 224.0.0.0/4 dev far; F ip route add default via $O
S() { n=$1; shift; F timeout 150 "$@" >$D/$n.log 2>&1 </dev/null & }
echo "int setgroups(unsigned long n, const void *p) { (void)n; (void)p; return 0; } int initgroups(const char *u, unsigned g) { (void)u; (void)g; return 0; }" | cc -shared -fPIC -x c - -o nogroups.so
cat > inetd.conf <<X
$A:echo dgram udp wait root internal
$A:chargen dgram udp wait root internal
$A:daytime dgram udp wait root internal
$A:time dgram udp wait root internal
X
S inetd inetd -i $D/inetd.conf
S memcached memcached -u root -l $A -p 11211 -U 11211
mkdir -p /run/rpcbind
S rpcbind env LD_PRELOAD=$D/nogroups.so rpcbind -f -h $A
S tftp env LD_PRELOAD=$D/nogroups.so in.tftpd -L -u root -a $A:69 -s $D
S coturn turnserver -n --listening-ip $A --listening-port 3478 --no-tls --no-dtls --no-cli --log-file stdout --db $D/turn.db
cat > x.conf <<X
[global]
port=1701
listen-addr=$A
[lns default]
ip range = 10.9.0.2-10.9.0.9
local ip = 10.9.0.1
X
S xl2tpd xl2tpd -D -c $D/x.conf -p $D/x.pid -C $D/x.ctl
cat > k.cfg <<X
#!KAMAILIO
listen=udp:$A:5060
fork=no
auto_aliases=no
dns=no
rev_dns=no
children=1
log_stderror=yes
server_header="Server: Aterm SIP"
loadmodule "sl.so"
request_route{ sl_send_reply("200","OK"); }
X
S kamailio kamailio -DD -E -f $D/k.cfg -L /usr/lib/x86_64-linux-gnu/kamailio/modules -w $D -Y $D
mkdir -p /run/samba
cat > smb.conf <<X
[global]
workgroup = WORKGROUP
netbios name = LS220D
interfaces = far
lock directory = $D
state directory = $D
cache directory = $D
pid directory = $D
private dir = $D
log file = $D/log.smb
ncalrpc dir = $D
X
S nmbd nmbd -F -s $D/smb.conf --no-process-group --debug-stdout
cat > xdm-config <<X
DisplayManager.requestPort: 177
DisplayManager.servers: $D/Xservers
DisplayManager.accessFile: $D/Xaccess
DisplayManager.pidFile: $D/xdm.pid
DisplayManager.errorLogFile: $D/xdm.err
DisplayManager.authDir: $D
X
echo "*" > Xaccess; : > Xservers
S xdm xdm -nodaemon -debug 1 -config $D/xdm-config
S knxd knxd -e 1.1.200 -E 1.1.201:8 -n Nora-KNX -D -T -R -S -b dummy:
cat > lan.conf <<X
name "sim"
set_working_mc 0x20
  startlan 1
    addr $A 623
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "" admin 10 none md2 md5 straight
X
cat > sim.emu <<X
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
X
S ipmi ipmi_sim -c $D/lan.conf -f $D/sim.emu -s $D -n
cat > u.conf <<X
server:
 interface: $A
 port: 53
 access-control: 0.0.0.0/0 allow
 chroot: ""
 username: ""
 directory: "$D"
 pidfile: ""
 use-syslog: no
 num-threads: 1
 local-zone: "nora.example." redirect
 local-data: "nora.example. IN A 192.0.2.1"
remote-control:
 control-enable: no
X
S unbound unbound -d -c $D/u.conf
cat > n.conf <<X
restrict default noquery
restrict 203.0.113.0 mask 255.255.255.0
server 127.127.1.0
fudge 127.127.1.0 stratum 10
driftfile $D/drift
X
S ntpd ntpd -n -c $D/n.conf
cat > snmpd.conf <<X
sysDescr Panasonic BB-HCM715 Network Camera
sysObjectID 1.3.6.1.4.1.258
X
S snmpd snmpd -f -Lo -C -c $D/snmpd.conf -p $D/snmpd.pid udp:$A:161
S coap coap-server-notls -A $A -p 5683
cat > mu.conf <<X
ext_ifname=far
listening_ip=far
http_port=5000
enable_natpmp=yes
enable_upnp=yes
uuid=00000000-0000-0000-0000-000000000001
friendly_name=Aterm WG1200
model_name=WG1200
manufacturer_name=NEC
ext_ip=100.255.255.9
secure_mode=yes
allow 1024-65535 0.0.0.0/0 1024-65535
X
S miniupnpd miniupnpd -d -f $D/mu.conf -P $D/mu.pid
cat > avahi.conf <<X
[server]
host-name=camera
use-ipv4=yes
use-ipv6=no
enable-dbus=no
allow-interfaces=far
[publish]
publish-workstation=yes
X
mkdir -p /run/avahi-daemon
S avahi avahi-daemon -f $D/avahi.conf --no-drop-root --no-chroot --no-proc-title --no-rlimits --debug
mkdir -p /run/frr
cat > zebra.conf <<X
hostname z
ip route 198.51.100.0/24 blackhole
ip route 192.0.2.0/24 blackhole
X
cat > ripd.conf <<X
hostname r
router rip
 version 1
 network far
 redistribute static
 route 198.51.100.0/24
 route 192.0.2.0/24
X
S zebra /usr/lib/frr/zebra -f $D/zebra.conf -u root -g root -z $D/zserv -i $D/zebra.pid --vty_socket $D -A 127.0.0.1
sleep 1  # zebra's socket
S ripd /usr/lib/frr/ripd -f $D/ripd.conf -u root -g root -z $D/zserv -i $D/ripd.pid --vty_socket $D -A 127.0.0.1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout k.pem -out c.pem -subj "/O=NEC Platforms/CN=aterm.me" 2>/dev/null
S dtls1 openssl s_server -dtls -listen -accept $A:4433 -cert c.pem -key k.pem -quiet
S dtls2 openssl s_server -dtls -accept $A:443 -cert c.pem -key k.pem -quiet
cat > ovpn.conf <<X
local $A
port 1194
proto udp
dev null
ca c.pem
cert c.pem
key k.pem
dh none
tls-server
verb 3
X
S openvpn openvpn --cd $D --config $D/ovpn.conf
mkdir -p tr; cat > tr/settings.json <<X
{"bind-address-ipv4":"$A","dht-enabled":true,"peer-port":51413,"rpc-enabled":false,"lpd-enabled":false,"port-forwarding-enabled":false,"utp-enabled":false}
X
S transmission transmission-daemon -f -g $D/tr
cat > sw.conf <<X
charon {
  load_modular = no
  load = random nonce aes sha1 sha2 hmac kernel-netlink socket-default openssl stroke vici
  filelog { stderr { default = 1 } }
  install_routes = no
  port = 500
}
X
S charon env STRONGSWAN_CONF=$D/sw.conf /usr/lib/ipsec/charon
S wsdd2 wsdd2 -4 -w -i far -N PRINTER1 -G WORKGROUP
cat > ggsn.cfg <<X
log stderr
ggsn ggsn0
 gtp state-dir $D
 gtp bind-ip $A
 no shutdown ggsn
X
S ggsn osmo-ggsn -c $D/ggsn.cfg
mkdir -p /var/log/openafs afs/server; echo test.example > afs/server/ThisCell; echo ">test.example
$A #vl" > afs/server/CellServDB
S vlserver /usr/lib/openafs/vlserver -noauth -config $D/afs/server -database $D/vldb -rxbind
mkdir -p amule; cat > amule/amule.conf <<X
[eMule]
ConnectToKad=1
ConnectToED2K=0
Autoconnect=1
UDPPort=4672
UDPDisable=0
Port=4662
Address=$A
[ExternalConnect]
AcceptExternalConnections=1
ECPassword=5ebe2294ecd0e0f08eab7690d2a6ee69
ECPort=4712
X
S amuled env HOME=$D amuled -c $D/amule
