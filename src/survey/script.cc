#include "survey/script.h"

#include <algorithm>

#include "survey/probes/banners.h"
#include "survey/probes/parse.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view ssh_id = "SSH-2.0-NoraSurvey\r\n";
// Paths that cameras commonly serve (RFC 2326 leaves them to the device); at most these are asked for, one after the other.
constexpr std::string_view describe_paths[] = {"/", "/live", "/stream1", "/h264"};

std::string host_text(const ScriptSpec& s) { return s.ip.is_v4() ? s.ip.text() : "[" + s.ip.text() + "]"; }
std::string host_port(const ScriptSpec& s) {
  bool standard = s.port == (s.probe == "https" ? 443 : 80);
  return standard ? host_text(s) : host_text(s) + ":" + std::to_string(s.port);
}

Bytes rtsp_request(const ScriptSpec& s, std::string_view method, std::string_view path, int sequence) {
  std::string text = std::string(method) + " rtsp://" + host_text(s) + ":" + std::to_string(s.port) + std::string(path) +
                     " RTSP/1.0\r\nCSeq: " + std::to_string(sequence) + "\r\nUser-Agent: " + user_agent(s.own) + "\r\n";
  if (method == "DESCRIBE") text += "Accept: application/sdp\r\n";
  return to_bytes(text + "\r\n");
}

