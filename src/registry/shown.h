// What devices show: of each service the newest place where the device stood, and there the newest answer of each kind. One query for many devices.
// Used by flow for samples and clusters. Limit: max_shown_devices per call. One thread per Db.
#pragma once

#include <functional>
#include <span>

#include "registry/registry.h"

namespace nora::registry {

inline constexpr std::size_t max_shown_devices = 500;

struct ShownReply {
  Port port;
  Proto proto = Proto::tcp;
  std::string probe;
  Hash hash{};
};
struct ShownDevice {
  Id device = 0;
  std::vector<ShownReply> replies;   // newest first; every answer of the place once, old ones too
};
// Ascending by device; one that was never anywhere is left out.
Result<std::vector<ShownDevice>> shown(store::Db& db, std::span<const Id> devices);

// Of the answers of one (service, probe, protocol) the newest stays, and the same answer of a service once; what a middlebox said goes.
// protocol_of: of a stored reply; empty: not stored, goes too.
void keep_newest(std::vector<ShownReply>& replies, const std::function<std::string_view(const Hash&)>& protocol_of);

}  // namespace nora::registry
