// Words: the one complete table of what Nora says in a TCP conversation. The scripts take their bytes from it, the golden tests pin it, and
// the auditor of a capture asks conversation_of() whether a client's bytes are among it. Nothing else is ever sent into a connection.
// A word is a template; a conversation is a walk from state 0 over words (`from` -> `to`). Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ip.h"

namespace nora::survey {

inline constexpr std::size_t max_path_bytes = 256;
inline constexpr std::size_t token_digits = 16;

// What one conversation is about. The first half is the place; the second half fills the places of a word that differ between conversations.
struct ScriptSpec {
  std::string probe;  // id in the catalogue
  Ip ip;
  std::uint16_t port = 0;
  std::string own;        // our source address, for the User-Agent
  std::string path = "/";  // on the same host, without a query: a query may be an order
  std::string service;     // igd: which of wan_services
  std::string token;       // 16 hex digits (SIP branch, tag and call id); empty: the grabber fills it
  std::string relay_url;   // http-relay, socks4-relay: "http://192.0.2.10:8088/nora-relay/<token>"
  bool ssh_allowed = false, rfb_allowed = false, describe_allowed = false;  // a permit for these probes exists
};

struct Word {
  std::string_view probe, name;
  int from, to;
  std::string_view text;  // template: {x:HEX} bytes, {0:N} N zero bytes, and the names that words.cc explains
};
std::span<const Word> words();

// The bytes of one word. The word must exist (a bug otherwise).
Bytes say(std::string_view name, const ScriptSpec& spec);
inline constexpr std::string_view wan_services[] = {"WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"};
// Spoken inside TLS: https, favicon-tls, version-tls, foxs.
bool speaks_tls(std::string_view probe);
std::string user_agent(std::string_view own);

// Where a captured client-to-server stream was seen.
struct Overheard {
  Ip ip;  // of the device
  std::uint16_t port = 0;
  std::string own;         // our source address
  std::string relay_base;  // "http://192.0.2.10:8088": the mandate's listener; empty: no relay test may appear
};
// Is `said` (everything that we sent on one connection, without the TCP headers) a walk over the words of this probe, possibly cut off at
// its end? Random places (SIP token, relay token) and places that the device chose (path, RFB version, refused telnet options) are checked
// for their form. Nothing said at all is always allowed.
bool conversation_allows(std::string_view probe, const Overheard& where, ByteView said);
// The probe whose conversation it is; nothing: these bytes are not among the words. A TLS stream is "https": what can be read is checked
// (record types, a ClientHello without server name), the encrypted rest only for its size.
std::optional<std::string> conversation_of(const Overheard& where, ByteView said);
inline constexpr std::size_t max_tls_said_bytes = 8 * 1024;

}  // namespace nora::survey
