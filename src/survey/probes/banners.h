// Services that speak first: telnet, SSH, FTP and mail, RFB, recorders. Used by parse.cc and (telnet_refusals) by the listening script.
// Parts: [everything the device sent]. RFC 854, RFC 4253, RFC 959, RFC 5321, RFC 1939, RFC 9051, RFC 6143. Pure; the parsers run in the jail.
#pragma once

#include <string_view>

#include "survey/probes/parsed.h"

namespace nora::survey {

void parse_telnet(Parsed& out, ByteView bytes);
void parse_ssh(Parsed& out, ByteView bytes);
void parse_ftp(Parsed& out, ByteView bytes, std::uint16_t port);  // or SMTP: both greet with 220
void parse_mail(Parsed& out, ByteView bytes, std::string_view protocol);  // "pop3" or "imap"
bool parse_dvr(Parsed& out, ByteView bytes);  // what a recorder's own port says by itself; false: nothing, or a known protocol
void parse_rfb(Parsed& out, ByteView bytes);

// The answer that refuses every option in bytes[from..): DO -> WONT, WILL -> DONT (RFC 854). Nothing else is ever sent to a telnet server.
// `from` moves behind the last whole command.
Bytes telnet_refusals(ByteView bytes, std::size_t& from);

// Does the text end in a prompt, and in which: "login" | "password" | "shell" | "none".
std::string_view telnet_prompt(std::string_view text);

}  // namespace nora::survey
