#include "survey/probes/parse.h"

#include <algorithm>

#include "survey/probes/banners.h"
#include "survey/probes/brokers.h"
#include "survey/probes/control.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/http.h"
#include "survey/probes/icons.h"
#include "survey/probes/office.h"
#include "survey/probes/reader.h"
#include "survey/probes/small.h"
#include "survey/probes/web.h"
#include "survey/probes/x509.h"

namespace nora::survey {
namespace {

ByteView part(const Item& item, std::size_t i) { return i < item.parts.size() ? ByteView(item.parts[i]) : ByteView(); }

Parsed plain(const Item& item, std::string_view protocol) {
  Parsed out;
  out.protocol = protocol;
  auto bytes = part(item, 0);
  out.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

// A page, whatever asked for it.
Parsed http(const Item& item, ByteView bytes) {
  Parsed out;
  auto response = read_http(bytes);
  if (!response) return plain(item, "tcp");
  out.protocol = "http";
  without_pictures(out, *response);
  add_http(out, *response, item);
  add_app(out, *response);
  out.bytes = stable_http(*response);
  return out;
}

// Of a conversation inside TLS: [certificate, first answer, "TLSv1.2", ALPN, further answers…].
constexpr std::size_t tls_certificate = 0, tls_answer = 1, tls_version = 2, tls_alpn = 3;

Parsed https(const Item& item) {
  Parsed out;
  auto der = part(item, tls_certificate);
  bool certificate = add_certificate(out, der);
  auto response = read_http(part(item, tls_answer));
  out.protocol = response ? "https" : "tls";
  if (!certificate && !response) return plain(item, "tcp");
  if (!part(item, tls_version).empty()) out.add("tls.version", as_text(part(item, tls_version)));
  if (!part(item, tls_alpn).empty()) out.add("tls.alpn", as_text(part(item, tls_alpn)));
  out.bytes.assign(der.begin(), der.end());
  if (response) {
    without_pictures(out, *response);
    add_http(out, *response, item);
    add_app(out, *response);
    auto stable = stable_http(*response);
    out.bytes.insert(out.bytes.end(), stable.begin(), stable.end());
  }
  return out;
}

// Does the answer hold the secret that our own listener hands out, and was the listener asked for the token?
bool came_through(const std::string& body, std::string_view secret, std::string_view seen) {
  return !secret.empty() && seen == "seen" && body.find(secret) != std::string::npos;
}

// Parts: [answer, secret, "seen" or ""].
Parsed relay(const Item& item) {
  auto response = read_http(part(item, 0));
  Parsed out;
  if (!response) return out;
  const bool relayed = came_through(response->body, as_text(part(item, 1)), as_text(part(item, 2)));
  out.protocol = "http_proxy";
  out.add("http.proxy", relayed ? "relayed" : "refused");
  out.add("http.status", std::to_string(response->status));
  if (const auto* via = response->header("via")) out.add("http_header.via", *via);
  out.keep_keys_only();  // token and secret differ each time
  return out;
}

// Parts: [secret, "seen" or "", SOCKS4 answer, page through the tunnel]. An answer is 8 bytes, 0, then 90 (granted) to 93.
bool socks4(Parsed& out, const Item& item) {
  const auto answer = part(item, 2);
  if (answer.size() < 8 || answer[0] != 0 || answer[1] < 90 || answer[1] > 93) return false;
  out.protocol = "socks4";
  out.add("socks4.answer", std::to_string(answer[1]));
  auto page = read_http(part(item, 3));
  out.add("socks4.relay", page && came_through(page->body, as_text(part(item, 0)), as_text(part(item, 1))) ? "relayed" : "refused");
  out.keep_keys_only();
  return true;
}

// By the bytes alone, whatever was asked.
Parsed tcp(const Item& item) {
  auto bytes = part(item, 0);
  Parsed out;
  auto word = recognise(bytes);
  bool good = true;
  if (word == "ssh") parse_ssh(out, bytes);
  else if (word == "rfb") parse_rfb(out, bytes);
  else if (word == "http") return http(item, bytes);
  else if (word == "rtsp") good = parse_rtsp(out, item);
  else if (word == "ftp") parse_ftp(out, bytes, item.port);
  else if (word == "telnet") parse_telnet(out, bytes);
  else if (word == "tls") return plain(item, "tls");
  else if (word == "rsync") good = parse_rsync(out, bytes);
  else if (word == "pop3" || word == "imap") parse_mail(out, bytes, word);
  else if (word == "sip") good = parse_sip(out, bytes);
  else if (word == "redis") good = parse_redis(out, bytes);
  else if (word == "memcached") good = parse_memcached(out, bytes);
  else if (word == "amqp") good = parse_amqp(out, bytes);
  else if (word == "mongodb") good = parse_mongodb(out, bytes);
  else if (word == "adb") good = parse_adb(out, bytes);
  else if (word == "ntrip") good = parse_ntrip(out, bytes);
  else if (word == "fox") good = parse_fox(out, bytes);
  else good = false;
  return good ? out : plain(item, "tcp");
}

void bound(Parsed& out) {
  if (out.bytes.size() > max_item_bytes) out.bytes.resize(max_item_bytes);
  for (auto& k : out.keys)
    if (k.value.size() > max_value_bytes) k.value.resize(max_value_bytes);
}

}  // namespace

std::string_view recognise(ByteView bytes) {
  auto text = as_text(bytes.subspan(0, std::min<std::size_t>(bytes.size(), 64)));
  if (text.empty()) return {};
  if (text.starts_with("SSH-")) return "ssh";
  if (text.starts_with("RFB 00") && text.size() >= 7) return "rfb";
  if (text.starts_with("HTTP/")) return "http";
  if (text.starts_with("RTSP/")) return "rtsp";
  // TLS alert or handshake record, version 3.x (RFC 8446 section 5.1)
  if (bytes.size() >= 3 && (bytes[0] == 0x15 || bytes[0] == 0x16) && bytes[1] == 3 && bytes[2] <= 4) return "tls";
  if (bytes[0] == 0xff && bytes.size() >= 2 && bytes[1] >= 0xfa) return "telnet";
  if (text.size() >= 4 && (text.starts_with("220") || text.starts_with("421") || text.starts_with("530")) &&
      (text[3] == ' ' || text[3] == '-'))
    return "ftp";
  static constexpr std::pair<std::string_view, std::string_view> openings[] = {
      {"@RSYNCD: ", "rsync"}, {"+OK ", "pop3"},        {"* OK ", "imap"},     {"* OK\r", "imap"},         {"* BYE ", "imap"},
      {"SIP/2.0 ", "sip"},    {"AMQP", "amqp"},         {"fox a 0 ", "fox"},   {"SOURCETABLE ", "ntrip"},   {"It looks like you are trying to access MongoDB", "mongodb"},
      {"-NOAUTH", "redis"},   {"-DENIED", "redis"},     {"+PONG", "redis"},    {"-ERR unknown command", "redis"}, {"-ERR wrong number of arguments for 'get'", "redis"},
      {"ERROR\r\n", "memcached"}, {"VERSION ", "memcached"}, {"CNXN", "adb"},      {"AUTH", "adb"},             {"STLS", "adb"}};
  for (auto [opening, word] : openings) {
    if (!text.starts_with(opening)) continue;
    // Words that people write too: the binary head, or the one short line, must follow.
    if (word == "adb" && text.substr(4, 4).find('\0') == std::string_view::npos) continue;
    if (word == "amqp" && text.size() > 4 && text[4] > '\1') continue;
    if (word == "memcached" && text.find_first_of("#$>:") != std::string_view::npos) continue;
    return word;
  }
  auto all = as_text(bytes.subspan(0, std::min<std::size_t>(bytes.size(), 4096)));
  if (telnet_prompt(all) != "none") return "telnet";  // servers without option negotiation
  return {};
}

Parsed parse(const Item& item) {
  Parsed out;
  bool good = false;
  const auto& p = item.probe;
  if (auto datagram = parse_datagram(out, item)) good = *datagram;
  else if (p == "https") out = https(item), good = true;
  else if (p == "http-relay") out = relay(item), good = true;
  else if (p == "socks4-relay") good = socks4(out, item);
  else if (p == "upnp") good = parse_upnp(out, item);
  // Side questions about a page that was seen: an answer that is not theirs deserves no reply of its own.
  else if (p == "favicon") good = parse_favicon(out, part(item, 0));
  else if (p == "favicon-tls") good = parse_favicon(out, part(item, tls_answer));
  else if (p == "hnap") good = parse_hnap(out, part(item, 0));
  else if (p == "version") good = parse_version(out, part(item, 0));
  else if (p == "version-tls") good = parse_version(out, part(item, tls_answer));
  else if (p == "igd") good = parse_igd(out, item);
  else {
    auto bytes = part(item, 0);
    if (p == "mqtt") good = parse_mqtt(out, bytes);
    else if (p == "socks5") good = parse_socks5(out, bytes);
    else if (p == "ipp") good = parse_ipp(out, item);
    else if (p == "cwmp") good = parse_cwmp(out, item);
    else if (p == "sip-tcp") good = parse_sip(out, bytes);
    else if (p == "ntrip") good = parse_ntrip(out, bytes);
    else if (p == "amqp") good = parse_amqp(out, bytes);
    else if (p == "redis") good = parse_redis(out, bytes);
    else if (p == "memcached-tcp") good = parse_memcached(out, bytes);
    else if (p == "mongodb") good = parse_mongodb(out, bytes);
    else if (p == "adb") good = parse_adb(out, bytes);
    else if (p == "smb") good = parse_smb(out, bytes);
    else if (p == "afp") good = parse_afp(out, bytes);
    else if (p == "portmap-tcp" || p == "nfs") good = parse_rpc(out, bytes, p == "nfs" ? "nfs" : "portmap");
    else if (p == "rdp") good = parse_rdp(out, bytes);
    else if (p == "x11") good = parse_x11(out, bytes);
    else if (p == "pptp") good = parse_pptp(out, bytes);
    else if (p == "dvr") good = parse_dvr(out, bytes);
    else if (p == "modbus") good = parse_modbus(out, bytes);
    else if (p == "s7" || p == "s7-200") good = parse_s7(out, item);
    else if (p == "enip") good = parse_enip(out, bytes);
    else if (p == "dnp3") good = parse_dnp3(out, bytes);
    else if (p == "iec104") good = parse_iec104(out, bytes);
    else if (p == "slmp") good = parse_slmp(out, bytes);
    else if (p == "fox") good = parse_fox(out, bytes);
    else if (p == "foxs") good = parse_fox(out, part(item, tls_answer));
    else if (p == "opcua") good = parse_opcua(out, bytes);
    else if (p == "hart-ip") good = parse_hart(out, item);
    else if (p == "ge-srtp") good = parse_srtp(out, bytes);
    else if (p == "lantronix-tcp") good = parse_lantronix(out, bytes);
    if (!good) out = p == "foxs" ? https(item) : tcp(item), good = true;
  }
  if (!good) out = Parsed{};
  bound(out);
  return out;
}

}  // namespace nora::survey
