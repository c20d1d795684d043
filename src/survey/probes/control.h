// Controllers of machines and buildings over TCP: S7, EtherNet/IP, DNP3, IEC 60870-5-104, SLMP, Niagara Fox, OPC UA, HART-IP, GE-SRTP,
// Lantronix (Modbus: small.h). Used by parse.cc. Parts: one per word that was answered. Names that the site gave (station, plant, tag) are not
// kept. Each returns false when the bytes are another protocol's. Pure; runs in the jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

bool parse_s7(Parsed& out, const Item& item);        // RFC 1006, COTP, S7 SZL 0x0011 and 0x001c
bool parse_enip(Parsed& out, ByteView bytes);        // CIP volume 2, List Identity
bool parse_dnp3(Parsed& out, ByteView bytes);        // IEEE 1815 data link
bool parse_iec104(Parsed& out, ByteView bytes);      // TESTFR con
bool parse_slmp(Parsed& out, ByteView bytes);        // 3E frame, read type name
bool parse_fox(Parsed& out, ByteView bytes);         // fox hello
bool parse_opcua(Parsed& out, ByteView bytes);       // OPC 10000-6: ACK or ERR
bool parse_hart(Parsed& out, const Item& item);      // command 0
bool parse_srtp(Parsed& out, ByteView bytes);
bool parse_lantronix(Parsed& out, ByteView bytes);

}  // namespace nora::survey
