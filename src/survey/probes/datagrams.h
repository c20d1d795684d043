// Answers to the UDP probes: DNS, NTP mode 6, SNMPv3 engine discovery, SSDP, CoAP, NAT-PMP. Parts: one per datagram. Pure; runs in the
// jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

bool parse_dns(Parsed& out, const Item& item, bool version);  // RFC 1035
bool parse_ntp(Parsed& out, const Item& item);                // RFC 9327
bool parse_snmpv3(Parsed& out, const Item& item);             // RFC 3412, RFC 3414
bool parse_ssdp(Parsed& out, const Item& item);
bool parse_coap(Parsed& out, const Item& item);    // RFC 7252
bool parse_natpmp(Parsed& out, const Item& item);  // RFC 6886

}  // namespace nora::survey
