// Answers to the TCP exchanges. Genuine servers are in tests/survey/real_servers.test.sh; where Debian has none, the vectors here are built
// from the specification that is named, and say so.
#include <gtest/gtest.h>

#include "base/crypto.h"
#include "survey/probes/hashes.h"
#include "survey/probes/parse.h"

namespace nora::survey {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& p : parts) out.insert(out.end(), p.begin(), p.end());
  return out;
}
Item item(std::string probe, std::vector<Bytes> parts, std::uint16_t port = 80) { return {std::move(probe), "203.0.113.7", port, std::move(parts)}; }
std::string key(const Parsed& p, std::string_view name) {
  const auto* v = p.find(name);
  return v ? *v : "(none)";
}
Bytes page(std::string_view body, std::string_view head = "HTTP/1.1 200 OK\r\n") { return to_bytes(std::string(head) + "\r\n" + std::string(body)); }
Bytes padded(std::string_view text, std::size_t n) {
  auto out = to_bytes(text);
  out.resize(n, 0);
  return out;
}

TEST(Hashes, AreThoseThatOthersPublish) {
  // MurmurHash3_x86_32: values of the reference implementation (SMHasher) as several libraries' tests print them.
  EXPECT_EQ(murmur3({}, 0), 0u);
  EXPECT_EQ(murmur3({}, 1), 0x514e28b7u);
  EXPECT_EQ(murmur3(as_bytes("test"), 0), 0xba6bd213u);
  EXPECT_EQ(murmur3(as_bytes("Hello, world!"), 0), 0xc0363e43u);
  EXPECT_EQ(murmur3(as_bytes("The quick brown fox jumps over the lazy dog"), 0), 0x2e4ff723u);
  EXPECT_EQ(md5_hex(as_bytes("abc")), "900150983cd24fb0d6963f7d28e17f72") << "RFC 1321 appendix A.5";
  // Lines of 76 characters: 57 bytes fill one.
  EXPECT_EQ(icon_number(Bytes(57, 'a')), std::to_string(static_cast<std::int32_t>(murmur3(as_bytes(std::string("YWFh") + [] {
                                                                                           std::string rest;
                                                                                           for (int i = 0; i < 18; ++i) rest += "YWFh";
                                                                                           return rest;
                                                                                         }() + "\n"), 0))));
}

