#include "survey/probes/parse.h"

#include <algorithm>

#include "survey/probes/banners.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/http.h"
#include "survey/probes/reader.h"
#include "survey/probes/small.h"
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
  add_http(out, *response, item);
  out.bytes = stable_http(*response);
  return out;
}

// Parts: [certificate, answer to GET /, "TLSv1.2"].
Parsed https(const Item& item) {
  Parsed out;
  auto der = part(item, 0);
  bool certificate = add_certificate(out, der);
  auto response = read_http(part(item, 1));
  out.protocol = response ? "https" : "tls";
  if (!certificate && !response) return plain(item, "tcp");
  if (!part(item, 2).empty()) out.add("tls.version", as_text(part(item, 2)));
  out.bytes.assign(der.begin(), der.end());
  if (response) {
    add_http(out, *response, item);
    auto stable = stable_http(*response);
    out.bytes.insert(out.bytes.end(), stable.begin(), stable.end());
  }
  return out;
}

// Parts: [answer, the secret that our own listener hands out, "seen" when the listener was asked for the token].
Parsed relay(const Item& item) {
  auto response = read_http(part(item, 0));
  Parsed out;
  if (!response) return out;
  auto secret = as_text(part(item, 1));
  bool relayed = !secret.empty() && as_text(part(item, 2)) == "seen" && response->body.find(secret) != std::string::npos;
  out.protocol = "http_proxy";
  out.add("http.proxy", relayed ? "relayed" : "refused");
  out.add("http.status", std::to_string(response->status));
  if (const auto* via = response->header("via")) out.add("http_header.via", *via);
  std::string stable;
  for (const auto& k : out.keys) stable += k.key + ": " + k.value + "\n";  // token and secret differ each time
  out.bytes = to_bytes(stable);
  return out;
}

Parsed tcp(const Item& item) {
  auto bytes = part(item, 0);
  Parsed out;
  auto word = recognise(bytes);
  if (word == "ssh") parse_ssh(out, bytes);
  else if (word == "rfb") parse_rfb(out, bytes);
  else if (word == "http") return http(item, bytes);
  else if (word == "rtsp") {
    if (!parse_rtsp(out, item)) return plain(item, "tcp");
  } else if (word == "ftp") parse_ftp(out, bytes);
  else if (word == "telnet") parse_telnet(out, bytes);
  else if (word == "tls") return plain(item, "tls");
  else return plain(item, "tcp");
  return out;
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
  else if (p == "upnp") good = parse_upnp(out, item);
  else {
    auto bytes = part(item, 0);
    if (p == "mqtt") good = parse_mqtt(out, bytes);
    else if (p == "socks5") good = parse_socks5(out, bytes);
    else if (p == "modbus") good = parse_modbus(out, bytes);
    else if (p == "ipp") good = parse_ipp(out, item);
    if (!good) out = tcp(item), good = true;
  }
  if (!good) out = Parsed{};
  bound(out);
  return out;
}

}  // namespace nora::survey
