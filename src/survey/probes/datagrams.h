// Answers to the UDP probes of data/probes/catalogue.tsv. One function per protocol, in one file per family; parse.cc asks parse_datagram().
// Parts of an item: one per datagram. What proves the exposure and what names the product is kept; names of people, of sites and of hosts,
// contents and other parties' addresses are not. Pure; runs in the jail. A function returns false when the bytes are another protocol's.
#pragma once

#include <optional>
#include <span>

#include "survey/probes/parsed.h"

namespace nora::survey {

struct DatagramParser {
  std::string_view probe;
  bool (*parse)(Parsed& out, const Item& item);
};
std::span<const DatagramParser> name_parsers();       // datagrams_names.cc: DNS, mDNS, NetBIOS, NTP, SNMP, SSDP, CoAP, NAT-PMP
std::span<const DatagramParser> service_parsers();    // datagrams_services.cc: inetd's small services, memcached, CLDAP, port mapper, TFTP …
std::span<const DatagramParser> discovery_parsers();  // datagrams_discovery.cc: WS-Discovery, SLP, makers' own searches
std::span<const DatagramParser> tunnel_parsers();     // datagrams_tunnels.cc: STUN, SIP, VPNs, QUIC, DTLS, remote screens, IPMI
std::span<const DatagramParser> peer_parsers();       // datagrams_peers.cc: games, BitTorrent, Kad
std::span<const DatagramParser> control_parsers();    // datagrams_control.cc: controllers of machines and buildings

// Nothing: no UDP probe has this name. False: the answer is not this protocol's.
std::optional<bool> parse_datagram(Parsed& out, const Item& item);

// Shared by the families.
ByteView first_datagram(const Item& item);                       // empty when there is none
std::string clean(ByteView bytes, std::size_t max_bytes = 256);  // up to the first NUL, blanks at both ends cut
bool is_text(ByteView bytes);                                    // printable ASCII and line ends only, and something at all
std::uint16_t u16le(ByteView bytes, std::size_t at);             // 0 beyond the end
std::uint32_t u32le(ByteView bytes, std::size_t at);

}  // namespace nora::survey
