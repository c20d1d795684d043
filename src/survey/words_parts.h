// The parts of words.cc that its neighbours share: pieces of a template, and the three bodies that hold lengths of their own. Internal to
// the words; scripts and tests use words.h. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "survey/words.h"

namespace nora::survey {

struct Piece {
  enum class Kind {
    literal, host, hostport, port, own, agent, path, service, token, url, relay, listener, length, rfb, refusals, ssh, ipp, opcua
  } kind = Kind::literal;
  Bytes bytes;     // literal
  int number = 0;  // ssh, ipp
};
const std::vector<Piece>& pieces_of(const Word& word);
Bytes fixed_bytes(const Piece& piece, const ScriptSpec& spec);

// Our half of an SSH key exchange up to the server's host key, and no further (RFC 4253 sections 7, 8; RFC 5656; RFC 8731): one variant per
// exchange, in the order of preference. Nothing is authenticated, no user is named; we hang up when the key has come.
inline constexpr std::string_view ssh_exchanges[] = {"curve25519-sha256",          "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
                                                     "diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1",  "diffie-hellman-group1-sha1"};
Bytes ssh_key_words(int exchange);

// IPP request: 0 Get-Printer-Attributes of /ipp/print, 1 CUPS-Get-Printers (RFC 8011 section 4.1).
Bytes ipp_body(int which, std::string_view host, std::uint16_t port);
// OPC UA Hello (OPC 10000-6 section 7.1.2.3).
Bytes opcua_hello(std::string_view url);

}  // namespace nora::survey
