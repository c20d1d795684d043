// Brokers, stores, telephones and debuggers over TCP: AMQP, Redis, memcached, MongoDB, SIP, ADB, rsync. Used by parse.cc. Parts: [everything
// the device sent]. Each returns false when the bytes are another protocol's. Pure; runs in the jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

bool parse_amqp(Parsed& out, ByteView bytes);       // AMQP 0-9-1 section 4.2, Connection.Start
bool parse_redis(Parsed& out, ByteView bytes);      // RESP
bool parse_memcached(Parsed& out, ByteView bytes);  // the text protocol
bool parse_mongodb(Parsed& out, ByteView bytes);    // OP_REPLY to isMaster
bool parse_sip(Parsed& out, ByteView bytes);        // RFC 3261
bool parse_adb(Parsed& out, ByteView bytes);        // CNXN, AUTH, STLS
bool parse_rsync(Parsed& out, ByteView bytes);      // @RSYNCD greeting

}  // namespace nora::survey
