// Words whose bytes hold lengths of their own: the SSH key exchange, IPP requests, the OPC UA hello (words_parts.h).
#include "survey/words_parts.h"

namespace nora::survey {
namespace {

constexpr std::uint8_t ssh_kexinit = 20, ssh_kex_first = 30;

void put_string(Bytes& out, ByteView bytes) {
  put_u32be(out, static_cast<std::uint32_t>(bytes.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}
// A binary packet without encryption (RFC 4253 section 6): padded to 8 bytes, at least 4 bytes of padding.
void put_packet(Bytes& out, const Bytes& payload) {
  std::size_t padding = 8 - (payload.size() + 5) % 8;
  if (padding < 4) padding += 8;
  put_u32be(out, static_cast<std::uint32_t>(payload.size() + 1 + padding));
  out.push_back(static_cast<std::uint8_t>(padding));
  out.insert(out.end(), payload.begin(), payload.end());
  out.insert(out.end(), padding, 0);
}
void put_u32le(Bytes& out, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
}

}  // namespace

Bytes ssh_key_words(int exchange) {
  const auto chosen = ssh_exchanges[exchange];
  // Fixed public values: the base point of Curve25519, the generator of P-256, a number below every group's prime. Their secrets are of no
  // use to us.
  Bytes first = {ssh_kex_first};
  if (chosen.starts_with("curve")) {
    Bytes point(32, 0);
    point[0] = 9;
    put_string(first, point);
  } else if (chosen.starts_with("ecdh")) {
    put_string(first, *from_hex("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce3357"
                                "6b315ececbb6406837bf51f5"));
  } else {
    put_string(first, Bytes(chosen == "diffie-hellman-group1-sha1" ? 128 : 256, 0x7f));
  }
  Bytes ours = {ssh_kexinit};
  ours.insert(ours.end(), 16, 0);  // cookie
  constexpr std::string_view ciphers =
      "aes128-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes128-cbc,aes256-cbc,3des-cbc,blowfish-cbc";
  constexpr std::string_view macs = "hmac-sha2-256,hmac-sha2-512,hmac-sha1,hmac-sha1-96,hmac-md5";
  constexpr std::string_view none = "none", nothing = "";
  for (auto names : {chosen, std::string_view("ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-dss"), ciphers, ciphers,
                     macs, macs, none, none, nothing, nothing})
    put_string(ours, as_bytes(names));
  ours.insert(ours.end(), 5, 0);  // no guess follows; reserved
  Bytes out;
  put_packet(out, ours);
  put_packet(out, first);
  return out;
}

Bytes ipp_body(int which, std::string_view host, std::uint16_t port) {
  constexpr std::uint16_t get_attributes = 0x000b, get_printers = 0x4002;
  Bytes body = {2, 0};
  put_u16be(body, which == 0 ? get_attributes : get_printers);
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
  if (which == 0) attribute(0x45, "printer-uri", "ipp://" + std::string(host) + ":" + std::to_string(port) + "/ipp/print");
  attribute(0x44, "requested-attributes", "printer-make-and-model");
  for (auto name : {"printer-name", "printer-info", "printer-state", "printer-firmware-string-version", "printer-device-id"})
    attribute(0x44, "", name);
  body.push_back(3);
  return body;
}

Bytes opcua_hello(std::string_view url) {
  constexpr std::uint32_t head_bytes = 8, fields_bytes = 20, buffer_bytes = 65536;
  Bytes out = to_bytes("HELF");
  put_u32le(out, head_bytes + fields_bytes + 4 + static_cast<std::uint32_t>(url.size()));
  put_u32le(out, 0);  // protocol version
  put_u32le(out, buffer_bytes);
  put_u32le(out, buffer_bytes);
  put_u32le(out, 0);  // no limit of a message
  put_u32le(out, 0);  // nor of its chunks
  put_u32le(out, static_cast<std::uint32_t>(url.size()));
  out.insert(out.end(), url.begin(), url.end());
  return out;
}

}  // namespace nora::survey
