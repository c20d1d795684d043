// Files, screens and tunnels over TCP: SMB2 NEGOTIATE, AFP status, ONC RPC NULL, RDP connection confirm, X11 set-up, PPTP start. Used by
// parse.cc. Parts: [everything the device sent]. Each returns false when the bytes are another protocol's. Pure; runs in the jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

bool parse_smb(Parsed& out, ByteView bytes);   // [MS-SMB2] section 2.2.4
bool parse_afp(Parsed& out, ByteView bytes);   // DSI and FPGetSrvrInfo
bool parse_rpc(Parsed& out, ByteView bytes, std::string_view protocol);  // RFC 5531; "portmap" or "nfs"
bool parse_rdp(Parsed& out, ByteView bytes);   // [MS-RDPBCGR] section 2.2.1.2
bool parse_x11(Parsed& out, ByteView bytes);   // X Window System Protocol, connection set-up
bool parse_pptp(Parsed& out, ByteView bytes);  // RFC 2637 section 2.2

}  // namespace nora::survey