// IPP request inside HTTP POST: operation with charset, language and (for attributes) the printer's URI (RFC 8011 section 4.1).
Bytes ipp_request(const ScriptSpec& s, std::uint16_t operation, std::string_view path, bool uri) {
  Bytes body = {2, 0};
  put_u16be(body, operation);
  put_u32be(body, 1);
  body.push_back(1);
  auto attribute = [&](std::uint8_t tag, std::string_view name, std::string_view value) {
    body.push_back(tag);
    put_u16be(body, static_cast<std::uint16_t>(name.size()));
    body.insert(body.end(), name.begin(), name.end());
    put_u16be(body, static_cast<std::uint16_t>(value.size()));
    body.insert(body.end(), value.begin(), value.end());
  };
  attribute(0x47, "attributes-charset", "utf-8");
  attribute(0x48, "attributes-natural-language", "en");
  if (uri) attribute(0x45, "printer-uri", "ipp://" + host_text(s) + ":" + std::to_string(s.port) + std::string(path));
  attribute(0x44, "requested-attributes", "printer-make-and-model");
  for (auto name : {"printer-name", "printer-info", "printer-state", "printer-firmware-string-version", "printer-device-id"})
    attribute(0x44, "", name);
  body.push_back(3);
  auto out = to_bytes("POST " + std::string(path) + " HTTP/1.1\r\nHost: " + host_port(s) + "\r\nUser-Agent: " + user_agent(s.own) +
                      "\r\nContent-Type: application/ipp\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

// Our half of an SSH key exchange up to the server's host key, and no further (RFC 4253 section 7, RFC 8731): the key tells the same device
// at two addresses apart from two like it. Nothing is authenticated and no user is named; we hang up when the key has come. The bytes are
// fixed: an ephemeral value that is never used (the public key of RFC 7748 section 6.1) needs no secret behind it.
void put_ssh_packet(Bytes& out, const Bytes& payload) {
  const std::size_t padding = 4 + (8 - (5 + payload.size() + 4) % 8) % 8;
  put_u32be(out, static_cast<std::uint32_t>(1 + payload.size() + padding));
  out.push_back(static_cast<std::uint8_t>(padding));
  out.insert(out.end(), payload.begin(), payload.end());
  out.insert(out.end(), padding, 0);
}

Bytes ssh_key_request() {
  constexpr std::string_view lists[] = {"curve25519-sha256,curve25519-sha256@libssh.org",
                                        "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-256,rsa-sha2-512,ssh-rsa",
                                        "aes128-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-cbc",
                                        "aes128-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-cbc",
                                        "hmac-sha2-256,hmac-sha1",
                                        "hmac-sha2-256,hmac-sha1",
                                        "none",
                                        "none",
                                        "",
                                        ""};
  Bytes hello = {20};
  hello.insert(hello.end(), 16, 0x4e);  // cookie
  for (auto list : lists) {
    put_u32be(hello, static_cast<std::uint32_t>(list.size()));
    hello.insert(hello.end(), list.begin(), list.end());
  }
  hello.insert(hello.end(), 5, 0);  // no guess follows; reserved
  Bytes ask = {30};
  put_u32be(ask, 32);
  const auto point = *from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  ask.insert(ask.end(), point.begin(), point.end());
  Bytes out;
  put_ssh_packet(out, hello);
  put_ssh_packet(out, ask);
  return out;
}

// Is an HTTP or RTSP answer whole, as far as Content-Length and chunks tell? Unknown: false (the end of the connection or silence tells).
bool whole_answer(ByteView bytes, bool no_body_without_length) {
  auto text = as_text(bytes);
  auto head = text.find("\r\n\r\n");
  if (head == npos) return false;
  auto headers = text.substr(0, head + 2);
  auto length_at = find_word(headers, "\r\ncontent-length:");
  if (length_at != npos) {
    std::size_t n = 0;
    for (std::size_t i = length_at + 17; i < headers.size() && headers[i] != '\r'; ++i)
      if (headers[i] >= '0' && headers[i] <= '9' && n < 1'000'000'000) n = n * 10 + static_cast<std::size_t>(headers[i] - '0');
    return text.size() >= head + 4 + n;
  }
  if (find_word(headers, "\r\ntransfer-encoding: chunked") != npos) return text.ends_with("\r\n0\r\n\r\n");
  if (text.size() > 12 && (text.substr(9, 3) == "304" || text.substr(9, 3) == "204")) return true;
  return no_body_without_length;
}

}  // namespace

std::string user_agent(std::string_view own) {
  return own.find(':') == npos ? "Nora-Survey (+http://" + std::string(own) + "/)" : "Nora-Survey (+http://[" + std::string(own) + "]/)";
}

Bytes http_request(const ScriptSpec& s) {
  return to_bytes("GET " + s.path + " HTTP/1.1\r\nHost: " + host_port(s) + "\r\nUser-Agent: " + user_agent(s.own) +
                  "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

Script::Script(ScriptSpec spec) : spec_(std::move(spec)) {}

Reaction Script::connected() {
  const auto& p = spec_.probe;
  if (p == "http" || p == "https" || p == "upnp") return {http_request(spec_)};
  if (p == "rtsp") return {rtsp_request(spec_, "OPTIONS", "/", 1)};
  if (p == "mqtt") return {*from_hex("101000044d5154540402003c00046e6f7261")};  // CONNECT, clean session, client id "nora", no user name
  if (p == "socks5") return {*from_hex("050100")};
  if (p == "modbus") return {*from_hex("000100000005012b0e0100")};
  if (p == "ipp") return {ipp_request(spec_, 0x000b, "/ipp/print", true)};
  if (p == "http-relay") {
    auto host = spec_.relay_url.substr(7, spec_.relay_url.find('/', 7) - 7);
    return {to_bytes("GET " + spec_.relay_url + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: " + user_agent(spec_.own) +
                     "\r\nAccept: */*\r\nConnection: close\r\n\r\n")};
  }
  return {};
}

// One decision per prefix; what follows is the protocol's own minimum.
Reaction Script::listen(ByteView part) {
  if (heard_.empty()) heard_ = recognise(part);
  auto text = as_text(part);
  if (heard_ == "ssh") {
    auto end = text.find('\n');
    if (end == npos) return {.done = part.size() > 512};
    if (!spec_.ssh_allowed) return {.done = true};
    Reaction out;
    if (step_ == 0) {
      step_ = 1;
      out.send = to_bytes(ssh_id);
    }
    constexpr std::uint32_t packet_bytes_max = 35000;  // RFC 4253 section 6.1
    auto rest = part.subspan(end + 1);
    for (int packet = 1; packet <= 2; ++packet) {
      if (rest.size() < 4) return out;
      const auto length = get_u32be(rest.data());
      if (length > packet_bytes_max || packet == 2) {
        out.done = length > packet_bytes_max || rest.size() >= 4u + length;
        return out;
      }
      if (rest.size() < 4u + length) return out;
      if (step_ == 1) {
        step_ = 2;
        if (as_text(rest.first(4u + length)).find("curve25519-sha256") == npos) return {.send = std::move(out.send), .done = true};
        const auto request = ssh_key_request();
        out.send.insert(out.send.end(), request.begin(), request.end());
      }
      rest = rest.subspan(4u + length);
    }
    return out;
  }
  if (heard_ == "rfb") {
    if (part.size() < 12) return {};
    if (!spec_.rfb_allowed) return {.done = true};
    if (step_ == 0) {
      step_ = 1;
      return {.send = Bytes(part.begin(), part.begin() + 12), .done = false};
    }
    bool old = text.substr(4, 7) == "003.003";
    if (old) return {.done = part.size() >= 16};
    return {.done = part.size() >= 13 && part.size() >= 13u + part[12]};
  }
  if (heard_ == "ftp") {
    auto last = text.rfind("\r\n");
    if (last == npos || last + 2 != text.size()) return {};
    auto from = text.rfind('\n', text.size() - 3);
    auto row = text.substr(from == npos ? 0 : from + 1);
    return {.done = row.size() > 3 && row[3] == ' '};
  }
  if (heard_ == "http" || heard_ == "rtsp" || heard_ == "tls") return {.done = heard_ == "tls" || whole_answer(part, true)};
  // Telnet or a text that is not known yet: refuse options, read on until it is quiet.
  auto refusals = telnet_refusals(part, telnet_at_);
  return {.send = std::move(refusals), .done = part.size() >= 4096};
}

Reaction Script::received(ByteView part) {
  const auto& p = spec_.probe;
  if (p == "listen") return listen(part);
  auto word = recognise(part);
  if (p == "http" || p == "https" || p == "upnp" || p == "http-relay")
    return {.done = word == "http" ? whole_answer(part, false) : word == "tls" || word == "rtsp"};
  if (p == "rtsp") {
    if (word != "rtsp") return {.done = word == "http" || word == "tls"};
    if (!whole_answer(part, true)) return {};
    std::size_t tries = std::size(describe_paths);
    bool open = step_ > 0 && as_text(part).substr(9, 3) == "200";
    if (!spec_.describe_allowed || step_ >= static_cast<int>(tries) || open) return {.done = true};
    ++step_;
    return {.send = rtsp_request(spec_, "DESCRIBE", describe_paths[step_ - 1], step_ + 1), .next_part = true};
  }
  if (p == "mqtt") {
    if (part.size() < 4 || part[0] != 0x20) return {.done = part.size() >= 4};
    return {.send = *from_hex("e000"), .done = true};
  }
  if (p == "socks5") return {.done = part.size() >= 2};
  if (p == "modbus") return {.done = part.size() >= 6 && part.size() >= 6u + get_u16be(part.data() + 4)};
  if (p == "ipp") {
    if (word != "http") return {.done = true};
    if (!whole_answer(part, false)) return {};
    // An IPP status below 0x0100 is a success (RFC 8011 appendix B); otherwise a print server may list its queues.
    auto body = as_text(part).find("\r\n\r\n");
    auto rest = part.subspan(body + 4);
    bool ok = as_text(part).substr(9, 3) == "200" && rest.size() >= 4 && get_u16be(&rest[2]) < 0x0100;
    if (ok || step_ > 0 || find_word(as_text(part).substr(0, body), "\r\nconnection: close") != npos) return {.done = true};
    step_ = 1;
    return {.send = ipp_request(spec_, 0x4002, "/", false), .next_part = true};
  }
  return {.done = true};
}

Reaction Script::quiet(ByteView) { return {.done = true}; }

Span Script::quiet_after(bool heard_something) const {
  if (spec_.probe == "listen") {
    if (!heard_something) return Span::ms(2500);  // devices that look the client's name up answer late
    return heard_ == "telnet" ? Span::ms(1500) : heard_.empty() ? Span::ms(1500) : Span::ms(2500);
  }
  return heard_something ? Span::ms(1500) : Span::ms(5000);
}

}  // namespace nora::survey
