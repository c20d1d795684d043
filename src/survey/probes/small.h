// Small binary hellos over TCP: MQTT CONNACK, SOCKS5 method, Modbus device identification, IPP attributes; RTSP answers.
// Parts: [everything the device sent]; RTSP: [OPTIONS answer, DESCRIBE answers…]; IPP: [HTTP answers…]. Pure; runs in the jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

bool parse_mqtt(Parsed& out, ByteView bytes);  // false: not MQTT
bool parse_socks5(Parsed& out, ByteView bytes);
bool parse_modbus(Parsed& out, ByteView bytes);
bool parse_rtsp(Parsed& out, const Item& item);
bool parse_ipp(Parsed& out, const Item& item);
bool parse_upnp(Parsed& out, const Item& item);  // device description inside an HTTP answer

}  // namespace nora::survey
