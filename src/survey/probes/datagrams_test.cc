// Parsers of UDP answers. What a Debian server answers is tested against that server (tests/survey/udp_servers.test.sh); the answers here are
// built from the protocols' documents, field by field, or (marked "observed") from public descriptions of a maker's protocol.
#include <gtest/gtest.h>

#include <random>

#include "base/files.h"
#include "survey/catalogue.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/parse.h"
#include "survey/probes/test_mutate.h"

namespace nora::survey {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Bytes operator+(Bytes a, std::string_view b) { return std::move(a) + to_bytes(b); }
Parsed ask(std::string probe, std::vector<Bytes> parts) { return parse(Item{std::move(probe), "203.0.113.7", 1, std::move(parts)}); }
std::string key(const Parsed& p, std::string_view name) {
  const auto* v = p.find(name);
  return v ? *v : "(none)";
}
bool keeps(const Parsed& p, std::string_view word) {
  if (as_text(p.bytes).find(word) != std::string_view::npos) return true;
  for (const auto& k : p.keys)
    if (k.value.find(word) != std::string::npos) return true;
  return false;
}
Bytes padded(std::string_view text, std::size_t size) {
  auto out = to_bytes(text);
  out.resize(size);
  return out;
}

TEST(Datagrams, EveryRequestHasItsParser) {
  auto catalogue = Catalogue::parse(*read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv"));
  int udp = 0;
  for (const auto& r : catalogue->all()) {
    if (!r.raw) continue;
    ++udp;
    Parsed out;
    EXPECT_TRUE(parse_datagram(out, Item{r.id, "203.0.113.7", 1, {Bytes{0}}})) << r.id;
    // Our own request is no answer to it (it comes back from a loop, or from an echo service).
    auto own = parse(Item{r.id, "203.0.113.7", 1, {r.render({}, *Ip::parse("203.0.113.7"), *Ip::parse("192.0.2.10"))}});
    EXPECT_EQ(own.protocol, r.id == "echo" ? "echo" : "") << r.id;
  }
  EXPECT_GE(udp, 59);
  Parsed out;
  EXPECT_FALSE(parse_datagram(out, Item{"http", "203.0.113.7", 80, {}}));
}

TEST(Datagrams, SmallServices) {
  std::string line;
  for (char c = ' '; c < ' ' + 72; ++c) line += c;
  EXPECT_EQ(key(ask("chargen", {to_bytes(line + "\r\n")}), "chargen.answered"), "1");
  EXPECT_EQ(ask("chargen", {hex("00010203")}).protocol, "");
  auto quote = ask("qotd", {to_bytes("\"My spelling is Wobbly.\"\r\n A. A. Milne (1882-1958)")});
  EXPECT_EQ(quote.protocol, "qotd");
  EXPECT_FALSE(keeps(quote, "Wobbly"));
  EXPECT_EQ(ask("echo", {hex("43040506")}).protocol, "echo");
  EXPECT_EQ(ask("daytime", {to_bytes("Wed Nov 25 20:12:01 2026\r\n")}).protocol, "daytime");
  EXPECT_EQ(ask("daytime", {to_bytes("Welcome to the box\r\n")}).protocol, "");
  EXPECT_EQ(ask("time", {hex("ef0a1b2c")}).protocol, "time");
  EXPECT_EQ(ask("time", {hex("00000001")}).protocol, "");
  auto users = ask("users", {to_bytes("hanako  tty1\r\ntaro  tty2\r\n")});
  EXPECT_EQ(key(users, "users.any"), "1");
  EXPECT_FALSE(keeps(users, "hanako")) << "names of people are not kept";
  // doc/protocol.txt: frame header, then the text
  auto memcached = ask("memcached", {hex("0102 0000 0001 0000") + "VERSION 1.6.18\r\n"});
  EXPECT_EQ(key(memcached, "memcached.version"), "1.6.18");
  EXPECT_EQ(ask("memcached", {hex("0102 0000 0001 0000") + "ERROR\r\n"}).protocol, "");
}

TEST(Datagrams, NtpMonlistTellsThatThereAreItemsAndNotWhose) {
  // response bit, mode 7; more bit; implementation 3; request 42; error 0, 1 item of 72 bytes: the address of another
  Bytes items(72, 0xc6);
  auto p = ask("ntp-monlist", {hex("d700 032a 0001 0048") + items, hex("9701 032a 0001 0048") + items});
  EXPECT_EQ(p.protocol, "ntp");
  EXPECT_EQ(key(p, "ntp.monlist"), "answered");
  EXPECT_FALSE(keeps(p, "\xc6\xc6"));
  EXPECT_EQ(key(ask("ntp-monlist", {hex("9700 032a 4000 0000")}), "ntp.monlist"), "error 4");
  EXPECT_EQ(ask("ntp-monlist", {hex("d682 0001 c016 0000 0000 0000")}).protocol, "") << "mode 6 is another question's answer";
}

TEST(Datagrams, MdnsTypesWithoutNames) {
  // RFC 6762: id, AA; the question comes back to a legacy querier; two pointers
  auto services = hex("09 5f7365727669636573 07 5f646e732d7364 04 5f756470 05 6c6f63616c 00");
  auto p = ask("mdns", {hex("0102 8400 0001 0002 0000 0000") + services + hex("000c 0001") + hex("c00c 000c 0001 0000000a 000c 04 5f697070 04 5f746370 c023") +
                        hex("c00c 000c 0001 0000000a 000d 05 5f68747470 04 5f746370 c023")});
  EXPECT_EQ(p.protocol, "mdns");
  EXPECT_EQ(key(p, "mdns.services"), "_http._tcp.local,_ipp._tcp.local");
}

TEST(Datagrams, NetbiosNameWithoutTheUser) {
  // RFC 1002 section 4.2.18: three names of 18 bytes, then the unit's address
  auto name = hex("20 434b 4141 41414141 41414141 41414141 41414141 41414141 41414141 41414141 00");
  auto row = [](std::string_view text, std::string_view rest) {
    auto out = to_bytes(text);
    out.resize(15, ' ');
    return out + hex(rest);
  };
  auto p = ask("netbios-status", {hex("0102 8400 0000 0001 0000 0000") + name + hex("0021 0001 00000000 0065 03") + row("LS220D5A0", "00 0400") +
                                  row("WORKGROUP", "00 8400") + row("HANAKO", "03 0400") + hex("00005e005301") + Bytes(40, 0)});
  EXPECT_EQ(p.protocol, "netbios");
  EXPECT_EQ(key(p, "netbios.name"), "LS220D5A0");
  EXPECT_EQ(key(p, "netbios.suffixes"), "00,00g,03");
  EXPECT_EQ(key(p, "netbios.mac"), "00005e005301");
  EXPECT_FALSE(keeps(p, "HANAKO"));
  EXPECT_FALSE(keeps(p, "WORKGROUP"));
}

TEST(Datagrams, SnmpDescriptionWithoutTheCommunity) {
  auto p = ask("snmp-public", {hex("3030 020101 0406 7075626c6963 a223 0204 43040506 020100 020100 3015 3013 0608 2b06010201010100 0407 52545831323130")});
  EXPECT_EQ(p.protocol, "snmp");
  EXPECT_EQ(key(p, "snmp.sys_description"), "RTX1210");
  EXPECT_FALSE(keeps(p, "public"));
}

TEST(Datagrams, CoapPing) {
  EXPECT_EQ(key(ask("coap-ping", {hex("7000 0102")}), "coap.ping"), "reset");
}

TEST(Datagrams, CldapNamesTheSoftwareNotTheOrganisation) {
  auto octets = [](std::string_view text) { return Bytes{4, static_cast<std::uint8_t>(text.size())} + text; };
  auto wrap = [](std::uint8_t tag, const Bytes& body) { return Bytes{tag, static_cast<std::uint8_t>(body.size())} + body; };
  auto attribute = [&](std::string_view name, std::string_view value) { return wrap(0x30, octets(name) + wrap(0x31, octets(value))); };
  auto entry = [&](const Bytes& list) { return wrap(0x30, hex("0204 43040506") + wrap(0x64, octets("") + wrap(0x30, list))); };
  auto p = ask("cldap", {entry(attribute("vendorName", "Samba Team") + attribute("dnsHostName", "dc1.kaisha.example")),
                         wrap(0x30, hex("0204 43040506 6507 0a0100 0400 0400"))});
  EXPECT_EQ(p.protocol, "cldap");
  EXPECT_EQ(key(p, "ldap.entry"), "1");
  EXPECT_EQ(key(p, "ldap.vendor"), "Samba Team");
  EXPECT_FALSE(keeps(p, "kaisha"));
  EXPECT_EQ(key(ask("cldap", {entry(attribute("forestFunctionality", "7"))}), "ldap.directory"), "active-directory");
  auto done = ask("cldap", {wrap(0x30, hex("0204 43040506 6507 0a0132 0400 0400"))});
  EXPECT_EQ(key(done, "ldap.entry"), "0");
  EXPECT_EQ(key(done, "ldap.result"), "50");
}

TEST(Datagrams, RemoteProcedureCalls) {
  const std::string head = "43040506 00000001 00000000 00000000 00000000";
  EXPECT_EQ(key(ask("portmap-null", {hex(head + "00000000")}), "portmap.null"), "success");
  auto dump = ask("portmap-dump", {hex(head + "00000000 00000001 000186a3 00000003 00000006 00000801 00000001 000186a0 00000002 00000011 0000006f 00000000")});
  EXPECT_EQ(key(dump, "portmap.programs"), "100000/2/udp/111,100003/3/tcp/2049");
  EXPECT_EQ(ask("portmap-null", {hex("43040506 00000001 00000001 00000001 00000001")}).protocol, "") << "denied";
  EXPECT_EQ(key(ask("wdb", {hex(head + "00000000")}), "wdb.null"), "success");
  EXPECT_EQ(key(ask("wdb", {hex(head + "00000001")}), "wdb.null"), "prog-unavail");
}

TEST(Datagrams, TftpAndRx) {
  auto p = ask("tftp", {hex("0005 0001") + std::string("File not found") + hex("00")});
  EXPECT_EQ(key(p, "tftp.error_code"), "1");
  EXPECT_EQ(key(p, "tftp.error"), "File not found");
  auto data = ask("tftp", {hex("0003 0001") + "secret configuration"});
  EXPECT_EQ(key(data, "tftp.answer"), "data");
  EXPECT_FALSE(keeps(data, "secret"));
  auto rx = ask("afs-rx", {hex("00000000 00000000 43040506 00000000 00000001 0d 04 00 00 0000 0000") + " OpenAFS 1.8.9 built 2023" + Bytes(20, 0)});
  EXPECT_EQ(key(rx, "rx.version"), "OpenAFS 1.8.9 built 2023");
}

TEST(Datagrams, WsDiscoveryCameraWithoutItsPlace) {
  auto p = ask("wsd-onvif",
               {to_bytes("<?xml version=\"1.0\"?><SOAP-ENV:Envelope xmlns:d=\"x\"><SOAP-ENV:Header><wsa:RelatesTo>uuid:1</wsa:RelatesTo></SOAP-ENV:Header>"
                         "<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types><d:Scopes>"
                         "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/hardware/WV-S1131 onvif://www.onvif.org/name/i-PRO%20WV-S1131 "
                         "onvif://www.onvif.org/location/city/Osaka</d:Scopes><d:XAddrs>http://192.168.0.10/onvif/device_service</d:XAddrs>"
                         "</d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>")});
  EXPECT_EQ(p.protocol, "wsd");
  EXPECT_EQ(key(p, "wsd.hardware"), "WV-S1131");
  EXPECT_EQ(key(p, "wsd.name"), "i-PRO WV-S1131");
  EXPECT_EQ(key(p, "wsd.types"), "dn:NetworkVideoTransmitter tds:Device");
  EXPECT_EQ(key(p, "wsd.xaddrs"), "http://192.168.0.10/onvif/device_service");
  EXPECT_FALSE(keeps(p, "Osaka"));
  EXPECT_EQ(ask("wsd", {to_bytes("<s:Envelope><s:Fault/></s:Envelope>")}).protocol, "");
}

TEST(Datagrams, MakersOwnSearches) {
  auto ard = hex("0001 03ea") + Bytes(1002, 0x41);
  EXPECT_EQ(ask("ard", {ard}).protocol, "ard");
  EXPECT_FALSE(keeps(ask("ard", {ard}), "AAAA"));
  EXPECT_EQ(ask("ard", {hex("00010203")}).protocol, "");
  // RFC 2608: function 10, length, flags, extension, xid, language "en"; error 0; list
  auto slp = ask("slp", {hex("02 0a 00003c 0000 000000 0102 0002 656e 0000 0026") + "service:VMwareInfrastructure,service:x"});
  EXPECT_EQ(key(slp, "slp.types"), "service:VMwareInfrastructure,service:x");
  // observed
  auto dvr = ask("dhdiscover",
                 {hex("20000000 44484950 0000000000000000 60000000 00000000 60000000 00000000") +
                  R"({"mac":"b4:4c:3b:00:00:01","method":"client.notifyDevInfo","params":{"deviceInfo":{"DeviceClass":"HCVR","DeviceType":"HCVR5108H","SerialNo":"1J02A","Vendor":"Dahua","Version":"3.2.1"}}})"});
  EXPECT_EQ(dvr.protocol, "dhdiscover");
  EXPECT_EQ(key(dvr, "dvr.model"), "HCVR5108H");
  EXPECT_EQ(key(dvr, "dvr.version"), "3.2.1");
  EXPECT_EQ(key(dvr, "dvr.mac"), "b4:4c:3b:00:00:01");
  EXPECT_FALSE(keeps(dvr, "1J02A"));
  // observed: TLVs
  auto ubnt = ask("ubiquiti", {hex("01 00 0034 02 000a 44d9e7000001 c0a80114 03 0011 585737 2e763636 2e362e32 2e6e6f72 6131 0b 0003 6c616e 0c 0003 4c4d35 0d 0004 686f6d65")});
  EXPECT_EQ(ubnt.protocol, "ubiquiti");
  EXPECT_EQ(key(ubnt, "ubiquiti.product"), "LM5");
  EXPECT_EQ(key(ubnt, "ubiquiti.mac"), "44d9e7000001");
  EXPECT_FALSE(keeps(ubnt, "home")) << "the network's name is not kept";
  // XDMCP section 6: Willing
  auto xdm = ask("xdmcp", {hex("0001 0005 0017 0000 0005") + "host1" + hex("000c") + "Linux 6.1.42"});
  EXPECT_EQ(key(xdm, "xdmcp.answer"), "willing");
  EXPECT_EQ(key(xdm, "xdmcp.status"), "Linux 6.1.42");
  EXPECT_FALSE(keeps(xdm, "host1"));
  // [MC-SQLR] section 4
  auto sql = ask("mssql-browser", {hex("05 6300") + "ServerName;TARO-PC;InstanceName;SQLEXPRESS;IsClustered;No;Version;15.0.2000.5;tcp;1433;;"});
  EXPECT_EQ(key(sql, "mssql.version"), "15.0.2000.5");
  EXPECT_EQ(key(sql, "mssql.instance"), "SQLEXPRESS");
  EXPECT_EQ(key(sql, "mssql.instances"), "1");
  EXPECT_FALSE(keeps(sql, "TARO"));
  // observed
  auto plex = ask("plex", {to_bytes("HTTP/1.0 200 OK\r\nContent-Type: plex/media-server\r\nName: Taro's films\r\nPort: 32400\r\nVersion: 1.40.0.7998\r\n\r\n")});
  EXPECT_EQ(key(plex, "plex.version"), "1.40.0.7998");
  EXPECT_FALSE(keeps(plex, "Taro"));
  auto jenkins = ask("jenkins", {to_bytes("<hudson><version>2.190.1</version><url>http://ci.kaisha.example/</url><server-id>0a</server-id></hudson>")});
  EXPECT_EQ(key(jenkins, "jenkins.version"), "2.190.1");
  EXPECT_FALSE(keeps(jenkins, "kaisha"));
}

TEST(Datagrams, CallsTunnelsScreens) {
  auto stun = ask("stun", {hex("0101 0028 2112a442 43040506 0708090a0b0c0d0e 0020 0008 0001 2112 2112a443 8022 0017 436f7475726e2d342e362e312027476f72737427 61620000")});
  EXPECT_EQ(stun.protocol, "stun");
  EXPECT_EQ(key(stun, "stun.software").substr(0, 20), "Coturn-4.6.1 'Gorst'");
  auto sip = ask("sip", {to_bytes("SIP/2.0 401 Unauthorized\r\nServer: Aterm SIP\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"abc\"\r\nContent-Length: 0\r\n\r\n")});
  EXPECT_EQ(key(sip, "sip.status"), "401");
  EXPECT_EQ(key(sip, "sip_header.server"), "Aterm SIP");
  EXPECT_FALSE(keeps(sip, "abc"));
  // IPMI 2.0 table 22-15: channel 1; MD5 and password, 2.0 data; anonymous login
  auto ipmi = ask("ipmi", {hex("0600ff07 00 00000000 00000000 10 81 1c 63 20 00 38 00 01 94 05 02 5b2900 00 c2")});
  EXPECT_EQ(key(ipmi, "ipmi.auth_types"), "md5,password");
  EXPECT_EQ(key(ipmi, "ipmi.v2"), "1");
  EXPECT_EQ(key(ipmi, "ipmi.anonymous_login"), "1");
  EXPECT_EQ(key(ipmi, "ipmi.null_user"), "0");
  EXPECT_EQ(key(ipmi, "ipmi.oem"), "10587");
  auto l2tp = ask("l2tp", {hex("c802 0037 4102 0000 0000 0001 8008 0000 0000 0002 8008 0000 0006 0690 8009 0000 0007 727431 0012 0000 0008 78656c6572616e63652e636f6d")});
  EXPECT_EQ(key(l2tp, "l2tp.message"), "2");
  EXPECT_EQ(key(l2tp, "l2tp.hostname"), "rt1");
  auto refused = ask("ike", {hex("0708090a0b0c0d0e 1122334455667788 0b 10 05 00 00000000 00000028 00 00 000c 00000001 01 00 000e")});
  EXPECT_EQ(refused.protocol, "ike");
  EXPECT_EQ(key(refused, "ike.answer"), "notify 14");
  auto agreed = ask("ike", {hex("0708090a0b0c0d0e 1122334455667788 01 10 02 00 00000000 00000038 0d 00 0008 00000001 00 00 0014 afcad71368a1f1c96b8696fc77570100")});
  EXPECT_EQ(key(agreed, "ike.answer"), "sa");
  EXPECT_EQ(key(agreed, "ike.vendor_ids"), "afcad71368a1f1c96b8696fc77570100");
  EXPECT_EQ(ask("openvpn", {hex("40 1122334455667788 01 00000000 0708090a0b0c0d0e 00000000")}).protocol, "openvpn");
  auto rip = ask("rip", {hex("02 01 0000 0002 0000 c0a80000 00000000 00000000 00000001 0002 0000 0a000000 00000000 00000000 00000002")});
  EXPECT_EQ(key(rip, "rip.routes"), "2");
  EXPECT_FALSE(keeps(rip, "192.168"));
  auto quic = ask("quic", {hex("ea 00000000 04 43040506 08 0708090a0b0c0d0e 00000001 6b3343cf 3a4a5a6a")});
  EXPECT_EQ(key(quic, "quic.versions"), "00000001,6b3343cf");
  EXPECT_EQ(ask("rdpeudp", {hex("43040506 0040 0005 11223344 04d0 04d0")}).protocol, "rdpeudp");
  EXPECT_EQ(ask("rdpeudp", {hex("43040506 0040 0001 11223344 04d0 04d0")}).protocol, "");
  EXPECT_EQ(key(ask("gtp-echo", {hex("32 02 0006 00000000 0102 0000 0e05")}), "gtp.version"), "1");
  auto guarded = ask("dtls", {hex("16 feff 0000 000000000000 0018 03 00000c 0000 000000 00000c feff 09 112233445566778899")});
  EXPECT_EQ(key(guarded, "dtls.answer"), "hello-verify");
  auto flight = ask("dtls", {hex("16 fefd 0000 000000000000 0011 02 000005 0000 000000 000005 fefd 112233 16 fefd 0000 000000000001 000c 0e 000000 0002 000000 000000")});
  EXPECT_EQ(key(flight, "dtls.answer"), "server-hello");
  EXPECT_EQ(key(flight, "dtls.version"), "fefd");
  EXPECT_EQ(key(ask("dtls", {hex("15 feff 0000 000000000000 0002 02 28")}), "dtls.answer"), "alert 40");
}

TEST(Datagrams, GamesAndPeersWithoutTheirPlayers) {
  auto a2s = ask("a2s", {hex("ffffffff 49 11") + std::string("Taro's server\0de_dust2\0cstrike\0Counter-Strike\0", 46)});
  EXPECT_EQ(key(a2s, "a2s.answer"), "info");
  EXPECT_EQ(key(a2s, "a2s.game"), "Counter-Strike");
  EXPECT_FALSE(keeps(a2s, "Taro"));
  EXPECT_EQ(key(ask("a2s", {hex("ffffffff 41 0a0b0c0d")}), "a2s.answer"), "challenge");
  auto quake = ask("quake3", {hex("ffffffff") + "infoResponse\n\\challenge\\0708090a0b0c0d0e\\protocol\\68\\hostname\\Taro\\gamename\\baseq3"});
  EXPECT_EQ(key(quake, "quake3.game"), "baseq3");
  EXPECT_EQ(key(quake, "quake3.protocol"), "68");
  EXPECT_FALSE(keeps(quake, "Taro"));
  auto ts = ask("teamspeak3", {to_bytes("TS3INIT1") + hex("0065 88 01 00112233445566778899aabbccddeeff 2c2b2a29")});
  EXPECT_EQ(key(ts, "teamspeak3.step"), "1");
  EXPECT_EQ(ask("kad", {hex("e461 4012")}).protocol, "kad");
  auto dht = ask("bittorrent-dht", {to_bytes("d2:ip6:xxxxxx1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:zzzz1:v4:TR") + hex("0300") + "1:y1:re"});
  EXPECT_EQ(key(dht, "bittorrent.client"), "TR 0300");
  EXPECT_EQ(ask("bittorrent-dht", {to_bytes("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t4:zzzz1:y1:qe")}).protocol, "");
}

TEST(Datagrams, Controllers) {
  // ASHRAE 135: BVLC, NPDU, ComplexAck, device 1, property 121, UTF-8 text
  auto vendor = ask("bacnet-vendor", {hex("81 0a 0022 01 00 30 01 0c 0c 02000001 19 79 3e 75 0d 00") + "Azbil Corp.." + hex("3f")});
  EXPECT_EQ(vendor.protocol, "bacnet");
  EXPECT_EQ(key(vendor, "bacnet.vendor"), "Azbil Corp..");
  auto routed = ask("bacnet-model", {hex("81 0a 0022 01 08 0001 01 05 30 02 0c 0c 02000001 19 46 3e 74 00") + "X10" + hex("3f")});
  EXPECT_EQ(key(routed, "bacnet.model"), "X10");
  EXPECT_EQ(key(ask("bacnet-model", {hex("81 0a 000d 01 00 50 02 0c 91 02 91 20")}), "bacnet.answer"), "error");
  // W342: end code 0, model, version
  auto fins = ask("fins", {hex("c0 00 02 00 63 00 00 00 00 2d 05 01 0000") + padded("CJ2M-CPU31", 20) + padded("02.01", 20)});
  EXPECT_EQ(key(fins, "fins.model"), "CJ2M-CPU31");
  EXPECT_EQ(key(fins, "fins.version"), "02.01");
  auto slmp = ask("slmp-udp", {hex("d000 00 ff ff03 00 1400 0000") + std::string("Q03UDVCPU       ") + hex("6603")});
  EXPECT_EQ(slmp.protocol, "slmp");
  EXPECT_EQ(key(slmp, "slmp.cpu"), "Q03UDVCPU");
  EXPECT_EQ(key(slmp, "slmp.cpu_code"), "0x0366");
  auto enip = ask("enip-udp", {hex("6300 3000 00000000 00000000 0708090a0b0c0d0e 00000000 0100 0c00 2a00 0100 0002af12 c0a80001 0000000000000000 2f00 0c00 6500 0201 6000 "
                                   "78563412 08") +
                               "NX102-1 " + hex("03")});
  EXPECT_EQ(enip.protocol, "enip");
  EXPECT_EQ(key(enip, "enip.vendor_id"), "47");
  EXPECT_EQ(key(enip, "enip.serial"), "12345678");
  EXPECT_EQ(key(enip, "enip.product_name"), "NX102-1");
  // 03.08.02: header, device information block of 54 bytes
  auto knx = ask("knx", {hex("06 10 0204 003c 36 01 02 00 1101 0000 00c5000a0b0c e000170c 00005e005309") + padded("KNX IP Router", 30)});
  EXPECT_EQ(key(knx, "knx.name"), "KNX IP Router");
  EXPECT_EQ(key(knx, "knx.serial"), "00c5000a0b0c");
  EXPECT_EQ(key(knx, "knx.mac"), "00005e005309");
  // observed
  auto moxa = ask("moxa", {hex("81 00 0018 00000000 ffff0000 1a51 0090e8000001 c0a87ffe")});
  EXPECT_EQ(key(moxa, "moxa.model"), "511a");
  EXPECT_EQ(key(moxa, "moxa.mac"), "0090e8000001");
  // UDS-10 user guide, table 19
  auto lantronix = ask("lantronix", {hex("000000f7 00112233 5833 99aabbccddeeff01 0203 11223344")});
  EXPECT_EQ(lantronix.protocol, "lantronix");
  EXPECT_EQ(key(lantronix, "lantronix.firmware").substr(8, 4), "5833");
  EXPECT_EQ(ask("lantronix", {hex("000000f9") + Bytes(120, 1)}).protocol, "") << "a setup record, which was not asked for, is not read";
}

// Random bytes, and the answers above with random changes: a bounded result and no crash.
TEST(Datagrams, HostileAnswersStayBounded) {
  std::mt19937 random(11);
  auto catalogue = Catalogue::parse(*read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv"));
  std::vector<std::string> probes;
  for (const auto& r : catalogue->all())
    if (r.raw) probes.push_back(r.id);
  const std::vector<Bytes> seeds = {
      hex("0102 8400 0001 0002 0000 0000 c00c 000c 0001 c00c 000c 0001 0000000a 0002 c00c"),
      hex("0102 8400 0000 0001 0000 0000 20 434b 41414141414141414141414141414141414141414141414141414141414141 00 0021 0001 00000000 0065 ff 4c53"),
      hex("3084000000ff 0204 43040506 6484000000ff 0400 308400000080 30 10 0404 6e616d65 3108 0406 616263646566"),
      hex("43040506 00000001 00000000 00000000 ffffffff 00000000 00000001"),
      hex("c802 ffff 4102 0000 0000 0001 8008 0000 0000 0002 83ff 0000 0008 7878"),
      hex("0708090a0b0c0d0e 1122334455667788 0d 10 02 00 00000000 00000028 0d 00 0004 0d 00 0003 ffff"),
      hex("ea 00000000 ff 43040506"), hex("16 feff 0000 000000000000 ffff 03 00000c"), hex("06 10 0204 003c 01 01 02 00"),
      hex("81 0a 0022 01 28 0001 ff 05 30 02 0c 0c 02000001 19 46 3e 75 fe ffff 00"), hex("01 00 ffff 02 ffff 44d9"),
      to_bytes("<s:Envelope><d:ProbeMatches><d:Types"), to_bytes("d1:rd2:id20:aae1:v4:T1:y1:re"), hex("0101 0028 2112a442 00 8022 ffff")};
  for (int i = 0; i < 60'000; ++i) {
    auto bytes = mutated(seeds[random() % seeds.size()], random);
    auto p = ask(probes[random() % probes.size()], {bytes, bytes});
    ASSERT_LE(p.keys.size(), max_keys);
    ASSERT_LE(p.bytes.size(), max_item_bytes);
  }
}

}  // namespace
}  // namespace nora::survey
