// The table of words: every byte of it as golden text, the lengths and checksums that it carries recomputed, the walks that an auditor of a
// capture allows, and what it must never allow.
#include "survey/words.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "base/files.h"
#include "law/probe_list.h"
#include "survey/exchanges.h"
#include "survey/script.h"
#include "survey/words_parts.h"

namespace nora::survey {
namespace {

const std::string source = NORA_SOURCE_DIR;

ScriptSpec spec(std::string_view probe) {
  ScriptSpec s;
  s.probe = probe;
  s.ip = *Ip::parse("203.0.113.7");
  s.port = 8080;
  s.own = "192.0.2.10";
  s.path = probe == "upnp" ? "/rootDesc.xml" : probe == "igd" ? "/ctl/IPConn" : "/";
  s.service = wan_services[0];
  s.token = "0123456789abcdef";
  s.relay_url = "http://192.0.2.10:8088/nora-relay/0011223344556677";
  s.ssh_allowed = s.rfb_allowed = s.describe_allowed = true;
  return s;
}
Overheard where() { return {*Ip::parse("203.0.113.7"), 8080, "192.0.2.10", "http://192.0.2.10:8088"}; }

// Printable text with escapes, binary as hex: a golden line that a reader can check.
std::string shown(const Bytes& bytes) {
  bool text = !bytes.empty();
  for (auto c : bytes) text = text && (c == '\r' || c == '\n' || (c >= ' ' && c <= '~'));
  if (!text) return "hex " + to_hex(bytes);
  std::string out = "text ";
  for (auto c : bytes) c == '\r' ? out += "\\r" : c == '\n' ? out += "\\n" : out += static_cast<char>(c);
  return out;
}

TEST(Words, Golden) {
  std::string all = "# What Nora says in TCP conversations, as src/survey/words.cc renders it for one place. NORA_UPDATE_GOLDEN=1 writes it anew.\n";
  for (const auto& w : words()) {
    all += std::string(w.probe) + " " + std::string(w.name) + " " + std::to_string(w.from) + ">" + std::to_string(w.to) + " ";
    all += w.text == "{refusals}" || w.text == "{rfb}" ? "what the device chose, " + std::string(w.text) : shown(say(w.name, spec(w.probe)));
    all += "\n";
  }
  const auto file = source + "/src/survey/testdata/words.golden";
  if (std::getenv("NORA_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(replace_file(file, all));
  }
  EXPECT_EQ(read_file(file).value_or(""), all);
}

TEST(Words, EveryConversationOfTheCatalogueHasWordsAndTheOtherWayRound) {
  const auto probes = *law::ProbeList::parse(*read_file(source + "/data/probes/catalogue.tsv"));
  std::set<std::string> spoken;
  for (const auto& w : words()) {
    spoken.insert(std::string(w.probe));
    const auto* probe = probes.find(w.probe);
    ASSERT_NE(probe, nullptr) << w.probe;
    EXPECT_EQ(probe->proto, Proto::tcp) << w.probe;
  }
  // What is asked inside another conversation, and what says nothing.
  const std::set<std::string> inside = {"syn", "syn-control", "telnet", "ftp", "smtp", "pop3", "imap", "rsync", "ssh", "rfb", "rtsp-describe", "dvr"};
  for (const auto& p : probes.all())
    if (p.proto == Proto::tcp) { EXPECT_TRUE(spoken.contains(p.id) != inside.contains(p.id)) << p.id; }
  for (const auto& p : probes.all())
    if (p.social && p.id != "syn-control") { EXPECT_EQ(p.probe_class, law::ProbeClass::p2) << p.id << ": controllers are P2"; }
  for (const auto& w : words())
    if (w.probe != "listen") { EXPECT_NE(exchange_of(w.probe), nullptr) << w.probe; }
}

TEST(Words, LengthsAndChecksumsHold) {
  auto bytes = [](std::string_view probe, std::string_view name) { return say(name, spec(probe)); };
  auto u16le = [](const Bytes& b, std::size_t at) { return static_cast<unsigned>(b[at] | b[at + 1] << 8); };
  auto u32le = [&](const Bytes& b, std::size_t at) { return u16le(b, at) | u16le(b, at + 2) << 16; };
  for (auto [probe, name] : {std::pair<std::string_view, std::string_view>{"rdp", "connect"}, {"s7", "connect"}, {"s7", "setup"}, {"s7", "read-module"}, {"s7", "read-component"}, {"s7-200", "connect"}}) {
    auto b = bytes(probe, name);
    EXPECT_EQ(get_u16be(&b[2]), b.size()) << probe << " " << name << ": TPKT length";
  }
  EXPECT_EQ(bytes("rdp", "connect")[4] + 5u, bytes("rdp", "connect").size()) << "X.224 length indicator";
  auto smb = bytes("smb", "negotiate");
  EXPECT_EQ(get_u32be(smb.data()) + 4, smb.size());
  EXPECT_EQ(smb.size(), 4u + 64 + 36 + 8);
  auto pptp = bytes("pptp", "start");
  EXPECT_EQ(get_u16be(pptp.data()), pptp.size());
  for (auto probe : {"portmap-tcp", "nfs"}) {
    auto b = bytes(probe, "null");
    EXPECT_EQ(get_u32be(b.data()) & 0x7fffffff, b.size() - 4) << probe;
  }
  auto mongo = bytes("mongodb", "is-master");
  EXPECT_EQ(u32le(mongo, 0), mongo.size());
  EXPECT_EQ(u32le(mongo, 39), mongo.size() - 39) << "BSON document";
  auto adb = bytes("adb", "connect");
  EXPECT_EQ(u32le(adb, 12), adb.size() - 24);
  unsigned sum = 0;
  for (std::size_t i = 24; i < adb.size(); ++i) sum += adb[i];
  EXPECT_EQ(u32le(adb, 16), sum);
  EXPECT_EQ(u32le(adb, 20), ~u32le(adb, 0)) << "the magic is the complement of the command";
  auto modbus = bytes("modbus", "identify");
  EXPECT_EQ(get_u16be(&modbus[4]) + 6u, modbus.size());
  auto slmp = bytes("slmp", "read-type");
  EXPECT_EQ(u16le(slmp, 7) + 9, slmp.size());
  auto opcua = bytes("opcua", "hello");
  EXPECT_EQ(u32le(opcua, 4), opcua.size());
  for (auto name : {"initiate", "read-identity", "close"}) {
    auto b = bytes("hart-ip", name);
    EXPECT_EQ(get_u16be(&b[6]), b.size()) << name;
  }
  auto hart = bytes("hart-ip", "read-identity");
  EXPECT_EQ(hart[8] ^ hart[9] ^ hart[10] ^ hart[11], hart[12]) << "longitudinal parity";
  EXPECT_EQ(bytes("enip", "list-identity").size(), 24u);
  EXPECT_EQ(bytes("ge-srtp", "start"), Bytes(56, 0));
  // DNP3: CRC-16 of IEEE 1815, here with the polynomial from the other end than in the parser: 0x3d65, reflected in and out.
  auto dnp3 = bytes("dnp3", "link-status");
  ASSERT_EQ(dnp3.size() % 10, 0u);
  for (std::size_t at = 0; at < dnp3.size(); at += 10) {
    std::uint16_t crc = 0;
    for (std::size_t i = at; i < at + 8; ++i)
      for (int bit = 0; bit < 8; ++bit) {
        const bool one = ((crc >> 15 & 1) != 0) != ((dnp3[i] >> bit & 1) != 0);
        crc = static_cast<std::uint16_t>(crc << 1 ^ (one ? 0x3d65 : 0));
      }
    std::uint16_t reflected = 0;
    for (int i = 0; i < 16; ++i) reflected = static_cast<std::uint16_t>(reflected << 1 | (crc >> i & 1));
    EXPECT_EQ(u16le(dnp3, at + 8), static_cast<unsigned>(static_cast<std::uint16_t>(~reflected))) << at;
    EXPECT_EQ(dnp3[at + 3], 0xc9) << "request link status, nothing else";
  }
  for (const auto& w : words()) {
    const auto text = to_string(w.text.find("{r") == std::string_view::npos || w.text.find("{relay") != std::string_view::npos ? say(w.name, spec(w.probe)) : Bytes{});
    const auto length = text.find("Content-Length: ");
    if (length == std::string::npos) continue;
    EXPECT_EQ(std::strtoul(text.c_str() + length + 16, nullptr, 10), text.size() - text.find("\r\n\r\n") - 4) << w.probe << " " << w.name;
  }
}

TEST(Words, AnIpv6PlaceIsWrittenInBrackets) {
  auto s = spec("http");
  s.ip = *Ip::parse("2001:db8::7");
  s.own = "2001:db8::10";
  EXPECT_EQ(to_string(say("get", s)),
            "GET / HTTP/1.1\r\nHost: [2001:db8::7]:8080\r\nUser-Agent: Nora-Survey (+http://[2001:db8::10]/)\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  s.probe = "https";
  s.port = 443;
  EXPECT_NE(to_string(say("get", s)).find("Host: [2001:db8::7]\r\n"), std::string::npos);
}

// Devices that answer so that every script says all that it can.
const std::map<std::string, std::vector<std::string>>& willing() {
  const auto x = [](std::string_view hex) { return to_string(*from_hex(hex)); };
  const std::string page = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const std::string rtsp404 = "RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n";
  const std::string mapped = "HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n<NewInternalClient>192.168.1.2</NewInternalClient>      ";
  const std::string confirm = x("0300000b06d00001000000"), s7 = x("0300001b02f080320300000000000800000000f0000001000101e0");
  static const std::map<std::string, std::vector<std::string>> all = {
      {"rtsp", {"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", rtsp404, rtsp404, rtsp404, rtsp404}},
      {"ipp", {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + x("02000406"), page}},
      {"igd", {mapped, mapped, mapped, mapped}},
      {"mqtt", {x("20020000")}},
      {"socks4-relay", {x("005a000000000000"), page}},
      {"s7", {confirm, s7, s7, s7}},
      {"s7-200", {confirm, s7, s7, s7}},
      {"hart-ip", {x("010100000001000d0100007530"), x("0101030000020020") + std::string(24, '\0')}},
  };
  return all;
}

// Everything that the script of this probe says to a willing device.
Bytes whole_conversation(std::string_view probe) {
  Script script(spec(probe));
  auto said = script.connected().send;
  if (auto at = willing().find(std::string(probe)); at != willing().end())
    for (const auto& answer : at->second) {
      auto r = script.received(to_bytes(answer));
      said.insert(said.end(), r.send.begin(), r.send.end());
      if (r.done) break;
    }
  return said;
}

TEST(Words, TheAuditorKnowsEveryConversationAndEveryBeginningOfIt) {
  std::set<std::string_view> probes;
  for (const auto& w : words()) probes.insert(w.probe);
  for (auto probe : probes) {
    if (speaks_tls(probe) || probe == "listen") continue;
    const auto said = whole_conversation(probe);
    // A willing device hears every word of the probe.
    std::size_t all = 0;
    for (const auto& w : words()) all += w.probe == probe ? say(w.name, spec(probe)).size() : 0;
    EXPECT_EQ(said.size(), all) << probe;
    for (std::size_t n = 0; n <= said.size(); ++n) {
      ASSERT_TRUE(conversation_allows(probe, where(), ByteView(said).first(n))) << probe << " cut at " << n;
      ASSERT_TRUE(conversation_of(where(), ByteView(said).first(n))) << probe << " cut at " << n;
    }
    auto more = said;
    more.push_back('x');
    EXPECT_FALSE(conversation_allows(probe, where(), more)) << probe << ": a byte behind the last word";
  }
}

TEST(Words, ListeningSaysTelnetRefusalsOrSshOrAVersion) {
  EXPECT_TRUE(conversation_allows("listen", where(), {}));
  EXPECT_TRUE(conversation_allows("listen", where(), *from_hex("fffc01fffe03")));
  EXPECT_TRUE(conversation_allows("listen", where(), *from_hex("fffc01fffe")));
  EXPECT_FALSE(conversation_allows("listen", where(), *from_hex("fffd01"))) << "DO would agree to something";
  EXPECT_FALSE(conversation_allows("listen", where(), *from_hex("fffc01726f6f740d0a"))) << "a name behind a refusal";
  EXPECT_TRUE(conversation_allows("listen", where(), to_bytes("RFB 003.889\n")));
  EXPECT_FALSE(conversation_allows("listen", where(), to_bytes("RFB 003.008\n\x01"))) << "the choice of a security type";
  for (int i = 0; i < static_cast<int>(std::size(ssh_exchanges)); ++i) {
    auto said = to_bytes("SSH-2.0-NoraSurvey\r\n");
    const auto key = ssh_key_words(i);
    said.insert(said.end(), key.begin(), key.end());
    EXPECT_TRUE(conversation_allows("listen", where(), said)) << ssh_exchanges[i];
    said.push_back(50);
    EXPECT_FALSE(conversation_allows("listen", where(), said)) << "nothing follows the key exchange";
  }
}

TEST(Words, OneChangedByteIsAnotherConversation) {
  std::mt19937 random(11);
  std::set<std::string_view> probes;
  for (const auto& w : words()) probes.insert(w.probe);
  int changed = 0, taken = 0;
  for (auto probe : probes) {
    if (speaks_tls(probe) || probe == "listen") continue;
    const auto said = whole_conversation(probe);
    for (std::size_t at = 0; at < said.size(); ++at) {
      auto other = said;
      other[at] = static_cast<std::uint8_t>(other[at] ^ (1u << random() % 8));
      ++changed;
      if (!conversation_of(where(), other)) continue;
      ++taken;
      // Only inside a place that the conversation chooses: a path, a token, the number behind a service.
      const auto text = as_text(other);
      const bool chosen = text.starts_with("GET /") || text.starts_with("POST /ctl") || text.starts_with("POST /") || text.find("z9hG4bK") != text.npos || text.find("nora-relay") != text.npos;
      EXPECT_TRUE(chosen) << probe << " at " << at;
    }
  }
  EXPECT_GT(changed, 5000);
  EXPECT_LT(taken, changed / 20);
}

TEST(Words, WhatMustNeverBeSaidIsNoConversation) {
  const auto x = [](std::string_view hex) { return to_string(*from_hex(hex)); };
  const std::string never[] = {
      "USER anonymous\r\n", "PASS x\r\n", "admin\r\n", "root\n", "\r\n", "QUIT\r\n", "AUTH x\r\n",
      "GET / HTTP/1.1\r\nHost: 203.0.113.7:8080\r\nAuthorization: Basic eA==\r\n\r\n",
      "GET http://198.51.100.9/ HTTP/1.1\r\nHost: 198.51.100.9\r\n\r\n",
      "GET /a?reboot=1 HTTP/1.1\r\nHost: 203.0.113.7:8080\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nAccept: */*\r\nConnection: close\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: 203.0.113.8:8080\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nAccept: */*\r\nConnection: close\r\n\r\n",
      "SETUP rtsp://203.0.113.7:8080/ RTSP/1.0\r\n", "PLAY rtsp://203.0.113.7:8080/ RTSP/1.0\r\n",
      "REGISTER sip:203.0.113.7 SIP/2.0\r\n", "INVITE sip:nora@203.0.113.7 SIP/2.0\r\n",
      x("680407000000"),                              // IEC 104 STARTDT
      x("000000f8"),                                  // Lantronix set-up with its password
      x("000100000006010600000001"),                  // Modbus write
      x("0300002102f080320100000000001000002900000000000950"),  // S7 stop
      x("82080001000361626300"),                      // MQTT SUBSCRIBE
      x("101800044d5154540482003c00046e6f726100046e6f7261"),  // MQTT CONNECT with a user name
      x("300700017878"),                              // MQTT PUBLISH
      to_string(say("connect", spec("mqtt"))) + x("8208000100036162630000"),
      to_string(say("connect", spec("adb"))) + "OPEN",
      to_string(say("ping", spec("redis"))) + "KEYS *\r\n",
      x("05010001c0000201 0050"),                     // SOCKS5 CONNECT
      x("0401005063336409") + std::string(1, '\0'),   // SOCKS4 CONNECT to a third system
      "stats\r\n", "flush_all\r\n", "get x\r\n",
  };
  for (const auto& said : never) EXPECT_FALSE(conversation_of(where(), as_bytes(said))) << shown(to_bytes(said));
  auto without_listener = where();
  without_listener.relay_base.clear();
  EXPECT_FALSE(conversation_of(without_listener, say("get", spec("http-relay")))) << "a relay test needs the mandate's listener";
  EXPECT_FALSE(conversation_of(without_listener, say("connect", spec("socks4-relay"))));
}

TEST(Words, ATlsStreamIsARecordSequenceWithoutAServerName) {
  // A ClientHello as in RFC 8446 section 4.1.2 with the extensions given.
  auto hello = [](const Bytes& extensions) {
    Bytes body = {3, 3};
    body.insert(body.end(), 32, 7);
    body.insert(body.end(), {0, 0, 2, 0x13, 1, 1, 0});
    put_u16be(body, static_cast<std::uint16_t>(extensions.size()));
    body.insert(body.end(), extensions.begin(), extensions.end());
    Bytes out = {22, 3, 1};
    put_u16be(out, static_cast<std::uint16_t>(body.size() + 4));
    out.insert(out.end(), {1, 0, static_cast<std::uint8_t>(body.size() >> 8), static_cast<std::uint8_t>(body.size())});
    out.insert(out.end(), body.begin(), body.end());
    return out;
  };
  auto plain = hello(*from_hex("002b000302 0304"));
  EXPECT_EQ(conversation_of(where(), plain).value_or(""), "https");
  EXPECT_FALSE(conversation_of(where(), hello(*from_hex("0000000700050000026162")))) << "a server name";
  auto with_data = plain;
  with_data.insert(with_data.end(), {23, 3, 3, 0, 2, 'x', 'y'});
  EXPECT_TRUE(conversation_allows("https", where(), with_data));
  with_data.insert(with_data.end(), {'G', 'E', 'T', ' ', '/'});
  EXPECT_FALSE(conversation_allows("https", where(), with_data)) << "plain text behind TLS";
  with_data = plain;
  for (int i = 0; i < 100; ++i) {
    with_data.insert(with_data.end(), {23, 3, 3, 0, 200});
    with_data.insert(with_data.end(), 200, 'x');
  }
  EXPECT_FALSE(conversation_allows("https", where(), with_data)) << "more than any request of ours";
}

}  // namespace
}  // namespace nora::survey
