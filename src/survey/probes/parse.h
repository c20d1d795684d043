// parse(item): the one door to all reply parsers. What answered is decided by the bytes, not by the port or by what was asked.
// Used by nora-parse (in the jail) and by tests. Pure; any thread.
#pragma once

#include <string_view>

#include "survey/probes/parsed.h"

namespace nora::survey {

// protocol "tcp": open, and either silent or not understood; protocol "": nothing that deserves a reply (a datagram of another service).
Parsed parse(const Item& item);

// What the first bytes of a TCP peer say: "ssh", "rfb", "http", "rtsp", "telnet", "ftp" (any service that greets with 220), "tls", "rsync",
// "pop3", "imap", "sip", "redis", "memcached", "amqp", "mongodb", "adb", "ntrip", "fox", "" (nothing known). At most 64 bytes are looked at,
// 4,096 for a telnet prompt.
std::string_view recognise(ByteView bytes);

}  // namespace nora::survey
