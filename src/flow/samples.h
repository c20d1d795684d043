// Devices as identify sees them: what each of their services showed last. Used by naming, clusters and the placing of devices.
// Streams: devices_at_once of them are in memory. One thread per Registry.
#pragma once

#include <functional>
#include <span>

#include "identify/cluster.h"
#include "registry/registry.h"

namespace nora::flow {

using UseSample = std::function<Status(const identify::Sample& sample)>;
// In the order of the ids as far as one page goes; a device that does not exist or was never anywhere is left out.
Status read_samples(registry::Registry& registry, std::span<const registry::Id> devices, const UseSample& use);
// Every device that carries this cluster's key, ascending.
Status read_members(registry::Registry& registry, std::string_view cluster, const UseSample& use);

}  // namespace nora::flow
