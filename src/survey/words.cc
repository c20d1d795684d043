// The table of words and how a word becomes bytes. Placeholders: {host} the device's address as in a URL, {hostport} with the port unless it
// is the scheme's own, {port}, {own}, {agent}, {path} (words.h: path), {service}, {token}, {url} {relay} {listener} (the relay
// test's own listener as URL, host:port, and 6 bytes of port and IPv4 address), {length} (decimal, of what follows the blank line),
// {rfb} (the device's own version line), {refusals} (telnet), {ssh:N} (words_ssh.cc), {ipp:N} {opcua} (bodies that hold lengths).
#include "survey/words.h"

#include <algorithm>
#include <charconv>

#include "base/result.h"
#include "survey/words_parts.h"

namespace nora::survey {
namespace {

#define NORA_GET(path) \
  "GET " path " HTTP/1.1\r\nHost: {hostport}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
#define NORA_MAPPING(n)                                                                                                                  \
  "POST {path} HTTP/1.1\r\nHost: {hostport}\r\nUser-Agent: {agent}\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: "      \
  "\"urn:schemas-upnp-org:service:{service}#GetGenericPortMappingEntry\"\r\nContent-Length: {length}\r\n\r\n<?xml "                     \
  "version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "                                                 \
  "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:GetGenericPortMappingEntry "                                \
  "xmlns:u=\"urn:schemas-upnp-org:service:{service}\"><NewPortMappingIndex>" n                                                          \
  "</NewPortMappingIndex></u:GetGenericPortMappingEntry></s:Body></s:Envelope>"
#define NORA_DESCRIBE(path, n) \
  "DESCRIBE rtsp://{host}:{port}" path " RTSP/1.0\r\nCSeq: " n "\r\nUser-Agent: {agent}\r\nAccept: application/sdp\r\n\r\n"
#define NORA_IPP(path, body)                                                                                              \
  "POST " path                                                                                                            \
  " HTTP/1.1\r\nHost: {hostport}\r\nUser-Agent: {agent}\r\nContent-Type: application/ipp\r\nContent-Length: {length}\r\n" \
  "\r\n" body

constexpr Word table[] = {
    // What the device says by itself (RFC 854, RFC 4253, RFC 6143).
    {"listen", "refusals", 0, 0, "{refusals}"},
    {"listen", "ssh-id", 0, 1, "SSH-2.0-NoraSurvey\r\n"},
    {"listen", "ssh-key-0", 1, 2, "{ssh:0}"},
    {"listen", "ssh-key-1", 1, 2, "{ssh:1}"},
    {"listen", "ssh-key-2", 1, 2, "{ssh:2}"},
    {"listen", "ssh-key-3", 1, 2, "{ssh:3}"},
    {"listen", "ssh-key-4", 1, 2, "{ssh:4}"},
    {"listen", "ssh-key-5", 1, 2, "{ssh:5}"},
    {"listen", "rfb", 0, 3, "{rfb}"},
    // The web (RFC 9110, RFC 9112) and what lies on it.
    {"http", "get", 0, 1, NORA_GET("{path}")},
    {"https", "get", 0, 1, NORA_GET("{path}")},
    {"favicon", "get", 0, 1, NORA_GET("/favicon.ico")},
    {"favicon-tls", "get", 0, 1, NORA_GET("/favicon.ico")},
    {"cwmp", "get", 0, 1, NORA_GET("/")},
    {"hnap", "get", 0, 1, NORA_GET("/HNAP1/")},
    {"version", "get", 0, 1, NORA_GET("/version")},
    {"version-tls", "get", 0, 1, NORA_GET("/version")},
    {"upnp", "get", 0, 1, NORA_GET("{path}")},
    {"ntrip", "get", 0, 1, "GET / HTTP/1.0\r\nUser-Agent: NTRIP {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"},
    {"igd", "mapping-0", 0, 1, NORA_MAPPING("0")},
    {"igd", "mapping-1", 1, 2, NORA_MAPPING("1")},
    {"igd", "mapping-2", 2, 3, NORA_MAPPING("2")},
    {"igd", "mapping-3", 3, 4, NORA_MAPPING("3")},
    {"ipp", "attributes", 0, 1, NORA_IPP("/ipp/print", "{ipp:0}")},
    {"ipp", "printers", 1, 2, NORA_IPP("/", "{ipp:1}")},
    // Towards our own listener only.
    {"http-relay", "get", 0, 1,
     "GET {url} HTTP/1.1\r\nHost: {relay}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"},
    {"socks4-relay", "connect", 0, 1, "{x:0401}{listener}{x:00}"},
    {"socks4-relay", "get", 1, 2,
     "GET {url} HTTP/1.1\r\nHost: {relay}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"},
    {"socks5", "greeting", 0, 1, "{x:050100}"},
    // Cameras and telephones (RFC 2326, RFC 3261).
    {"rtsp", "options", 0, 1, "OPTIONS rtsp://{host}:{port}/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: {agent}\r\n\r\n"},
    {"rtsp", "describe-1", 1, 2, NORA_DESCRIBE("/", "2")},
    {"rtsp", "describe-2", 2, 3, NORA_DESCRIBE("/live", "3")},
    {"rtsp", "describe-3", 3, 4, NORA_DESCRIBE("/stream1", "4")},
    {"rtsp", "describe-4", 4, 5, NORA_DESCRIBE("/h264", "5")},
    {"sip-tcp", "options", 0, 1,
     "OPTIONS sip:nora@{host} SIP/2.0\r\nVia: SIP/2.0/TCP {own}:5060;branch=z9hG4bK{token};rport\r\nMax-Forwards: 70\r\nFrom: "
     "<sip:nora@{own}>;tag={token}\r\nTo: <sip:nora@{host}>\r\nCall-ID: {token}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: {agent}\r\n"
     "Content-Length: 0\r\n\r\n"},
    // Brokers and stores.
    {"mqtt", "connect", 0, 1, "{x:101000044d5154540402003c0004}nora"},
    {"mqtt", "disconnect", 1, 2, "{x:e000}"},
    {"amqp", "header", 0, 1, "AMQP{x:00000901}"},
    {"redis", "ping", 0, 1, "PING\r\n"},
    {"memcached-tcp", "version", 0, 1, "version\r\n"},
    {"mongodb", "is-master", 0, 1,
     "{x:3a000000 6e6f7261 00000000 d4070000 00000000}admin.$cmd{x:00 00000000 ffffffff 13000000 10}isMaster{x:00 01000000 00}"},
    {"adb", "connect", 0, 1, "CNXN{x:00000001 00001000 07000000 32020000 bcb1a7b1}host::{x:00}"},
    // Files and screens.
    {"smb", "negotiate", 0, 1,
     "{x:0000006c fe}SMB{x:4000 0000 00000000 0000 0100 00000000 00000000}{0:40}{x:2400 0400 0100 0000 00000000}Nora-Survey-v1.0{0:8}"
     "{x:0202 1002 0003 0203}"},
    {"afp", "get-status", 0, 1, "{x:0003 0001 00000000 00000000 00000000}"},
    {"portmap-tcp", "null", 0, 1, "{x:80000028 6e6f7261 00000000 00000002 000186a0 00000002 00000000}{0:16}"},
    {"nfs", "null", 0, 1, "{x:80000028 6e6f7261 00000000 00000002 000186a3 00000003 00000000}{0:16}"},
    {"rdp", "connect", 0, 1, "{x:03000013 0ee000000000 00 01000800 01000000}"},
    {"x11", "setup", 0, 1, "{x:6c000b000000000000000000}"},
    {"pptp", "start", 0, 1, "{x:009c 0001 1a2b3c4d 0001 0000 0100 0000 00000003 00000003 0000 0000}nora{0:60}nora{0:60}"},
    // Controllers: read-only identification, and only where the mandate names the range.
    {"modbus", "identify", 0, 1, "{x:000100000005012b0e0100}"},
    {"s7", "connect", 0, 1, "{x:0300001611e00000000100c0010ac1020100c2020102}"},
    {"s7", "setup", 1, 2, "{x:0300001902f08032010000000000080000f0000001000101e0}"},
    {"s7", "read-module", 2, 3, "{x:0300002102f080 32070000000000080008 0001120411440100 ff090004 0011 0001}"},
    {"s7", "read-component", 3, 4, "{x:0300002102f080 32070000000000080008 0001120411440100 ff090004 001c 0001}"},
    {"s7-200", "connect", 0, 1, "{x:0300001611e00000000100c0010ac1020100c2020200}"},
    {"s7-200", "setup", 1, 2, "{x:0300001902f08032010000000000080000f0000001000101e0}"},
    {"s7-200", "read-module", 2, 3, "{x:0300002102f080 32070000000000080008 0001120411440100 ff090004 0011 0001}"},
    {"s7-200", "read-component", 3, 4, "{x:0300002102f080 32070000000000080008 0001120411440100 ff090004 001c 0001}"},
    {"enip", "list-identity", 0, 1, "{x:6300}{0:22}"},
    // Link status of the addresses 0, 1, 3, 4, 10 and the self-address 0xfffc (IEEE 1815): a station answers to its own only.
    {"dnp3", "link-status", 0, 1,
     "{x:056405c900000000364c 056405c901000000de8e 056405c9030000007746 056405c9040000001d90 056405c90a000000b071 056405c9fcff0000c2a5}"},
    {"iec104", "test-frame", 0, 1, "{x:680443000000}"},
    {"slmp", "read-type", 0, 1, "{x:500000ffff03000600100001010000}"},
    {"fox", "hello", 0, 1, "fox a 1 -1 fox hello\n{x:7b0a}fox.version=s:1.0\nid=i:1\n{x:7d};;\n"},
    {"foxs", "hello", 0, 1, "fox a 1 -1 fox hello\n{x:7b0a}fox.version=s:1.0\nid=i:1\n{x:7d};;\n"},
    {"opcua", "hello", 0, 1, "{opcua}"},
    {"hart-ip", "initiate", 0, 1, "{x:010000000001000d 01 00007530}"},
    {"hart-ip", "read-identity", 1, 2, "{x:010003000002000d 0280000082}"},
    {"hart-ip", "close", 2, 3, "{x:0100010000030008}"},
    {"ge-srtp", "start", 0, 1, "{0:56}"},
    {"lantronix-tcp", "version", 0, 1, "{x:000000f6}"},
};
#undef NORA_GET
#undef NORA_MAPPING
#undef NORA_DESCRIBE
#undef NORA_IPP

Piece::Kind kind_of(std::string_view name) {
  using enum Piece::Kind;
  static constexpr std::pair<std::string_view, Piece::Kind> names[] = {
      {"host", host},   {"hostport", hostport}, {"port", port},   {"own", own},           {"agent", agent},       {"path", path},
      {"service", service}, {"token", token}, {"url", url},           {"relay", relay},       {"listener", listener},
      {"length", length},     {"rfb", rfb},         {"refusals", refusals}, {"ssh", ssh},      {"ipp", ipp},           {"opcua", opcua}};
  for (auto [n, k] : names)
    if (n == name) return k;
  NORA_ASSERT(false, "a placeholder of the word table");
  return literal;
}

std::vector<Piece> cut(std::string_view text) {
  std::vector<Piece> out;
  auto bytes = [&](ByteView b) {
    if (out.empty() || out.back().kind != Piece::Kind::literal) out.push_back({Piece::Kind::literal, {}, 0});
    out.back().bytes.insert(out.back().bytes.end(), b.begin(), b.end());
  };
  for (std::size_t at = 0; at < text.size();) {
    auto open = text.find('{', at);
    bytes(as_bytes(text.substr(at, open - at)));
    if (open == std::string_view::npos) break;
    auto close = text.find('}', open);
    auto inside = text.substr(open + 1, close - open - 1);
    at = close + 1;
    auto colon = inside.find(':');
    auto name = inside.substr(0, colon);
    auto value = colon == std::string_view::npos ? std::string_view() : inside.substr(colon + 1);
    int number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    if (name == "x") bytes(*from_hex(value));
    else if (name == "0") bytes(Bytes(static_cast<std::size_t>(number), 0));
    else out.push_back({kind_of(name), {}, number});
  }
  std::erase_if(out, [](const Piece& p) { return p.kind == Piece::Kind::literal && p.bytes.empty(); });
  return out;
}

struct Cut {
  const Word* word;
  std::vector<Piece> pieces;
};
const std::vector<Cut>& all_cut() {
  static const std::vector<Cut> all = [] {
    std::vector<Cut> out;
    for (const auto& w : table) out.push_back({&w, cut(w.text)});
    return out;
  }();
  return all;
}

std::string host_text(Ip ip) { return ip.is_v4() ? ip.text() : "[" + ip.text() + "]"; }

// "192.0.2.10:8088" of "http://192.0.2.10:8088/…".
std::string_view relay_host(std::string_view url) {
  constexpr std::size_t scheme = 7;
  if (url.size() < scheme) return {};
  return url.substr(scheme, url.find('/', scheme) - scheme);
}

Bytes listener_bytes(std::string_view url) {
  Bytes out(6, 0);
  auto host = relay_host(url);
  auto colon = host.rfind(':');
  auto ip = Ip::parse(host.substr(0, colon));
  std::uint16_t port = 80;
  if (colon != std::string_view::npos) std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
  if (!ip || !ip->is_v4()) return out;
  out.clear();
  put_u16be(out, port);
  put_u32be(out, ip->v4_value());
  return out;
}

}  // namespace

std::span<const Word> words() { return table; }

std::string user_agent(std::string_view own) {
  return own.find(':') == std::string_view::npos ? "Nora-Survey (+http://" + std::string(own) + "/)"
                                                 : "Nora-Survey (+http://[" + std::string(own) + "]/)";
}

bool speaks_tls(std::string_view probe) {
  return probe == "https" || probe == "favicon-tls" || probe == "version-tls" || probe == "foxs";
}

const std::vector<Piece>& pieces_of(const Word& word) {
  for (const auto& c : all_cut())
    if (c.word == &word) return c.pieces;
  NORA_ASSERT(false, "a word of the table");
  return all_cut().front().pieces;
}

Bytes fixed_bytes(const Piece& piece, const ScriptSpec& s) {
  using enum Piece::Kind;
  switch (piece.kind) {
    case literal:
      return piece.bytes;
    case host:
      return to_bytes(host_text(s.ip));
    case hostport:
      return to_bytes(s.port == (speaks_tls(s.probe) ? 443 : 80) ? host_text(s.ip) : host_text(s.ip) + ":" + std::to_string(s.port));
    case port:
      return to_bytes(std::to_string(s.port));
    case own:
      return to_bytes(s.own.find(':') == std::string::npos ? s.own : "[" + s.own + "]");
    case agent:
      return to_bytes(user_agent(s.own));
    case path:
      return to_bytes(s.path);
    case service:
      return to_bytes(s.service);
    case token:
      return to_bytes(s.token);
    case url:
      return to_bytes(s.relay_url);
    case relay:
      return to_bytes(relay_host(s.relay_url));
    case listener:
      return listener_bytes(s.relay_url);
    case ssh:
      return ssh_key_words(piece.number);
    case ipp:
      return ipp_body(piece.number, host_text(s.ip), s.port);
    case opcua:
      return opcua_hello("opc.tcp://" + host_text(s.ip) + ":" + std::to_string(s.port));
    case length:
    case rfb:
    case refusals:
      break;  // not known before the conversation
  }
  return {};
}

Bytes say(std::string_view name, const ScriptSpec& spec) {
  for (const auto& c : all_cut()) {
    if (c.word->probe != spec.probe || c.word->name != name) continue;
    Bytes out;
    std::optional<std::size_t> length_at;
    for (const auto& p : c.pieces) {
      if (p.kind == Piece::Kind::length) {
        length_at = out.size();
        continue;
      }
      const auto bytes = fixed_bytes(p, spec);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    if (length_at) {
      constexpr std::size_t blank = 4;
      const auto head = as_text(out).find("\r\n\r\n", *length_at);
      const auto digits = std::to_string(out.size() - head - blank);
      out.insert(out.begin() + static_cast<std::ptrdiff_t>(*length_at), digits.begin(), digits.end());
    }
    return out;
  }
  NORA_ASSERT(false, "a script says only words of the table");
  return {};
}

}  // namespace nora::survey
