// The clustering of all devices without a name that is going on: distinct replies reduced to numbers. Private to history.cc, recluster.cc and Pipeline.
// Memory: 24 bytes per distinct reply and what identify/clusterer says; it is gone when the last device is done.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "identify/clusterer.h"
#include "registry/reply_scan.h"

namespace nora::flow {

inline constexpr std::string_view cluster_mark = "history.cluster_device";   // the last device that has its key

struct Recluster {
  // A reply by half of its hash: 128 bits of SHA-256 do not meet.
  struct Entry {
    std::array<std::uint8_t, 16> half{};
    std::uint32_t number = 0;
    std::uint32_t protocol = 0;
  };
  identify::Clusterer clusterer;
  std::vector<Entry> replies;                  // by half, once all parts are read
  std::map<Hash, Entry> late;                  // stored after their part was read
  std::vector<std::string> protocols;
  int part = 0;

  Entry add(const registry::StoredKeys& reply);
  const Entry* find(const Hash& hash) const;
};

}  // namespace nora::flow
