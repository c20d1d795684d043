// The wires of the demo world: scan - wall - core - {ISPs - homes, business, darknet, portal}, and center without a wire.
// Used by the world. Every neighbour entry is static and every router drops what nobody owns, so an idle wire carries nothing.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace nora::neighbourhood {

// Makes all namespaces, cables, addresses and routes. Sakura's homes get no address here: they ask Kea for one.
Status build_network();
// The MAC address of the interface `device` in that namespace; the plan's own, so that the raw sender needs no ARP.
std::string mac_of(const std::string& netns, const std::string& device);
// Takes a home's cable out of the wall; puts it back (the kernel forgets routes and IPv6 addresses of an interface that is down).
Status unplug_home(const std::string& device);
Status plug_home(const std::string& device);

}  // namespace nora::neighbourhood
