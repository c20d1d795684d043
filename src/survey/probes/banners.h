// Services that speak first: telnet, SSH, FTP (and SMTP-like lines), RFB. Used by parse.cc and (telnet_refusals) by the listening script.
// Parts: [everything the device sent]. RFC 854, RFC 4253, RFC 959, RFC 6143. Pure; the parsers run in the jail.
#pragma once

#include <string_view>

#include "survey/probes/parsed.h"

namespace nora::survey {

void parse_telnet(Parsed& out, ByteView bytes);
void parse_ssh(Parsed& out, ByteView bytes);
void parse_ftp(Parsed& out, ByteView bytes);
void parse_rfb(Parsed& out, ByteView bytes);

// The answer that refuses every option in bytes[from..): DO -> WONT, WILL -> DONT (RFC 854). Nothing else is ever sent to a telnet server.
// `from` moves behind the last whole command.
Bytes telnet_refusals(ByteView bytes, std::size_t& from);

// Does the text end in a prompt, and in which: "login" | "password" | "shell" | "none".
std::string_view telnet_prompt(std::string_view text);

}  // namespace nora::survey
