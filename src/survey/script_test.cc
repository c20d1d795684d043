// What Nora says, byte for byte, and what it never says.
#include "survey/script.h"

#include <gtest/gtest.h>

namespace nora::survey {
namespace {

ScriptSpec spec(std::string probe, std::uint16_t port) {
  ScriptSpec s;
  s.probe = std::move(probe);
  s.ip = *Ip::parse("203.0.113.7");
  s.port = port;
  s.own = "192.0.2.10";
  s.relay_url = "http://192.0.2.10:8088/nora-relay/0011223344556677";
  s.ssh_allowed = s.rfb_allowed = s.describe_allowed = true;
  return s;
}
std::string first(std::string probe, std::uint16_t port) { return to_string(Script(spec(std::move(probe), port)).connected().send); }

TEST(Script, GoldenFirstWords) {
  EXPECT_EQ(
      first("http", 80),
      "GET / HTTP/1.1\r\nHost: 203.0.113.7\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(first("http", 8080),
            "GET / HTTP/1.1\r\nHost: 203.0.113.7:8080\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nAccept: */*\r\nConnection: "
            "close\r\n\r\n");
  EXPECT_EQ(
      first("https", 443),
      "GET / HTTP/1.1\r\nHost: 203.0.113.7\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(first("listen", 23), "");
  EXPECT_EQ(first("rtsp", 554),
            "OPTIONS rtsp://203.0.113.7:554/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\n\r\n");
  EXPECT_EQ(to_hex(as_bytes(first("mqtt", 1883))), "101000044d5154540402003c00046e6f7261");
  EXPECT_EQ(to_hex(as_bytes(first("socks5", 1080))), "050100");
  EXPECT_EQ(to_hex(as_bytes(first("modbus", 502))), "000100000005012b0e0100");
  EXPECT_EQ(first("http-relay", 8080),
            "GET http://192.0.2.10:8088/nora-relay/0011223344556677 HTTP/1.1\r\nHost: 192.0.2.10:8088\r\nUser-Agent: Nora-Survey "
            "(+http://192.0.2.10/)\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n");
  auto ipp = first("ipp", 631);
  EXPECT_EQ(ipp.substr(0, ipp.find("\r\n\r\n")),
            "POST /ipp/print HTTP/1.1\r\nHost: 203.0.113.7:631\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)\r\nContent-Type: "
            "application/ipp\r\nContent-Length: " +
                std::to_string(ipp.size() - ipp.find("\r\n\r\n") - 4));
  EXPECT_EQ(to_hex(as_bytes(ipp.substr(ipp.find("\r\n\r\n") + 4, 8))), "0200000b00000001") << "Get-Printer-Attributes";
}

// Runs a script against any bytes a device may send and collects everything it says.
std::string everything(std::string probe, std::uint16_t port, const std::vector<std::string>& device) {
  Script script(spec(std::move(probe), port));
  std::string said = to_string(script.connected().send);
  Bytes part;
  for (const auto& chunk : device) {
    part.insert(part.end(), chunk.begin(), chunk.end());
    auto r = script.received(part);
    said += to_string(r.send);
    if (r.next_part) part.clear();
    if (r.done) break;
  }
  return said;
}

TEST(Script, ATelnetPromptGetsNothingButRefusals) {
  EXPECT_EQ(to_hex(as_bytes(everything("listen", 23, {"\xff\xfd\x01\xff\xfb\x03\r\nbox login: ", "Password: ", "# ", "$ "}))),
            "fffc01fffe03");
  EXPECT_EQ(everything("listen", 21, {"220 FTP\r\n", "230 logged in\r\n"}), "");
}

TEST(Script, SshAndRfbStopBeforeAnyKey) {
  EXPECT_EQ(everything("listen", 22, {"SSH-2.0-dropbear\r\n", std::string("\0\0\0\x08\x04\x14xxxxxx", 12), "more"}),
            "SSH-2.0-NoraSurvey\r\n");
  EXPECT_EQ(everything("listen", 5900, {"RFB 003.008\n", std::string("\x02\x01\x02", 3), "challenge"}), "RFB 003.008\n");
}

TEST(Script, RtspDescribesAndNeverPlays) {
  auto said = everything("rtsp", 554,
                         {"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n",
                          "RTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\nWWW-Authenticate: Basic\r\n\r\n", "RTSP/1.0 404 Not Found\r\n\r\n",
                          "RTSP/1.0 404 Not Found\r\n\r\n", "RTSP/1.0 404 Not Found\r\n\r\n"});
  EXPECT_NE(said.find("DESCRIBE rtsp://203.0.113.7:554/live RTSP/1.0"), std::string::npos);
  for (auto never : {"SETUP", "PLAY", "Authorization", "ANNOUNCE", "RECORD"}) EXPECT_EQ(said.find(never), std::string::npos) << never;
  auto not_granted = spec("rtsp", 554);
  not_granted.describe_allowed = false;
  Script script(not_granted);
  EXPECT_TRUE(script.received(to_bytes("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")).done) << "P2 needs its grant";
}

TEST(Script, NoScriptEverSendsACredential) {
  std::vector<std::string> provoking = {"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
                                        "login: ", "Password: ", "220 ready\r\n", "331 password\r\n"};
  for (auto probe : {"listen", "http", "https", "rtsp", "mqtt", "socks5", "http-relay", "ipp", "modbus", "upnp"}) {
    auto said = everything(probe, 80, provoking);
    for (auto never : {"Authorization", "USER ", "PASS ", "admin", "anonymous"})
      EXPECT_EQ(said.find(never), std::string::npos) << probe << " said " << never;
  }
}

TEST(Script, AnswersEndWhenTheyAreWhole) {
  Script http(spec("http", 80));
  EXPECT_FALSE(http.received(to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")).done);
  EXPECT_TRUE(http.received(to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde")).done);
  EXPECT_TRUE(http.received(to_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")).done);
  EXPECT_FALSE(http.received(to_bytes("HTTP/1.1 200 OK\r\n\r\n<html>")).done) << "the end of the connection or silence tells";
  Script modbus(spec("modbus", 502));
  EXPECT_FALSE(modbus.received(*from_hex("0001000000")).done);
  EXPECT_TRUE(modbus.received(*from_hex("00010000000301ab01")).done);
}

// The server's half, as dropbear sends it: identification, SSH_MSG_KEXINIT with these key exchanges, then the reply with the key.
Bytes ssh_packet(Bytes payload) {
  Bytes out;
  put_u32be(out, static_cast<std::uint32_t>(payload.size() + 5));
  out.push_back(4);
  out.insert(out.end(), payload.begin(), payload.end());
  out.insert(out.end(), 4, 0);
  return out;
}
Bytes ssh_hello(std::string_view exchanges) {
  Bytes payload = {20};
  payload.insert(payload.end(), 16, 1);
  put_u32be(payload, static_cast<std::uint32_t>(exchanges.size()));
  payload.insert(payload.end(), exchanges.begin(), exchanges.end());
  Bytes out = to_bytes("SSH-2.0-dropbear_2012.55\r\n");
  const auto packet = ssh_packet(std::move(payload));
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

TEST(Script, SshReadsTheHostKeyAndHangsUp) {
  Script script(spec("listen", 22));
  Bytes heard = to_bytes("SSH-2.0-dropbear_2012.55\r\n");
  EXPECT_EQ(to_string(script.received(heard).send), "SSH-2.0-NoraSurvey\r\n");
  heard = ssh_hello("curve25519-sha256,diffie-hellman-group14-sha1");
  const auto asked = script.received(heard);
  EXPECT_FALSE(asked.done);
  // Two whole packets of a multiple of 8 bytes: KEXINIT (20) and KEX_ECDH_INIT (30). Nothing of the user authentication protocol (50-79).
  ByteView rest = asked.send;
  for (const std::uint8_t type : {20, 30}) {
    ASSERT_GE(rest.size(), 6u);
    const std::size_t size = 4 + get_u32be(rest.data());
    ASSERT_LE(size, rest.size());
    EXPECT_EQ(size % 8, 0u);
    EXPECT_GE(rest[4], 4);
    EXPECT_EQ(rest[5], type);
    rest = rest.subspan(size);
  }
  EXPECT_TRUE(rest.empty());
  EXPECT_TRUE(script.received(heard).send.empty()) << "asked once";
  const auto reply = ssh_packet(Bytes(100, 31));
  heard.insert(heard.end(), reply.begin(), reply.end());
  EXPECT_TRUE(script.received(heard).done);
}

TEST(Script, SshWithoutTheKeyExchangeOrThePermitEndsEarlier) {
  Script strange(spec("listen", 22));
  const auto answer = strange.received(ssh_hello("diffie-hellman-group-exchange-sha1,kexguess2@matt.ucc.asn.au"));
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(to_string(answer.send), "SSH-2.0-NoraSurvey\r\n");
  Script old(spec("listen", 22));
  EXPECT_GT(old.received(ssh_hello("diffie-hellman-group1-sha1")).send.size(), 300u) << "servers of 2004 know no other exchange";
  auto closed = spec("listen", 22);
  closed.ssh_allowed = false;
  Script none(closed);
  const auto refused = none.received(ssh_hello("curve25519-sha256"));
  EXPECT_TRUE(refused.done);
  EXPECT_TRUE(refused.send.empty());
}

}  // namespace
}  // namespace nora::survey