TEST(Favicon, OnlyItsHashesAreKept) {
  Bytes icon = hex("00000100010010100000010020006804000016000000");
  icon.resize(64, 7);
  auto p = parse(item("favicon", {join({to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"), icon})}));
  EXPECT_EQ(p.protocol, "favicon");
  EXPECT_EQ(key(p, "favicon.md5"), md5_hex(icon));
  EXPECT_EQ(key(p, "favicon.mmh3"), icon_number(icon));
  EXPECT_EQ(key(p, "favicon.sha256"), to_hex(sha256(icon)));
  EXPECT_EQ(to_string(p.bytes).find(to_string(icon)), std::string::npos);
  EXPECT_EQ(parse(item("favicon", {page("<html>not found</html>")})).protocol, "") << "a page is not an icon, and is no second reply of the port";
  EXPECT_EQ(parse(item("favicon", {join({to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), icon})})).protocol, "") << "a cut icon has another hash";
  EXPECT_EQ(parse(item("favicon-tls", {{}, join({to_bytes("HTTP/1.1 200 OK\r\n\r\n"), icon})})).protocol, "favicon");
}

TEST(Http, ALivePictureIsAFlagAndNothingElse) {
  const auto picture = std::string("\xff\xd8\xff\xe0 picture bytes");
  for (const auto& answer : {page(picture, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"), page(picture), page("--b\r\n" + picture, "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n")}) {
    auto p = parse(item("http", {answer}));
    EXPECT_EQ(key(p, "http.live_view"), "1");
    EXPECT_EQ(to_string(p.bytes).find("picture bytes"), std::string::npos);
    EXPECT_EQ(key(p, "http.body_hash"), "(none)");
  }
}

TEST(Http, AnIconInsideThePageGivesItsHashesAndNoPictureIsKept) {
  Bytes icon = hex("89504e470d0a1a0a0000000d49484452");
  icon.resize(90, 3);
  const auto photo = to_base64(to_bytes("\xff\xd8\xff\xe0 somebody's garden"));
  const auto with = [&](std::string_view link) {
    return page("<html><head>" + std::string(link) + "</head><body><img src=\"data:image/jpeg;base64," + photo + "\"></body></html>");
  };
  for (const auto& link : {"<LINK rel=\"shortcut icon\" href=\"data:image/png;base64," + to_base64(icon) + "\">", "<link href='DATA:image/png;charset=x;base64," + to_base64(icon) + "' rel=icon>"}) {
    const auto p = parse(item("http", {with(link)}));
    EXPECT_EQ(key(p, "favicon.md5"), md5_hex(icon)) << link;
    EXPECT_EQ(key(p, "favicon.mmh3"), icon_number(icon));
    EXPECT_EQ(key(p, "favicon.sha256"), to_hex(sha256(icon)));
    EXPECT_EQ(key(p, "favicon.size"), "90");
    EXPECT_EQ(key(p, "http.icon_path"), "(none)");
    const auto kept = to_string(p.bytes);
    EXPECT_EQ(kept.find(to_base64(icon)), std::string::npos);
    EXPECT_EQ(kept.find(photo), std::string::npos) << "no picture of a page is kept";
    EXPECT_NE(kept.find("data:image/jpeg;base64,sha256-"), std::string::npos);
    EXPECT_NE(kept.find("</body></html>"), std::string::npos) << "what follows stays";
  }
  EXPECT_EQ(key(parse(item("http", {with("<link rel=stylesheet href=x.css>")})), "favicon.md5"), "(none)") << "a picture of the page is not its icon";
  // Cut where the reading stopped: no hash rather than another one.
  EXPECT_EQ(key(parse(item("http", {page("<link rel=icon href=\"data:image/png;base64," + to_base64(icon))})), "favicon.md5"), "(none)");
  const auto named = parse(item("http", {with("<link rel=icon href=\"/images/brand.ico?v=17\">")}));
  EXPECT_EQ(key(named, "http.icon_path"), "/images/brand.ico");
  EXPECT_EQ(key(parse(item("http", {with("<link rel=icon href=\"//cdn.example/x.ico\">")})), "http.icon_path"), "(none)");
}

TEST(Web, ServersThatShowADocumentAtTheRoot) {  // documented answers of the products' own manuals
  auto elastic = parse(item("http", {page("{\n  \"name\" : \"n\",\n  \"version\" : {\n    \"number\" : \"7.10.2\"\n  },\n  \"tagline\" : \"You Know, for Search\"\n}", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")}, 9200));
  EXPECT_EQ(elastic.protocol, "http");
  EXPECT_EQ(key(elastic, "http.app"), "elasticsearch");
  EXPECT_EQ(key(elastic, "http.app_version"), "7.10.2");
  auto couch = parse(item("http", {page("{\"couchdb\":\"Welcome\",\"version\":\"3.1.1\"}")}, 5984));
  EXPECT_EQ(key(couch, "http.app"), "couchdb");
  EXPECT_EQ(key(couch, "http.app_version"), "3.1.1");
  EXPECT_EQ(key(parse(item("http", {page("<html>You Know, for Search</html>")})), "http.app"), "(none)");
}

TEST(Web, VersionDocumentsOfContainerServers) {  // Docker Engine API reference; Kubernetes API
  auto docker = parse(item("version", {page("{\"Platform\":{\"Name\":\"x\"},\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"Os\":\"linux\",\"Arch\":\"arm64\"}")}, 2375));
  EXPECT_EQ(docker.protocol, "docker");
  EXPECT_EQ(key(docker, "docker.version"), "20.10.24");
  EXPECT_EQ(key(docker, "docker.api"), "1.41");
  auto kube = parse(item("version-tls", {{}, page("{\n \"major\": \"1\",\n \"gitVersion\": \"v1.27.3\",\n \"platform\": \"linux/arm64\"\n}")}, 6443));
  EXPECT_EQ(kube.protocol, "kubernetes");
  EXPECT_EQ(key(kube, "kubernetes.version"), "v1.27.3");
  auto closed = parse(item("version-tls", {{}, page("{\"kind\":\"Status\",\"code\":401}", "HTTP/1.1 401 Unauthorized\r\n")}, 6443));
  EXPECT_EQ(key(closed, "kubernetes.access"), "protected");
  EXPECT_EQ(parse(item("version", {page("<title>router</title>")}, 2375)).protocol, "");
}

TEST(Web, HnapAndCwmp) {
  auto hnap = parse(item("hnap", {page("<soap:Envelope><soap:Body><GetDeviceSettingsResponse><GetDeviceSettingsResult>OK</GetDeviceSettingsResult><Type>GatewayWithWiFi</Type>"
                                       "<DeviceName>Family of Taro</DeviceName><VendorName>D-Link</VendorName><ModelName>DIR-850L</ModelName><FirmwareVersion>1.09</FirmwareVersion>")}));
  EXPECT_EQ(hnap.protocol, "hnap");
  EXPECT_EQ(key(hnap, "hnap.model"), "DIR-850L");
  EXPECT_EQ(key(hnap, "hnap.firmware"), "1.09");
  EXPECT_EQ(to_string(hnap.bytes).find("Taro"), std::string::npos) << "the name that its owner gave it";
  EXPECT_EQ(parse(item("hnap", {page("<title>x</title>")})).protocol, "");
  auto cwmp = parse(item("cwmp", {page("", "HTTP/1.1 401 Unauthorized\r\nServer: RomPager/4.07 UPnP/1.0\r\nWWW-Authenticate: Digest realm=\"IGD\", nonce=\"1\"\r\n")}, 7547));
  EXPECT_EQ(cwmp.protocol, "cwmp");
  EXPECT_EQ(key(cwmp, "http_header.server"), "RomPager/4.07 UPnP/1.0");
  EXPECT_EQ(key(cwmp, "http.realm"), "IGD");
  EXPECT_EQ(parse(item("cwmp", {to_bytes("login: ")}, 7547)).protocol, "telnet");
}

TEST(Web, NtripCountsStreamsAndForgetsTheirPlaces) {  // RTCM 10410.0 and 10410.1
  auto one = parse(item("ntrip", {to_bytes("SOURCETABLE 200 OK\r\nServer: NTRIP Caster/1.5\r\nContent-Length: 99\r\n\r\nCAS;x\r\nSTR;A;Tokyo;RTCM 3;35.68;139.76\r\nSTR;B;Osaka;RTCM 3\r\nENDSOURCETABLE\r\n")}, 2101));
  EXPECT_EQ(one.protocol, "ntrip");
  EXPECT_EQ(key(one, "ntrip.streams"), "2");
  EXPECT_EQ(key(one, "ntrip.server"), "NTRIP Caster/1.5");
  EXPECT_EQ(to_string(one.bytes).find("35.68"), std::string::npos);
  auto two = parse(item("ntrip", {page("STR;A\r\nENDSOURCETABLE\r\n", "HTTP/1.1 200 OK\r\nContent-Type: gnss/sourcetable\r\n")}, 2101));
  EXPECT_EQ(key(two, "ntrip.version"), "2");
  EXPECT_EQ(parse(item("ntrip", {page("<title>x</title>")}, 2101)).protocol, "http");
}

Bytes mapping(std::string_view client) {
  return page("<s:Envelope><s:Body><u:GetGenericPortMappingEntryResponse><NewExternalPort>80</NewExternalPort><NewInternalClient>" + std::string(client) +
              "</NewInternalClient><NewPortMappingDescription>Taro's PC</NewPortMappingDescription></u:GetGenericPortMappingEntryResponse></s:Body></s:Envelope>");
}
TEST(Igd, MappingsThatLeadOutOfTheHomeAreCounted) {  // UPnP WANIPConnection:1 section 2.4.14
  const auto end = page("<s:Fault><detail><UPnPError><errorCode>713</errorCode></UPnPError></detail></s:Fault>", "HTTP/1.1 500 Internal Server Error\r\n");
  auto p = parse(item("igd", {mapping("192.168.0.7"), mapping("198.51.100.9"), mapping("fd00::1"), end}, 5000));
  EXPECT_EQ(p.protocol, "igd");
  EXPECT_EQ(key(p, "igd.mappings"), "3");
  EXPECT_EQ(key(p, "igd.foreign"), "1");
  EXPECT_EQ(key(p, "igd.error"), "713");
  EXPECT_EQ(to_string(p.bytes).find("Taro"), std::string::npos);
  EXPECT_EQ(key(parse(item("igd", {end}, 5000)), "igd.mappings"), "0");
  EXPECT_EQ(parse(item("igd", {page("<title>x</title>")}, 5000)).protocol, "");
}

TEST(Upnp, TheControlAddressIsOfTheSameHostOnly) {
  auto with = [](std::string control) {
    return parse(item("upnp", {page("<root><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList><service>"
                                    "<serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType><controlURL>" +
                                    control + "</controlURL></service></serviceList></device></root>")},
                      5000));
  };
  EXPECT_EQ(with("/ctl/IPConn").control_path, "/ctl/IPConn");
  EXPECT_EQ(with("/ctl/IPConn").control_service, 3);
  EXPECT_EQ(with("ctl").control_path, "/ctl");
  for (auto bad : {"http://198.51.100.9/x", "//evil/x", "/a?b=c", "/a b", ""}) EXPECT_EQ(with(bad).control_service, 0) << bad;
}

TEST(Mail, GreetingsAsRecogMatchesThem) {
  auto pop = parse(item("listen", {to_bytes("+OK Dovecot ready. <1896.697170952@host.example>\r\n")}, 110));
  EXPECT_EQ(pop.protocol, "pop3");
  EXPECT_EQ(key(pop, "pop3.banner"), "Dovecot ready. <>") << "the time stamp differs each time";
  auto imap = parse(item("listen", {to_bytes("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] Dovecot ready.\r\n")}, 143));
  EXPECT_EQ(imap.protocol, "imap");
  EXPECT_EQ(key(imap, "imap4.banner"), "[CAPABILITY IMAP4rev1 LOGINDISABLED] Dovecot ready.");
  EXPECT_EQ(key(parse(item("listen", {to_bytes("220 host.example ready\r\n")}, 25)), "smtp.banner"), "host.example ready") << "on its own port";
  EXPECT_EQ(parse(item("listen", {to_bytes("220 host.example ready\r\n")}, 21)).protocol, "ftp");
  EXPECT_EQ(parse(item("listen", {to_bytes("220 ProFTPD at mail.example\r\n")}, 25)).protocol, "ftp");
  EXPECT_EQ(key(parse(item("listen", {to_bytes("@RSYNCD: 31.0 sha512 md5\n")}, 873)), "rsync.version"), "31.0");
}

TEST(Dvr, WhatARecordersPortSaysByItself) {
  EXPECT_EQ(key(parse(item("dvr", {hex("ff010000")}, 34567)), "dvr.greeting"), "ff010000");
  EXPECT_EQ(parse(item("dvr", {{}}, 34567)).protocol, "tcp") << "silence";
  EXPECT_EQ(parse(item("dvr", {to_bytes("SSH-2.0-x\r\n")}, 34567)).protocol, "ssh");
}

TEST(Brokers, Vectors) {
  // AMQP 0-9-1 section 4.2.2 and 1.4.2.1: Connection.Start with product, version, a nested table and two mechanisms.
  auto text = [](std::string_view name, std::string_view value) {
    Bytes out = {static_cast<std::uint8_t>(name.size())};
    out.insert(out.end(), name.begin(), name.end());
    out.push_back('S');
    put_u32be(out, static_cast<std::uint32_t>(value.size()));
    out.insert(out.end(), value.begin(), value.end());
    return out;
  };
  Bytes capabilities = to_bytes("\x0c""capabilitiesF");
  const auto inner = join({to_bytes("\x07""productt\x01"), to_bytes("\x04""longV")});
  put_u32be(capabilities, static_cast<std::uint32_t>(inner.size()));
  capabilities = join({capabilities, inner});
  const auto table = join({capabilities, text("cluster_name", "rabbit@taros-home"), text("product", "RabbitMQ"), text("version", "3.10.8"), text("platform", "Erlang/OTP 25")});
  Bytes body = hex("000a000a0009");
  put_u32be(body, static_cast<std::uint32_t>(table.size()));
  body = join({body, table, hex("0000000e"), to_bytes("AMQPLAIN PLAIN"), hex("00000005"), to_bytes("en_US")});
  Bytes frame = hex("010000");
  put_u32be(frame, static_cast<std::uint32_t>(body.size()));
  frame = join({frame, body, hex("ce")});
  auto amqp = parse(item("amqp", {frame}, 5672));
  EXPECT_EQ(amqp.protocol, "amqp");
  EXPECT_EQ(key(amqp, "amqp.product"), "RabbitMQ");
  EXPECT_EQ(key(amqp, "amqp.version"), "3.10.8");
  EXPECT_EQ(key(amqp, "amqp.mechanisms"), "AMQPLAIN PLAIN");
  EXPECT_EQ(key(amqp, "amqp.anonymous"), "no");
  EXPECT_EQ(to_string(amqp.bytes).find("taro"), std::string::npos);
  EXPECT_EQ(key(parse(item("amqp", {to_bytes(std::string("AMQP\x03\x01\x00\x00", 8))}, 5672)), "amqp.header"), "3-1-0-0");

  EXPECT_EQ(key(parse(item("redis", {to_bytes("+PONG\r\n")}, 6379)), "redis.access"), "open");
  EXPECT_EQ(key(parse(item("redis", {to_bytes("-NOAUTH Authentication required.\r\n")}, 6379)), "redis.access"), "protected");
  EXPECT_EQ(key(parse(item("redis", {to_bytes("-DENIED Redis is running in protected mode\r\n")}, 6379)), "redis.access"), "protected");
  EXPECT_EQ(parse(item("http", {to_bytes("-ERR wrong number of arguments for 'get' command\r\n")}, 80)).protocol, "redis") << "to the one generic request";
  EXPECT_EQ(key(parse(item("memcached-tcp", {to_bytes("VERSION 1.6.18\r\n")}, 11211)), "memcached.version"), "1.6.18");
  EXPECT_EQ(parse(item("http", {to_bytes("ERROR\r\nERROR\r\nERROR\r\n")}, 80)).protocol, "memcached");

  // MongoDB wire protocol, OP_REPLY: {ismaster: true, maxWireVersion: 13, ok: 1.0}
  const auto document = join({hex("00000000"), hex("08"), padded("ismaster", 9), hex("01"), hex("02"), padded("secret", 7), hex("05000000"), padded("taro", 5),
                              hex("10"), padded("maxWireVersion", 15), hex("0d000000"), hex("01"), padded("ok", 3), hex("000000000000f03f00")});
  auto sized = document;
  sized[0] = static_cast<std::uint8_t>(sized.size());
  auto mongo = parse(item("mongodb", {join({hex("00000000 01000000 6e6f7261 01000000 00000000 0000000000000000 00000000 01000000"), sized})}, 27017));
  EXPECT_EQ(mongo.protocol, "mongodb");
  EXPECT_EQ(key(mongo, "mongodb.max_wire"), "13");
  EXPECT_EQ(key(mongo, "mongodb.primary"), "1");
  EXPECT_EQ(to_string(mongo.bytes).find("taro"), std::string::npos);
  EXPECT_EQ(parse(item("http", {page("It looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n")}, 80)).protocol, "http");

  // RFC 3261 section 8.2.6
  auto sip = parse(item("sip-tcp", {to_bytes("SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK1\r\nServer: Aterm SIP\r\nAllow: INVITE, OPTIONS\r\n"
                                             "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\"\r\nContent-Length: 0\r\n\r\n")},
                         5060));
  EXPECT_EQ(sip.protocol, "sip");
  EXPECT_EQ(key(sip, "sip_header.server"), "Aterm SIP");
  EXPECT_EQ(key(sip, "sip.wwwauth"), "Digest realm=\"x\", nonce=\"\"");
  EXPECT_EQ(to_string(sip.bytes).find("z9hG4bK"), std::string::npos);
}

TEST(Adb, OpenOrKeyed) {  // adb protocol.txt: command, version, size, length, sum, magic
  const auto banner = to_bytes("device:AB123:ro.product.name=ip808;ro.product.model=STB-1;ro.product.device=amlogic;features=cmd");
  Bytes head = hex("434e584e 00000001 00001000");
  head.insert(head.end(), {static_cast<std::uint8_t>(banner.size()), 0, 0, 0});
  auto open = parse(item("adb", {join({head, hex("00000000 bcb1a7b1"), banner})}, 5555));
  EXPECT_EQ(open.protocol, "adb");
  EXPECT_EQ(key(open, "adb.access"), "open");
  EXPECT_EQ(key(open, "adb.model"), "STB-1");
  EXPECT_EQ(to_string(open.bytes).find("AB123"), std::string::npos) << "the serial number";
  EXPECT_EQ(key(parse(item("adb", {join({hex("41555448 01000000 00000000 14000000 00000000 beaaabb7"), Bytes(20, 9)})}, 5555)), "adb.access"), "key");
  EXPECT_EQ(parse(item("listen", {to_bytes("AUTHORIZED USE ONLY\r\n\r\nlogin: ")}, 23)).protocol, "telnet") << "a word that people write too";
}

TEST(Office, Vectors) {
  // [MS-SMB2] section 2.2.4: dialect 3.0.2, signing enabled, a GUID.
  const auto smb_head = join({hex("000000c0 fe534d42 4000 0000 00000000 0000 0100 01000000 00000000"), Bytes(40, 0)});
  auto smb = parse(item("smb", {join({smb_head, hex("4100 0100 0203 0000"), Bytes(16, 0xab), Bytes(120, 0)})}, 445));
  EXPECT_EQ(smb.protocol, "smb");
  EXPECT_EQ(key(smb, "smb.dialect"), "3.0.2");
  EXPECT_EQ(key(smb, "smb.signing"), "enabled");
  auto refused = smb_head;
  refused[12] = 0xbb;
  EXPECT_EQ(key(parse(item("smb", {join({refused, hex("0900000000000000 00")})}, 445)), "smb.status"), "0x000000bb");

  // [MS-RDPBCGR] section 2.2.1.2: response, failure 5, and a confirm without either.
  EXPECT_EQ(key(parse(item("rdp", {hex("03000013 0ed00000123400 02 00 0800 01000000")}, 3389)), "rdp.nla"), "not-required");
  EXPECT_EQ(key(parse(item("rdp", {hex("03000013 0ed00000123400 03 00 0800 05000000")}, 3389)), "rdp.nla"), "required");
  EXPECT_EQ(key(parse(item("rdp", {hex("0300000b 06d00000123400")}, 3389)), "rdp.security"), "rdp");

  // RFC 2637 section 2.2
  auto pptp = parse(item("pptp", {join({hex("009c 0001 1a2b3c4d 0002 0000 0100 01 00 00000000 00000000 0001 1234"), padded("router", 64), padded("Vendor X", 64)})}, 1723));
  EXPECT_EQ(pptp.protocol, "pptp");
  EXPECT_EQ(key(pptp, "pptp.hostname"), "router");
  EXPECT_EQ(key(pptp, "pptp.vendor"), "Vendor X");
  EXPECT_EQ(key(pptp, "pptp.firmware"), "4660");

  // Apple Filing Protocol Reference, FPGetSrvrInfo: offsets of machine type, versions, UAMs; then the name.
  const auto info = join({hex("0013 0018 0026 0000 8000"), to_bytes("\x08TaroDisk"), to_bytes("\x04Unix"), to_bytes("\x02\x06""AFP2.2\x05""AFPX3"), to_bytes("\x01\x0fNo User Authent")});
  Bytes dsi = hex("0103 0001 00000000");
  put_u32be(dsi, static_cast<std::uint32_t>(info.size()));
  auto afp = parse(item("afp", {join({dsi, hex("00000000"), info})}, 548));
  EXPECT_EQ(afp.protocol, "afp");
  EXPECT_EQ(key(afp, "afp.machine"), "Unix");
  EXPECT_EQ(key(afp, "afp.versions"), "AFP2.2,AFPX3");
  EXPECT_EQ(key(afp, "afp.guest"), "offered");
  EXPECT_EQ(to_string(afp.bytes).find("Taro"), std::string::npos);

  // RFC 5531 section 9: accepted with success, and version mismatch with the range.
  EXPECT_EQ(key(parse(item("portmap-tcp", {hex("80000018 6e6f7261 00000001 00000000 00000000 00000000 00000000")}, 111)), "portmap.null"), "success");
  auto nfs = parse(item("nfs", {hex("80000020 6e6f7261 00000001 00000000 00000000 00000000 00000002 00000003 00000004")}, 2049));
  EXPECT_EQ(key(nfs, "nfs.versions"), "3-4");
  EXPECT_EQ(parse(item("nfs", {hex("80000018 11111111 00000001 00000000 00000000 00000000 00000000")}, 2049)).protocol, "tcp") << "another call's answer";

  // X Window System Protocol section 8: refused and accepted.
  auto shut = parse(item("x11", {join({hex("00 16 0b00 0000 0600"), padded("No protocol specified\n", 24)})}, 6000));
  EXPECT_EQ(key(shut, "x11.access"), "refused");
  EXPECT_EQ(key(shut, "x11.reason"), "No protocol specified");
  auto open = parse(item("x11", {join({hex("01 00 0b00 0000 0b00 40d2b800 00000000 ffff1f00 00010000 1400 ffff 01 07 00 00 20 20 08 ff 00000000"), to_bytes("The X.Org Foundation")})}, 6000));
  EXPECT_EQ(key(open, "x11.access"), "open");
  EXPECT_EQ(key(open, "x11.vendor"), "The X.Org Foundation");
}

TEST(Control, Vectors) {
  // S7: COTP confirm, set-up acknowledged, SZL 0x0011 with records 1, 6, 7 and SZL 0x001c with 5 and 7.
  const auto confirm = hex("0300000b06d00001000000"), setup = hex("0300001b02f080320300000000000800000000f0000001000101e0");
  auto szl = [](std::string_view id, std::size_t size, std::initializer_list<Bytes> records) {
    Bytes data = hex(id);
    data = join({data, hex("0001")});
    put_u16be(data, static_cast<std::uint16_t>(size));
    put_u16be(data, static_cast<std::uint16_t>(records.size()));
    for (const auto& r : records) {
      auto fixed = r;
      fixed.resize(size, 0);
      data = join({data, fixed});
    }
    Bytes body = hex("02f080 32 07 0000 0000 000c 0000 000112081284010000000000 ff 09 0000");
    return join({hex("03000000"), body, data});
  };
  auto module = [](std::string_view index, std::string_view order, std::string_view version) {
    auto r = join({hex(index), padded(order, 20), Bytes(3, 0), hex(version)});
    return r;
  };
  const auto id = szl("0011", 28, {module("0001", "6ES7 315-2EH14-0AB0 ", "000001"), module("0006", "6ES7 315-2EH14-0AB0 ", "000004"), module("0007", " ", "030206")});
  const auto component = szl("001c", 34, {join({hex("0001"), padded("Taro's plant", 32)}), join({hex("0005"), padded("S C-X4U421302009", 32)}), join({hex("0007"), padded("CPU 315-2 PN/DP", 32)})});
  auto s7 = parse(item("s7", {confirm, setup, id, component}, 102));
  EXPECT_EQ(s7.protocol, "s7");
  EXPECT_EQ(key(s7, "s7.module"), "6ES7 315-2EH14-0AB0");
  EXPECT_EQ(key(s7, "s7.hardware"), "0.0.4");
  EXPECT_EQ(key(s7, "s7.firmware"), "3.2.6");
  EXPECT_EQ(key(s7, "s7.serial"), "S C-X4U421302009");
  EXPECT_EQ(key(s7, "s7.module_type"), "CPU 315-2 PN/DP");
  EXPECT_EQ(to_string(s7.bytes).find("Taro"), std::string::npos) << "the site's own names";
  auto other = parse(item("s7", {hex("0300000b0680000100 0003")}, 102));
  EXPECT_EQ(other.protocol, "iso-tsap");
  EXPECT_EQ(key(other, "iso-tsap.connect"), "refused");

  // CIP Networks Library volume 2, List Identity reply.
  auto enip = parse(item("enip", {join({hex("6300 3a00 00000000 00000000 0000000000000000 00000000 0100 0c00 3400 0100 0002af12c0000201"), Bytes(8, 0),
                                        hex("0100 0e00 3600 1404 6000 78563412 0b"), to_bytes("1756-ENBT/A"), hex("03")})},
                          44818));
  EXPECT_EQ(enip.protocol, "enip");
  EXPECT_EQ(key(enip, "enip.vendor_id"), "1");
  EXPECT_EQ(key(enip, "enip.product_name"), "1756-ENBT/A");
  EXPECT_EQ(key(enip, "enip.revision"), "20.4");
  EXPECT_EQ(key(enip, "enip.serial"), "12345678");

  // IEEE 1815: link status (11) of station 4 to master 0. The CRC is the one of these eight bytes.
  auto frame = hex("0564 05 0b 0000 0400 0000");
  EXPECT_EQ(parse(item("dnp3", {frame}, 20000)).protocol, "tcp") << "a wrong checksum is not DNP3";
  for (int crc = 0; crc < 65536 && parse(item("dnp3", {frame}, 20000)).protocol != "dnp3"; ++crc) {
    frame[8] = static_cast<std::uint8_t>(crc);
    frame[9] = static_cast<std::uint8_t>(crc >> 8);
  }
  auto dnp3 = parse(item("dnp3", {frame}, 20000));
  EXPECT_EQ(key(dnp3, "dnp3.address"), "4");
  EXPECT_EQ(key(dnp3, "dnp3.function"), "11");

  EXPECT_EQ(key(parse(item("iec104", {hex("680483000000")}, 2404)), "iec104.test"), "confirmed");  // IEC 60870-5-104 figure 4
  auto slmp = parse(item("slmp", {join({hex("d000 00 ff ff03 00 1400 0000"), padded("Q03UDECPU", 16), hex("6802")})}, 5007));
  EXPECT_EQ(key(slmp, "slmp.cpu"), "Q03UDECPU");
  EXPECT_EQ(key(slmp, "slmp.cpu_code"), "0x0268");
  EXPECT_EQ(key(parse(item("slmp", {hex("d000 00 ff ff03 00 0b00 59c0 00ffff030001010000")}, 5007)), "slmp.error"), "0xc059");
  auto fox = parse(item("fox", {to_bytes("fox a 0 -1 fox hello\n{\nfox.version=s:1.0.1\nid=i:1\nhostName=s:taro-building\napp.name=s:Station\napp.version=s:3.8.111\nos.name=s:QNX\nbrandId=s:Webs\n};;\n")}, 1911));
  EXPECT_EQ(fox.protocol, "fox");
  EXPECT_EQ(key(fox, "fox.app_version"), "3.8.111");
  EXPECT_EQ(to_string(fox.bytes).find("taro"), std::string::npos);
  EXPECT_EQ(key(parse(item("opcua", {hex("41434b46 1c000000 00000000 00000100 00000100 00000000 00000000")}, 4840)), "opcua.limits"), "65536,65536,0,0");
  EXPECT_EQ(key(parse(item("opcua", {hex("45525246 14000000 00008380 ffffffff 00000000")}, 4840)), "opcua.error"), "80830000");
  auto hart = parse(item("hart-ip", {hex("0101 0000 0001 000d 01 00007530"), join({hex("0101 0300 0002 0024 06 80 00 18 0000 fe 1151 05 07 04 02 08 00 a1b2c3 05 04 0000 00 0011 0011 01"), hex("55")})}, 5094));
  EXPECT_EQ(hart.protocol, "hart-ip");
  EXPECT_EQ(key(hart, "hart.device_type"), "0x1151");
  EXPECT_EQ(key(hart, "hart.device_id"), "a1b2c3");
  EXPECT_EQ(key(hart, "hart.manufacturer_id"), "0x0011");
  Bytes srtp(56, 0);
  srtp[0] = 1;
  EXPECT_EQ(parse(item("ge-srtp", {srtp}, 18245)).protocol, "ge-srtp");
  EXPECT_EQ(parse(item("lantronix-tcp", {join({hex("000000f7"), Bytes(20, 'X')})}, 30718)).protocol, "lantronix");
  EXPECT_EQ(parse(item("s7", {to_bytes("HTTP/1.1 400 Bad Request\r\n\r\n")}, 102)).protocol, "http") << "what answers decides";
}

TEST(Socks4, OnlyTheRoundTripProvesTheRelay) {
  const auto granted = hex("005a0000 00000000"), refused = hex("005b0000 00000000");
  auto proof = [&](const Bytes& answer, std::string_view seen, std::string_view body) {
    return key(parse(item("socks4-relay", {to_bytes("secret-777"), to_bytes(seen), answer, page(body)}, 1080)), "socks4.relay");
  };
  EXPECT_EQ(proof(granted, "seen", "secret-777"), "relayed");
  EXPECT_EQ(proof(granted, "", "secret-777"), "refused");
  EXPECT_EQ(proof(granted, "seen", "other"), "refused");
  EXPECT_EQ(key(parse(item("socks4-relay", {to_bytes("s"), {}, refused}, 1080)), "socks4.answer"), "91");
  EXPECT_EQ(parse(item("socks4-relay", {to_bytes("s"), {}, hex("0500")}, 1080)).protocol, "");
}

}  // namespace
}  // namespace nora::survey
