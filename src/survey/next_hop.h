// Who gets the Ethernet frame: the MAC of the gateway to an address, from the kernel's routes and its neighbour table, or by ARP. Used by
// the sender before it drops its rights. Nothing but ARP is ever sent here. IPv6 neighbours must be in the table (static, or resolved by
// the kernel).
#pragma once

#include <string_view>

#include "net/frame.h"

namespace nora::survey {

// `own`: our source address, asked for in the ARP request. Errors: environment (no route, no neighbour: the sentence names the gateway).
Result<net::Mac> next_hop(std::string_view iface, Ip dest, Ip own);

}  // namespace nora::survey
