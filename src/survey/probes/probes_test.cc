// Reply parsers against recorded answers (targets.md, exposures.md section 8.6) and against hostile ones.
#include <gtest/gtest.h>

#include <random>

#include "base/crypto.h"
#include "survey/probes/banners.h"
#include "survey/probes/http.h"
#include "survey/probes/parse.h"
#include "survey/probes/test_mutate.h"

namespace nora::survey {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
Item item(std::string probe, std::vector<Bytes> parts, std::uint16_t port = 80) {
  return {std::move(probe), "203.0.113.7", port, std::move(parts)};
}
std::string key(const Parsed& p, std::string_view name) {
  const auto* v = p.find(name);
  return v ? *v : "(none)";
}

TEST(Http, AdminPageGivesItsKeys) {
  auto p = parse(
      item("http",
           {to_bytes("HTTP/1.0 200 OK\r\nDate: Wed, 25 Nov 2026 00:00:00 GMT\r\nServer: httpd/1.06\r\nSet-Cookie: sid=12345; path=/\r\n"
                     "Content-Type: text/html\r\n\r\n<HTML><head><Title>\n ELECOM WRC-1167GST2 &#31649;&#x7406;画面 </title>"
                     "<meta name='generator' content=\"hand &amp; made\"></head><body><form><INPUT type=password name=p></form></body>")}));
  EXPECT_EQ(p.protocol, "http");
  EXPECT_EQ(key(p, "http.status"), "200");
  EXPECT_EQ(key(p, "http_header.server"), "httpd/1.06");
  EXPECT_EQ(key(p, "http_header.cookie"), "sid=") << "as recog matches cookies, without the value";
  EXPECT_EQ(key(p, "html_title"), "ELECOM WRC-1167GST2 管理画面");
  EXPECT_EQ(key(p, "http.header_order"), "date,server,set-cookie,content-type");
  EXPECT_EQ(key(p, "http.password_field"), "1");
  EXPECT_EQ(key(p, "http.form"), "1");
  EXPECT_EQ(key(p, "http.generator"), "hand & made");
  EXPECT_EQ(key(p, "http.body_shape").size(), 64u);
  auto text = to_string(p.bytes);
  EXPECT_EQ(text.find("12345"), std::string::npos) << "a cookie value must not enter the stored reply";
  EXPECT_EQ(text.find("Date:"), std::string::npos);
}

TEST(Http, SameDeviceAnotherMomentHasTheSameBytes) {
  auto at = [](std::string date, std::string nonce) {
    return parse(
        item("http", {to_bytes("HTTP/1.1 401 Unauthorized\r\nDate: " + date + "\r\nWWW-Authenticate: Digest realm=\"WJ-NV\", nonce=\"" +
                               nonce + "\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n")}));
  };
  auto a = at("Mon", "aaaa"), b = at("Tue", "bbbb");
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(key(a, "http.realm"), "WJ-NV");
  EXPECT_EQ(key(a, "http_header.wwwauth"), "Digest realm=\"WJ-NV\", nonce=\"\", qop=\"auth\"");
}

TEST(Http, ChunkedBodyIsJoined) {
  auto p = parse(
      item("http", {to_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n<title>\r\nB\r\nNAS</title> \r\n0\r\n\r\n")}));
  EXPECT_EQ(key(p, "html_title"), "NAS");
}

TEST(Http, RedirectIsFollowedOnlyOnTheSameHostAndPort) {
  auto to = [](std::string location, std::uint16_t port = 80) {
    return parse(item("http", {to_bytes("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\n\r\n")}, port)).redirect;
  };
  EXPECT_EQ(to("/login.html"), "/login.html");
  EXPECT_EQ(to("http://203.0.113.7/x"), "/x");
  EXPECT_EQ(to("http://203.0.113.7:80/x#y"), "/x");
  EXPECT_EQ(to("http://203.0.113.7/x", 8080), "");
  EXPECT_EQ(to("http://203.0.113.8/x"), "");
  EXPECT_EQ(to("http://203.0.113.7.evil.example/x"), "");
  EXPECT_EQ(to("//evil.example/x"), "");
  EXPECT_EQ(to("https://203.0.113.7/x"), "");
  EXPECT_EQ(to("/a\rb"), "");
  EXPECT_EQ(to("/reboot.cgi?now=1"), "") << "a query may be an order";
}

TEST(Http, ProxySoftwareIsOnlySuspectedUntilTheRelay) {
  auto p =
      parse(item("http", {to_bytes("HTTP/1.0 400 Bad Request\r\nServer: tinyproxy/1.11.1\r\n\r\n<title>400 Bad Request</title>")}, 8080));
  EXPECT_TRUE(p.proxy_suspect);
  EXPECT_EQ(key(p, "http.proxy"), "(none)");
  auto answer = to_bytes("HTTP/1.0 200 OK\r\nVia: 1.1 openblocks-vx2 (tinyproxy/1.11.1)\r\n\r\nsecret-777");
  EXPECT_EQ(key(parse(item("http-relay", {answer, to_bytes("secret-777"), to_bytes("seen")})), "http.proxy"), "relayed");
  EXPECT_EQ(key(parse(item("http-relay", {answer, to_bytes("secret-777"), {}})), "http.proxy"), "refused")
      << "the listener was never asked";
  EXPECT_EQ(key(parse(item("http-relay", {answer, to_bytes("secret-778"), to_bytes("seen")})), "http.proxy"), "refused")
      << "another body came back";
  auto relayed = parse(item("http-relay", {answer, to_bytes("secret-777"), to_bytes("seen")}));
  EXPECT_EQ(relayed.protocol, "http_proxy");
  EXPECT_EQ(key(relayed, "http_header.via"), "1.1 openblocks-vx2 (tinyproxy/1.11.1)");
}

TEST(Http, LiteralFuzzOfTitles) {
  EXPECT_EQ(html_title("<title>"), "");
  EXPECT_EQ(html_title("<title>&#1114112;&#55296;&#x;&bogus;&amp"), "&bogus;&amp");
  EXPECT_EQ(html_title("<title>&#0;x</title>"), "x");
  EXPECT_EQ(html_title(std::string("<title>") + std::string(100'000, 'x')).size(), 512u);
}

TEST(Telnet, BusyboxAsksForALogin) {
  auto p = parse(item("listen",
                      {hex("fffd01fffd1ffffb01fffb030d0d0a4c6f6769746563204c414e2d573330304e2f52205665722e322e32370d0a0d4c414e2d57333030"
                           "4e52206c6f67696e3a20")},
                      23));
  EXPECT_EQ(p.protocol, "telnet");
  EXPECT_EQ(key(p, "telnet_banners"), "Logitec LAN-W300N/R Ver.2.27\r\n\rLAN-W300NR login:");
  EXPECT_EQ(key(p, "telnet.prompt"), "login");
  EXPECT_EQ(key(p, "telnet.options"), "fffd01fffd1ffffb01fffb03");
}

TEST(Telnet, AShellWithoutLoginIsTold) {
  EXPECT_EQ(telnet_prompt("BusyBox v1.35 built-in shell (ash)\r\n# "), "shell");
  EXPECT_EQ(telnet_prompt("\r\nPassword: "), "password");
  EXPECT_EQ(telnet_prompt("Welcome\r\n"), "none");
  EXPECT_EQ(telnet_prompt("Your price is 5 $ or\r\nless"), "none");
  EXPECT_EQ(telnet_prompt("User Access Verification\r\n\r\nUsername: "), "login");
}

TEST(Telnet, EveryOptionIsRefusedAndNothingElseIsSent) {
  std::size_t from = 0;
  auto in = hex("fffd01 fffb03 6c6f67 fffc05 fffe06 fffa18 01 fff0 fffd");
  EXPECT_EQ(to_hex(telnet_refusals(in, from)), "fffc01fffe03");
  EXPECT_EQ(from, in.size() - 2) << "a cut command waits for its rest";
  in.push_back(0x18);
  EXPECT_EQ(to_hex(telnet_refusals(in, from)), "fffc18");
  Bytes many;
  for (int i = 0; i < 5000; ++i) many.insert(many.end(), {255, 253, 1});
  from = 0;
  EXPECT_LE(telnet_refusals(many, from).size(), 192u) << "a flood of options gets a bounded answer";
}

TEST(Ssh, DropbearNamesItsKexWithoutTheCookie) {
  auto packet = [](std::uint8_t cookie) {
    Bytes kex = {20};
    kex.insert(kex.end(), 16, cookie);
    for (std::string_view list : {"curve25519-sha256,diffie-hellman-group14-sha1", "ssh-rsa", "aes128-ctr", "aes128-ctr", "hmac-sha1",
                                  "hmac-sha1", "none", "none", "", ""}) {
      put_u32be(kex, static_cast<std::uint32_t>(list.size()));
      kex.insert(kex.end(), list.begin(), list.end());
    }
    kex.insert(kex.end(), {0, 0, 0, 0, 0});
    Bytes out = to_bytes("SSH-2.0-dropbear_2012.55\r\n");
    put_u32be(out, static_cast<std::uint32_t>(kex.size() + 1 + 6));
    out.push_back(6);
    out.insert(out.end(), kex.begin(), kex.end());
    out.insert(out.end(), 6, cookie);
    return out;
  };
  auto a = parse(item("listen", {packet(1)}, 22)), b = parse(item("listen", {packet(2)}, 22));
  EXPECT_EQ(a.protocol, "ssh");
  EXPECT_EQ(key(a, "ssh.banner"), "dropbear_2012.55");
  EXPECT_EQ(key(a, "ssh.version"), "2.0");
  EXPECT_EQ(key(a, "ssh.kex"), "curve25519-sha256,diffie-hellman-group14-sha1");
  EXPECT_EQ(key(a, "ssh.hostkey_types"), "ssh-rsa");
  EXPECT_EQ(a.bytes, b.bytes);

  // With the host key behind it: the key is kept, the signature (different each time) is not.
  auto with_key = [&](std::uint8_t signature, std::size_t cut) {
    Bytes reply = {31};
    put_u32be(reply, 51);
    reply.insert(reply.end(), 51, 0x4b);
    put_u32be(reply, 32);
    reply.insert(reply.end(), 32 + 4 + 83, signature);
    Bytes out = packet(1);
    put_u32be(out, static_cast<std::uint32_t>(reply.size() + 1 + 4));
    out.push_back(4);
    out.insert(out.end(), reply.begin(), reply.end());
    out.insert(out.end(), 4, 0);
    out.resize(out.size() - cut);
    return parse(item("listen", {out}, 22));
  };
  EXPECT_EQ(key(with_key(1, 0), "ssh.hostkey_sha256"), to_hex(sha256(Bytes(51, 0x4b))));
  EXPECT_EQ(with_key(1, 0).bytes, with_key(2, 0).bytes);
  EXPECT_NE(with_key(1, 0).bytes, a.bytes);
  EXPECT_EQ(key(with_key(1, 180), "ssh.hostkey_sha256"), "(none)") << "half a key is no key";
}

TEST(Ftp, BannerWithoutCode) {
  auto p = parse(item("listen", {to_bytes("220 Buffalo LinkStation LS220D FTP\r\n")}, 21));
  EXPECT_EQ(p.protocol, "ftp");
  EXPECT_EQ(key(p, "ftp.banner"), "Buffalo LinkStation LS220D FTP");
  EXPECT_EQ(key(p, "ftp.code"), "220");
  auto multi = parse(item("listen", {to_bytes("220-Welcome\r\n220 ready\r\n")}, 21));
  EXPECT_EQ(key(multi, "ftp.banner"), "Welcome\r\nready");
  EXPECT_EQ(parse(item("listen", {to_bytes("220 mx.example ESMTP Postfix\r\n")}, 25)).protocol, "smtp");
}

TEST(Rfb, NoAuthenticationIsSecurityTypeOne) {
  auto bytes = to_bytes("RFB 003.008\n");
  bytes.insert(bytes.end(), {1, 1});
  auto p = parse(item("listen", {bytes}, 5900));
  EXPECT_EQ(p.protocol, "rfb");
  EXPECT_EQ(key(p, "rfb.version"), "003.008");
  EXPECT_EQ(key(p, "rfb.security_types"), "1");
  auto old = to_bytes("RFB 003.003\n");
  old.insert(old.end(), {0, 0, 0, 2});
  EXPECT_EQ(key(parse(item("listen", {old}, 5900)), "rfb.security_types"), "2");
}

TEST(Small, RecordedProofs) {
  EXPECT_EQ(key(parse(item("mqtt", {hex("20020000")}, 1883)), "mqtt.connack"), "0");
  EXPECT_EQ(key(parse(item("mqtt", {hex("20020005")}, 1883)), "mqtt.connack"), "5");
  EXPECT_EQ(key(parse(item("socks5", {hex("0500")}, 1080)), "socks5.method"), "00");
  EXPECT_EQ(key(parse(item("socks5", {hex("05ff")}, 1080)), "socks5.method"), "ff");
  auto refused = parse(item("modbus", {hex("000100000003 01 ab01")}, 502));
  EXPECT_EQ(refused.protocol, "modbus");
  EXPECT_EQ(key(refused, "modbus.exception"), "01");
  Bytes id = hex("0001000000 00 01 2b 0e 01 01 00 00 03");
  for (int i = 0; i < 3; ++i) {
    std::string_view text = i == 0 ? "MITSUBISHI ELECTRIC" : i == 1 ? "FX5U-32M" : "1.280";
    id.push_back(static_cast<std::uint8_t>(i));
    id.push_back(static_cast<std::uint8_t>(text.size()));
    id.insert(id.end(), text.begin(), text.end());
  }
  id[5] = static_cast<std::uint8_t>(id.size() - 6);
  EXPECT_EQ(key(parse(item("modbus", {id}, 502)), "modbus.device_id"), "MITSUBISHI ELECTRIC|FX5U-32M|1.280");
  EXPECT_EQ(parse(item("mqtt", {to_bytes("SSH-2.0-x\r\n")}, 1883)).protocol, "ssh") << "what answers decides, not what was asked";
}

TEST(Rtsp, DescribeWithoutPasswordIsTold) {
  auto options = to_bytes("RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\nServer: GStreamer RTSP server\r\nDate: x\r\n\r\n");
  auto missing = to_bytes("RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n");
  auto open = to_bytes(
      "RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=- 123 1 IN IP4 0.0.0.0\r\ns=Session streamed with "
      "GStreamer\r\n");
  auto p = parse(item("rtsp", {options, missing, open}, 554));
  EXPECT_EQ(p.protocol, "rtsp");
  EXPECT_EQ(key(p, "rtsp_header.server"), "GStreamer RTSP server");
  EXPECT_EQ(key(p, "rtsp.describe_status"), "200");
  EXPECT_EQ(key(p, "rtsp.sdp_name"), "Session streamed with GStreamer");
  auto closed =
      parse(item("rtsp", {options, to_bytes("RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\r\n"), missing}, 554));
  EXPECT_EQ(key(closed, "rtsp.describe_status"), "401");
  EXPECT_EQ(key(closed, "rtsp.wwwauth"), "Basic realm=\"cam\"");
}

TEST(Ipp, AttributesOfThePrinter) {
  Bytes body = hex("0200 0000 00000001 01 47 0012 617474726962757465732d63686172736574 0005 7574662d38 04");
  auto attribute = [&](std::string_view name, std::string_view value) {
    body.push_back(0x41);
    put_u16be(body, static_cast<std::uint16_t>(name.size()));
    body.insert(body.end(), name.begin(), name.end());
    put_u16be(body, static_cast<std::uint16_t>(value.size()));
    body.insert(body.end(), value.begin(), value.end());
  };
  attribute("printer-make-and-model", "Canon LBP6040");
  attribute("printer-info", "Canon LBP6040");
  body.push_back(3);
  auto answer = to_bytes("HTTP/1.1 200 OK\r\nServer: CUPS/2.4 IPP/2.1\r\nContent-Type: application/ipp\r\n\r\n");
  answer.insert(answer.end(), body.begin(), body.end());
  auto p = parse(item("ipp", {answer}, 631));
  EXPECT_EQ(p.protocol, "ipp");
  EXPECT_EQ(key(p, "ipp.make_and_model"), "Canon LBP6040");
  EXPECT_EQ(key(p, "http_header.server"), "CUPS/2.4 IPP/2.1");
}

TEST(Upnp, DescriptionOfTheRootDevice) {
  auto p = parse(item(
      "upnp",
      {to_bytes("HTTP/1.1 200 OK\r\nServer: Debian/6 UPnP/1.1 MiniUPnPd/2.3.1\r\n\r\n<?xml version=\"1.0\"?><root><device>"
                "<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>Aterm WG1200HP4</friendlyName>"
                "<manufacturer>NEC Platforms, Ltd.</manufacturer><modelName>Aterm WG1200HP4</modelName><modelNumber>1.5.1</modelNumber>"
                "<deviceList><device><manufacturer>other</manufacturer></device></deviceList></device></root>")},
      5000));
  EXPECT_EQ(p.protocol, "upnp");
  EXPECT_EQ(key(p, "upnp.manufacturer"), "NEC Platforms, Ltd.");
  EXPECT_EQ(key(p, "upnp.model_number"), "1.5.1");
}

TEST(Dns, OpenResolverRefusalAndReferral) {
  // question: abcdefgh.nora.example A
  std::string q = "086162636465666768046e6f7261076578616d706c65000001 0001";
  auto open = parse(item("dns-recursion", {hex("1234 8180 0001 0001 0000 0000 " + q + " c00c 0001 0001 0000003c 0004 c0000201")}, 53));
  EXPECT_EQ(open.protocol, "dns");
  EXPECT_EQ(key(open, "dns.recursion"), "open");
  EXPECT_EQ(key(open, "dns.answer"), "192.0.2.1");
  EXPECT_EQ(key(parse(item("dns-recursion", {hex("1234 8185 0001 0000 0000 0000 " + q)}, 53)), "dns.recursion"), "refused");
  EXPECT_EQ(key(parse(item("dns-recursion", {hex("1234 8100 0001 0000 0001 0000 " + q + " 00 0002 0001 0000003c 0002 0161")}, 53)),
                "dns.recursion"),
            "referral");
  EXPECT_EQ(
      key(parse(item("dns-recursion", {hex("1234 8180 0001 0001 0000 0000 " + q + " 03666f6f00 0001 0001 0000003c 0004 c0000201")}, 53)),
          "dns.recursion"),
      "other")
      << "an address for another name is a fake";
  auto version = parse(item(
      "dns-version",
      {hex(
          "1234 8580 0001 0001 0000 0000 0776657273696f6e0462696e6400 0010 0003 c00c 0010 0003 00000000 000d 0c 646e736d6173712d322e3930")},
      53));
  EXPECT_EQ(key(version, "dns.version_bind"), "dnsmasq-2.90");
  EXPECT_EQ(parse(item("dns-recursion", {hex("1234 8180 0001 0001 0000 0000 c00c 0001 0001")}, 53)).protocol, "dns")
      << "a name that points at itself ends";
}

TEST(Ntp, OnlyWhatNamesTheProductIsKept) {
  std::string text =
      "version=\"ntpd ntpsec-1.2.2\", processor=\"x86_64\", system=\"Linux/6.1\", leap=3, stratum=16, rootdelay=0.123, clock=0xec.1";
  Bytes bytes = hex("d682 0001 c016 0000 0000");
  put_u16be(bytes, static_cast<std::uint16_t>(text.size()));
  bytes.insert(bytes.end(), text.begin(), text.end());
  auto p = parse(item("ntp-readvar", {bytes}, 123));
  EXPECT_EQ(p.protocol, "ntp");
  EXPECT_EQ(key(p, "ntp.readvar"), "version=\"ntpd ntpsec-1.2.2\", processor=\"x86_64\", system=\"Linux/6.1\", stratum=16");
  EXPECT_EQ(key(p, "ntp.mode6"), "answered");
  EXPECT_EQ(parse(item("ntp-readvar", {hex("1602000100000000000000000000")}, 123)).protocol, "") << "our own request back is no answer";
}

TEST(Snmp, EngineIdNamesTheMaker) {
  // Report of a v3 agent: engine id 8000049e0300005e005323
  auto p = parse(item(
      "snmpv3-engine",
      {hex("304d 020103 3011 0204 4a690001 020300ffe3 040100 020103 041c 301a 040b 8000049e0300005e005323 020105 0202 0539 0400 0400 0400"
           "3017 040b 8000049e0300005e005323 0400 a806 020100 020100")},
      161));
  EXPECT_EQ(p.protocol, "snmpv3");
  EXPECT_EQ(key(p, "snmpv3.engine_id"), "8000049e0300005e005323");
  EXPECT_EQ(key(p, "snmpv3.enterprise"), "1182");
  EXPECT_EQ(key(p, "snmpv3.mac"), "00005e005323");
}

TEST(Ssdp, LocationOnlyOnTheSameHost) {
  auto with = [](std::string location) {
    return parse(item("ssdp",
                      {to_bytes("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: " + location +
                                "\r\nSERVER: Debian/6 UPnP/1.1 MiniUPnPd/2.3.1\r\nDATE: x\r\n\r\n")},
                      1900));
  };
  auto p = with("http://203.0.113.7:5000/rootDesc.xml");
  EXPECT_EQ(p.protocol, "ssdp");
  EXPECT_EQ(p.location_port, 5000);
  EXPECT_EQ(p.location_path, "/rootDesc.xml");
  EXPECT_EQ(key(p, "ssdp.server"), "Debian/6 UPnP/1.1 MiniUPnPd/2.3.1");
  for (auto other : {"http://203.0.113.8:5000/x", "http://203.0.113.77:5000/x", "http://203.0.113.7@evil/x", "http://203.0.113.7:0/x",
                     "http://203.0.113.7:99999/x", "https://203.0.113.7:5000/x", "http://203.0.113.7:5000/x y"})
    EXPECT_EQ(with(other).location_port, 0) << other;
}

TEST(Coap, LinkFormat) {
  auto p = parse(item("coap-core", {hex("6045 1234 c128 ff 3c2f3e3b63743d30")}, 5683));
  EXPECT_EQ(p.protocol, "coap");
  EXPECT_EQ(key(p, "coap.code"), "2.05");
  EXPECT_EQ(key(p, "coap.core"), "</>;ct=0");
}

TEST(NatPmp, ExternalAddress) {
  EXPECT_EQ(key(parse(item("natpmp", {hex("0080 0000 0000000a 64fffffd")}, 5351)), "natpmp.external"), "100.255.255.253");
}

TEST(Https, CertificateAndPage) {
  // openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 3650 -subj '/C=JP/O=Example/CN=x' -addext
  // subjectAltName=DNS:x.example
  auto der = hex(
      "308201c030820167a0030201020214361ebfbc6718762be412a129762fe1f70992e205300a06082a8648ce3d040302302b310b3009060355040613024a50311030"
      "0e060355040a0c074578616d706c65310a300806035504030c0178301e170d3236313132353138303433325a170d3336313132323138303433325a302b310b3009"
      "060355040613024a503110300e060355040a0c074578616d706c65310a300806035504030c01783059301306072a8648ce3d020106082a8648ce3d030107034200"
      "048abce7baf5fbce9f2da9f6fe545bd106dd7420415402d8f4f60ebf520d396d308bf72fbe191644487b54f3f982c7cf505cac0c6adc85f7596cdb665d0865ccf6"
      "a3693067301d0603551d0e04160414350415f6d99ff9706c1f71a0dce21a3b990d93fa301f0603551d23041830168014350415f6d99ff9706c1f71a0dce21a3b99"
      "0d93fa300f0603551d130101ff040530030101ff30140603551d11040d300b8209782e6578616d706c65300a06082a8648ce3d0403020347003044022030f2f7d7"
      "da27058c3727d95a5335acae21d6253f6b800124d4f18db5d0905e65022046509d3127d13698285be310ffe6fe8be86ace0f66947c115ef3eef12436b7f4");
  auto p = parse(
      item("https", {der, to_bytes("HTTP/1.1 200 OK\r\nServer: LANDISK/1.13\r\n\r\n<title>LAN DISK</title>"), to_bytes("TLSv1.3")}, 443));
  EXPECT_EQ(p.protocol, "https");
  EXPECT_EQ(key(p, "x509.subject"), "CN=x,O=Example,C=JP");
  EXPECT_EQ(key(p, "x509.issuer"), "CN=x,O=Example,C=JP");
  EXPECT_EQ(key(p, "x509.subject_cn"), "x");
  EXPECT_EQ(key(p, "x509.san"), "x.example");
  EXPECT_EQ(key(p, "x509.self_signed"), "1");
  EXPECT_EQ(key(p, "x509.shape"), "C,O,CN|C,O,CN|ec256|3650|1");
  EXPECT_EQ(key(p, "html_title"), "LAN DISK");
  EXPECT_EQ(key(p, "tls.version"), "TLSv1.3");
  auto no_page = parse(item("https", {der, {}, {}}, 443));
  EXPECT_EQ(no_page.protocol, "tls");
  auto not_a_certificate = parse(item("https", {hex("3000"), to_bytes("HTTP/1.1 200 OK\r\n\r\n")}, 443));
  EXPECT_EQ(not_a_certificate.protocol, "https");
  EXPECT_EQ(key(not_a_certificate, "x509.subject"), "(none)");
}

TEST(Recognise, ByTheBytesAlone) {
  EXPECT_EQ(recognise(to_bytes("SSH-2.0-x")), "ssh");
  EXPECT_EQ(recognise(to_bytes("HTTP/1.0 200")), "http");
  EXPECT_EQ(recognise(to_bytes("RTSP/1.0 400")), "rtsp");
  EXPECT_EQ(recognise(hex("15030100020246")), "tls");
  EXPECT_EQ(recognise(hex("fffd01")), "telnet");
  EXPECT_EQ(recognise(to_bytes("\r\n** ctl console **\r\nctl login: ")), "telnet");
  EXPECT_EQ(recognise({}), "");
  EXPECT_EQ(parse(item("listen", {{}}, 53)).protocol, "tcp");
}

// Every parser is total: random bytes, and recorded replies with random changes, give a bounded result and no crash.
TEST(Hostile, MutatedRepliesStayBounded) {
  std::mt19937 random(7);
  std::vector<Bytes> seeds = {hex("fffd01fffd1f0d0a6c6f67696e3a20"),
                              to_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<titl\r\n0\r\n"),
                              hex("12348180000100010000000001 61 c00c 0001 0001 c00c 0001 0001 0000003c 0004 c0000201"),
                              hex("30520201033011020400000001020300ffe30401000201030421301f040b8000049e0300005e005323"),
                              hex("60451234c128ff3c2f3e"),
                              hex("000100000003 01 2b0e01010000ff"),
                              to_bytes("RTSP/1.0 200 OK\r\nServer: x\r\n\r\n"),
                              to_bytes("RFB 003.008\n\xff")};
  const char* probes[] = {"listen",      "http",          "https",  "rtsp",      "mqtt",          "socks5",
                          "http-relay",  "ipp",           "modbus", "upnp",      "dns-recursion", "dns-version",
                          "ntp-readvar", "snmpv3-engine", "ssdp",   "coap-core", "natpmp"};
  for (int i = 0; i < 40'000; ++i) {
    auto bytes = mutated(seeds[random() % seeds.size()], random);
    auto p = parse(item(probes[random() % std::size(probes)], {bytes, bytes}, 80));
    ASSERT_LE(p.keys.size(), max_keys);
    ASSERT_LE(p.bytes.size(), max_item_bytes);
  }
}

TEST(Http, BodyTextIsWhatAReaderSees) {
  EXPECT_EQ(body_text("<html><head><title>T</title><style>b{}</style><script>var a='<b>x';</script></head><body><h1>ELECOM</h1><!-- no "
                      "--><p>Firmware&nbsp;1.06\r\n  unit 7</p>"),
            "ELECOM Firmware 1.06 unit 7");
  EXPECT_EQ(body_text("<script>never closed"), "");
  EXPECT_EQ(body_text("a<b"), "a");
  EXPECT_EQ(body_text(""), "");
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "管";
  const auto cut = body_text(many);
  EXPECT_LE(cut.size(), max_text_bytes);
  EXPECT_EQ(cut.size() % 3, 0u) << "cut between characters";
  body_text(std::string(64 * 1024, '<'));
}

}  // namespace
}  // namespace nora::survey
