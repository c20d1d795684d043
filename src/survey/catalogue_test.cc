// The request bytes of the shipped catalogue, byte for byte: a change here is a change of what goes out into the world.
#include "survey/catalogue.h"

#include <gtest/gtest.h>

#include <set>

#include "base/files.h"
#include "survey/forbidden.h"

namespace nora::survey {
namespace {

Catalogue shipped() { return *Catalogue::parse(*read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv")); }
Token token() {
  Token t;
  for (std::size_t i = 0; i < t.bytes.size(); ++i) t.bytes[i] = static_cast<std::uint8_t>(i + 1);
  return t;
}
std::string request(std::string_view id) {
  auto catalogue = shipped();
  return to_hex(catalogue.find(id)->render(token(), *Ip::parse("203.0.113.7"), *Ip::parse("192.0.2.10")));
}

// Each line is written from the protocol's own document, field by field, with the token above; not from the catalogue.
struct Golden {
  std::string_view id, bytes;
};
constexpr Golden golden[] = {
    // RFC 1035 section 4.1: id, RD, one question, name, type A, class IN
    {"dns-recursion", "0102 0100 0001 0000 0000 0000 08 7071727374757677 04 6e6f7261 07 6578616d706c65 00 0001 0001"},
    {"dns-version", "0102 0100 0001 0000 0000 0000 07 76657273696f6e 04 62696e64 00 0010 0003"},
    // RFC 9327: LI 0, version 2, mode 6; opcode 2; sequence; status, association, offset, count
    {"ntp-readvar", "16 02 0102 0000 0000 0000 0000"},
    // ntp_request.h: version 2, mode 7; sequence 0; implementation 3; request 42; no items
    {"ntp-monlist", "17 00 03 2a 0000 0000"},
    {"snmpv3-engine",
     "303c 020103 3011 0204 43040506 020300ffe3 040104 020103 0410 300e 0400 020100 020100 0400 0400 0400 3012 0400 0400 a00c 020237f0 "
     "020100 020100 3000"},
    // RFC 3416: version 1 (v2c), community, GetRequest, request id, errors, sysDescr.0 NULL
    {"snmp-public", "3029 020101 0406 7075626c6963 a01c 0204 43040506 020100 020100 300e 300c 0608 2b06010201010100 0500"},
    // RFC 7252: version 1, confirmable, no token; GET; message id; two Uri-Path options
    {"coap-core", "40 01 0102 bb 2e77656c6c2d6b6e6f776e 04 636f7265"},
    {"coap-ping", "40 00 0102"},
    {"natpmp", "00 00"},
    {"chargen", "0a"},
    {"qotd", "0a"},
    {"echo", "43040506"},
    {"daytime", "191a1b1c"},
    {"time", "191a1b1c"},
    {"users", "191a1b1c"},
    // doc/protocol.txt: request id, sequence 0, one datagram, reserved; "version\r\n"
    {"memcached", "0102 0000 0001 0000 76657273696f6e 0d0a"},
    // RFC 1002: id, query, one question; "*" and 15 NULs encoded; NBSTAT, IN
    {"netbios-status", "0102 0000 0001 0000 0000 0000 20 434b 4141 41414141 41414141 41414141 41414141 41414141 41414141 41414141 00 0021 0001"},
    // RFC 4511: message id; SearchRequest "", baseObject, never, 0, 0, false, present objectclass, no attributes
    {"cldap", "3028 0204 43040506 6320 0400 0a0100 0a0100 020100 020100 010100 870b 6f626a656374636c617373 3000"},
    // RFC 5531: xid, CALL, RPC 2, program, version 2, procedure, AUTH_NONE twice
    {"portmap-null", "43040506 00000000 00000002 000186a0 00000002 00000000 00000000 00000000 00000000 00000000"},
    {"portmap-dump", "43040506 00000000 00000002 000186a0 00000002 00000004 00000000 00000000 00000000 00000000"},
    {"wdb", "43040506 00000000 00000002 55555555 00000001 00000000 00000000 00000000 00000000 00000000"},
    // RFC 1350: RRQ, name, octet
    {"tftp", "0001 6e6f72612d 7071727374757677 00 6f63746574 00"},
    {"mdns", "0102 0000 0001 0000 0000 0000 09 5f7365727669636573 07 5f646e732d7364 04 5f756470 05 6c6f63616c 00 000c 0001"},
    {"ard", "00140000"},
    // RFC 2608: version 2, function 9, length 29, flags, extension, xid, language; no previous responders, all naming authorities, scope
    {"slp", "02 09 00001d 0000 000000 0102 0002 656e 0000 ffff 0007 64656661756c74"},
    {"ubiquiti", "01 00 0000"},
    {"xdmcp", "0001 0002 0001 00"},
    {"mssql-browser", "03"},
    {"jenkins", "0a"},
    // RFC 8489: Binding request, length 0, magic cookie, 96-bit transaction id
    {"stun", "0001 0000 2112a442 43040506 0708090a0b0c0d0e"},
    // IPMI 2.0: RMCP 06 00 ff 07; no authentication, sequence, session, length 9; BMC, App request, checksum, console, command 38, channel e,
    // administrator, checksum
    {"ipmi", "0600ff07 00 00000000 00000000 09 20 18 c8 81 00 38 8e 04 b5"},
    // RFC 2661: control, length 56, tunnel 0, session 0; SCCRQ; protocol 1.0; framing; host name; assigned tunnel id
    {"l2tp",
     "c802 0038 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000003 800a 0000 0007 6e6f7261 8008 0000 0009 "
     "4102"},
    // RFC 2408: cookies; SA, version 1.0, identity protection; length 72; SA: IPsec DOI; one proposal; one transform: 3DES, SHA-1, PSK, group 2
    {"ike",
     "0708090a0b0c0d0e 0000000000000000 01 10 02 00 00000000 00000048 00 00 002c 00000001 00000001 00 00 0020 01 01 00 01 00 00 0018 01 01 0000 "
     "8001 0005 8002 0002 8003 0001 8004 0002"},
    // opcode 7, key id 0; session id; no acknowledgements; packet id 0
    {"openvpn", "38 0708090a0b0c0d0e 00 00000000"},
    // RFC 1058: request, version 1; family 0, metric 16: 24 bytes
    {"rip", "01 01 0000 0000 0000 00000000 00000000 00000000 00000010"},
    // [MS-RDPEUDP]: source ack -1, window 64, SYN; initial sequence number, MTUs 1232
    {"rdpeudp", "ffffffff 0040 0001 43040506 04d0 04d0"},
    // 3GPP TS 29.060: version 1, protocol type GTP, S; Echo Request, length 4, TEID 0, sequence, N-PDU, next extension
    {"gtp-echo", "32 01 0004 00000000 0102 00 00"},
    // RX: epoch, connection, call, sequence, serial 1, type 13, flags client + last, status, security, checksum, service
    {"afs-rx", "00000000 00000000 43040506 00000000 00000001 0d 05 00 00 0000 0000"},
    // RFC 6347: record, epoch 0; ClientHello, message 0, one fragment; DTLS 1.2, random, no session, no cookie; suites, compression, groups,
    // point formats, signature algorithms
    {"dtls",
     "16 feff 0000 000000000000 0070 01 000064 0000 000000 000064 fefd 1112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30 00 00 "
     "0010 c02b c02f c02c c030 009c c0a8 c0ae 002f 01 00"},
    {"a2s", "ffffffff 54 536f7572636520456e67696e6520517565727900"},
    {"quake3", "ffffffff 676574696e666f20 30373038303930613062306330643065"},
    {"teamspeak3", "545333494e495431 0065 0000 88 063bece9 00 191a1b1c 292a2b2c 0000000000000000"},
    {"kad", "e4 60"},
    // BEP 5 ping with BEP 43 "ro", keys in order
    {"bittorrent-dht",
     "64 313a61 64 323a6964 32303a 191a1b1c1d1e1f20 191a1b1c1d1e1f20 191a1b1c 65 313a71 343a70696e67 323a726f 693165 313a74 343a 43040506 313a79 "
     "313a71 65"},
    // ASHRAE 135: BVLC Original-Unicast, length 17; NPDU expecting reply; confirmed request, 1476 bytes, invoke id, ReadProperty; device
    // 4194303; property 121 vendor-name, 70 model-name
    {"bacnet-vendor", "81 0a 0011 01 04 00 05 01 0c 0c 023fffff 19 79"},
    {"bacnet-model", "81 0a 0011 01 04 00 05 02 0c 0c 023fffff 19 46"},
    // W342: ICF 80, RSV, GCT 2, DNA DA1 DA2, SNA SA1 SA2, SID, command 05 01, all of it
    {"fins", "80 00 02 00 00 00 00 63 00 2d 05 01 00"},
    // 3E frame: subheader, network, PC, I/O 03ff, station, length 6, timer, command 0101, sub-command 0
    {"slmp-udp", "5000 00 ff ff03 00 0600 1000 0101 0000"},
    {"enip-udp", "6300 0000 00000000 00000000 0708090a0b0c0d0e 00000000"},
    // 03.08.02: header 06 10, service 0203, length 14; HPAI of 8 bytes, UDP, route back
    {"knx", "06 10 0203 000e 08 01 00000000 0000"},
    {"moxa", "01 00 0008 00000000"},
    {"lantronix", "000000f6"},
};
constexpr Golden golden_text[] = {
    {"ssdp", "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n"},
    {"sip",
     "OPTIONS sip:nora@203.0.113.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK0708090a0b0c0d0e;rport\r\nMax-Forwards: 70\r\n"
     "From: <sip:nora@192.0.2.10>;tag=pqrstuvw\r\nTo: <sip:nora@203.0.113.7>\r\nCall-ID: 0708090a0b0c0d0e\r\nCSeq: 1 OPTIONS\r\n"
     "Content-Length: 0\r\n\r\n"},
    {"plex", "M-SEARCH * HTTP/1.0\r\n\r\n"},
    {"wsd",
     "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" "
     "xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" "
     "xmlns:wsdp=\"http://schemas.xmlsoap.org/ws/2006/02/devprof\"><soap:Header><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe"
     "</wsa:Action><wsa:MessageID>urn:uuid:191a1b1c-1d1e-4f20-a122-232425262728</wsa:MessageID>"
     "<wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To></soap:Header><soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body>"
     "</soap:Envelope>"},
    {"wsd-onvif",
     "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" "
     "xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" "
     "xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><soap:Header><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe"
     "</wsa:Action><wsa:MessageID>urn:uuid:191a1b1c-1d1e-4f20-a122-232425262728</wsa:MessageID>"
     "<wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To></soap:Header><soap:Body><wsd:Probe><wsd:Types>dn:NetworkVideoTransmitter</wsd:Types>"
     "</wsd:Probe></soap:Body></soap:Envelope>"},
};

TEST(Catalogue, GoldenRequests) {
  std::set<std::string_view> held;
  for (const auto& g : golden) {
    held.insert(g.id);
    auto want = to_hex(*from_hex(g.bytes));
    auto got = request(g.id);
    if (g.id == "dtls") got.resize(want.size());  // the extensions: below
    EXPECT_EQ(got, want) << g.id;
  }
  for (const auto& g : golden_text) {
    held.insert(g.id);
    EXPECT_EQ(to_string(*from_hex(request(g.id))), g.bytes) << g.id;
  }
  // RFC 8422 sections 5.1.1 and 5.1.2 and RFC 8446 section 4.2.3: groups, point formats, signature algorithms
  EXPECT_TRUE(request("dtls").ends_with("0100002a000a00080006001d00170018000b00020100000d00140012040305030603080408050806040105010601"))
      << request("dtls");
  // RFC 9000 section 17.2: long header, version 1a2a3a4a, both connection ids, no token; zeros up to 1,200 bytes
  held.insert("quic");
  EXPECT_EQ(request("quic"), "c01a2a3a4a080708090a0b0c0d0e044304050600" + std::string((1200 - 20) * 2, '0'));
  // The length fields of the DHIP head are those of the JSON.
  held.insert("dhdiscover");
  const std::string json = "{\"method\":\"DHDiscover.search\",\"params\":{\"mac\":\"\",\"uni\":1}}\n";
  auto length = to_hex(Bytes{static_cast<std::uint8_t>(json.size()), 0, 0, 0});
  EXPECT_EQ(request("dhdiscover"), "20000000444849500000000000000000" + length + "00000000" + length + "00000000" + to_hex(as_bytes(json)));
  const auto catalogue = shipped();
  for (const auto& r : catalogue.all()) EXPECT_EQ(r.raw, held.contains(r.id)) << r.id << ": every request has its golden bytes";
}

TEST(Catalogue, AnIPv6AddressStandsInBracketsInAUri) {
  auto text = to_string(shipped().find("sip")->render(token(), *Ip::parse("2001:db8::7"), *Ip::parse("2001:db8::10")));
  EXPECT_TRUE(text.starts_with("OPTIONS sip:nora@[2001:db8::7] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::10]:5060;")) << text;
}

TEST(Catalogue, OnlyAMarkedRequestHoldsACredential) {
  const auto catalogue = shipped();
  for (const auto& r : catalogue.all()) {
    auto bytes = r.render(token(), *Ip::parse("203.0.113.7"), *Ip::parse("192.0.2.10"));
    EXPECT_EQ(holds_credential_word(bytes), r.credential) << r.id;
    EXPECT_FALSE(forbidden(bytes, r.ports)) << r.id;
  }
  EXPECT_TRUE(catalogue.find("snmp-public")->credential);
}

// Class PX: there is no such class, and no such bytes, whatever the row says.
TEST(Catalogue, WhatMayNeverBeSentIsNotRead) {
  auto what = [](std::string_view ports, std::string_view request, std::string_view marks = "") {
    auto row = "x\tudp\t" + std::string(ports) + "\tP1\t0\t" + std::string(request) + "\td" + (marks.empty() ? "" : "\t" + std::string(marks)) + "\n";
    auto r = Catalogue::parse(row);
    return r ? std::string("accepted") : r.error().what;
  };
  EXPECT_EQ(what("30718", "000000f6"), "accepted");
  EXPECT_EQ(what("30718", "000000f8"), "catalogue line 1: the request is the Lantronix query whose answer holds the password, which Nora never sends");
  for (auto [ports, request] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"1", "000000f8"},           {"1", "aa 000000f8 bb"},     {"1", "0000 \"\\0\" f8"},    {"30718", "00000003 3351"},
           {"30718", "000000fa"},       {"30718", "000000fc"},       {"30718", "000000fd"},       {"21", "\"USER \"{text8}"},
           {"21", "\"user x\""},        {"21", "\"PASS x\""},        {"80", "\"Authorization: Basic \""}, {"80", "\"proxy-authorization:\""},
           {"1900", "\"SUBSCRIBE / HTTP/1.1\""}, {"1900", "\"<u:AddPortMapping>\""}, {"554", "\"SETUP rtsp://\"{ip}"}, {"554", "\"PLAY rtsp://\""},
           {"5060", "\"INVITE sip:\""}, {"5060", "\"REGISTER sip:\""}, {"11211", "\"stats\\r\\n\""}, {"11211", "\"flush_all\""},
           {"1900", "\"ST: ssdp:all\""}, {"53", "{txid2}01000001000000000000 00 00ff 0001"}, {"69", "0002 \"x\""}, {"5351", "0001 0000"},
           {"5351", "0002 0000"},       {"9100", "1b \"%-12345X@PJL\""}, {"1", "\"pass\" 57 6f7264"}})
    EXPECT_NE(what(ports, request).find("which Nora never sends"), std::string::npos) << request << ": " << what(ports, request);
  EXPECT_NE(what("161", "\"public\"").find("mark it"), std::string::npos);
  EXPECT_EQ(what("161", "\"public\"", "credential"), "accepted") << "and law permits no such probe";
}

// A capture's bytes are told to be a request of the catalogue, or not.
TEST(Catalogue, RequestsAreRecognised) {
  const auto catalogue = shipped();
  const auto target = *Ip::parse("203.0.113.7"), own = *Ip::parse("192.0.2.10");
  Token other;
  for (std::size_t i = 0; i < other.bytes.size(); ++i) other.bytes[i] = static_cast<std::uint8_t>(200 - 3 * i);
  for (const auto& r : catalogue.all()) {
    if (!r.raw) continue;
    for (const auto& t : {token(), other, Token{}}) {
      auto bytes = r.render(t, target, own);
      EXPECT_TRUE(r.matches(bytes, target, own)) << r.id;
      auto longer = bytes;
      longer.push_back(0);
      EXPECT_FALSE(r.matches(longer, target, own)) << r.id;
      EXPECT_FALSE(r.matches(ByteView(bytes).first(bytes.size() - 1), target, own)) << r.id;
    }
    // A changed literal byte is another request.
    auto bytes = r.render(token(), target, own);
    if (r.pieces.front().kind == Request::Piece::Kind::literal) {
      bytes[0] ^= 0x20;
      EXPECT_FALSE(r.matches(bytes, target, own)) << r.id;
    }
  }
  EXPECT_FALSE(catalogue.find("sip")->matches(catalogue.find("sip")->render(token(), target, own), own, target)) << "of another target";
  EXPECT_FALSE(catalogue.find("http")->matches({}, target, own));
}

TEST(Catalogue, TokenMustComeBack) {
  auto catalogue = shipped();
  const auto* dns = catalogue.find("dns-version");
  EXPECT_TRUE(dns->echoes(*from_hex("0102818000"), token()));
  EXPECT_FALSE(dns->echoes(*from_hex("0103818000"), token()));
  EXPECT_FALSE(dns->echoes({}, token()));
  const auto* snmp = catalogue.find("snmpv3-engine");
  EXPECT_TRUE(snmp->echoes(*from_hex("3000020443040506"), token()));
  EXPECT_FALSE(snmp->echoes(*from_hex("3000020443040507"), token()));
  EXPECT_FALSE(catalogue.find("ssdp")->has_token());
  EXPECT_TRUE(catalogue.find("ssdp")->any_port);
  EXPECT_TRUE(catalogue.find("ssdp")->echoes(to_bytes("HTTP/1.1 200 OK"), token()));
  EXPECT_FALSE(catalogue.find("ssdp")->echoes(to_bytes("HTTP/1.1 404 no"), token())) << "it does not begin as told";
  EXPECT_TRUE(catalogue.find("fins")->echoes(*from_hex("c00002006300000000 2d0501"), token()));
  EXPECT_FALSE(catalogue.find("fins")->echoes(*from_hex("c00002006300000000 2e0501"), token()));
  EXPECT_TRUE(catalogue.find("l2tp")->echoes(*from_hex("c8020014 4102 0000"), token()));
  EXPECT_FALSE(catalogue.find("l2tp")->echoes(*from_hex("c8020014 4103 0000"), token()));
  EXPECT_TRUE(catalogue.find("sip")->echoes(to_bytes("SIP/2.0 200 OK\r\nVia: x;branch=z9hG4bK0708090a0b0c0d0e"), token()));
  EXPECT_FALSE(catalogue.find("sip")->echoes(to_bytes("SIP/2.0 200 OK\r\nVia: x;branch=z9hG4bK0708090a0b0c0d0f"), token()));
  EXPECT_TRUE(catalogue.find("wsd")->echoes(to_bytes("<a:RelatesTo>urn:uuid:191a1b1c-1d1e-4f20-a122-232425262728</a:RelatesTo>"), token()));
  EXPECT_TRUE(catalogue.find("teamspeak3")->echoes(to_bytes(std::string("TS3INIT1\0\x65\x88\1\x2c\x2b\x2a\x29", 16)), token())) << "it comes back turned round";
  EXPECT_FALSE(catalogue.find("teamspeak3")->echoes(to_bytes(std::string("TS3INIT1\0\x65\x88\1\x29\x2a\x2b\x2c", 16)), token()));
}

TEST(Catalogue, BrokenFilesNameTheLine) {
  auto what = [](std::string_view text) {
    auto r = Catalogue::parse(text);
    return r ? std::string("accepted") : r.error().what;
  };
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t{nope}\tx\n"), "catalogue line 1: unknown placeholder {nope}");
  EXPECT_EQ(what("# c\na\tudp\t1\tP0\t0\t00\n"), "catalogue line 2: 7 columns are needed, and marks where there are any; 6 found");
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t00\tx\tany-prot\n"), "catalogue line 1: unknown mark any-prot");
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t\"x\tx\n"), "catalogue line 1: a text has no closing quote");
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t\"\\x\"\tx\n"), "catalogue line 1: after \\ in a text only r n t 0 \" and \\ are known");
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t{pad9x}\tx\n"), "catalogue line 1: {pad} needs a length");
  EXPECT_NE(what("a\tudp\t1\tP0\t0\t{rand4\tx\n").find("without"), std::string::npos);
  EXPECT_NE(what("a\ttcp\t1\tP0\t0\t00\tx\n").find("only a udp probe"), std::string::npos);
  EXPECT_NE(what("a\ttcp\t1\tP0\t0\t-\tx\na\ttcp\t1\tP0\t0\t-\tx\n").find("twice"), std::string::npos);
}

}  // namespace
}  // namespace nora::survey
