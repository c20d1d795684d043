// Clusters of very many devices in one pass: distinct replies are reduced to numbers once, devices stream by. The keys are cluster_key()'s.
// Used by flow/recluster for all devices of a registry; a device that is seen gets its key by itself. One thread.
// Memory: 8 bytes per feature of a distinct reply, one copy of each distinct masked text, one entry per cluster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identify/cluster.h"

namespace nora::identify {

class Clusterer {
 public:
  // The keys of one distinct reply, in any order; they must live until end_reply(), which returns its number.
  void begin_reply() { open_.clear(); }
  void feature(std::string_view key, std::string_view value);
  std::uint32_t end_reply();

  // One service of a device with what it said. All of one device together, in the order of (port, protocol of transport, protocol of the reply).
  void observed(registry::Id device, std::uint32_t reply);

  struct Group {
    std::string key;
    std::int64_t devices = 0;
    registry::Id first = 0;   // one member, to look at
  };
  // Largest first, then by key.
  std::vector<Group> finish();
  std::size_t group_count() const { return groups_.size(); }   // of the devices that were ended
  // The key of the device whose observations came last; empty: nothing to hold on to.
  const std::string& key_of_device();

 private:
  struct Value { std::uint32_t feature = 0, text = 0; };
  void end_device();
  std::uint32_t intern(std::string text);

  std::unordered_map<std::string, std::uint32_t> texts_;
  std::vector<const std::string*> text_of_;
  std::vector<Value> values_;
  std::vector<std::uint32_t> starts_{0};
  struct Open { std::uint32_t feature = 0; std::string_view key, value; };
  std::vector<Open> open_;
  registry::Id device_ = 0;
  std::vector<std::uint32_t> now_;                              // by feature: text + 1 of the device under work
  std::unordered_map<std::string, std::uint32_t> group_of_;     // by face and texts, packed
  std::vector<Group> groups_;
  static constexpr std::uint32_t none = 0xffffffff;
  std::uint32_t last_ = none;                                   // group of the device that was ended last
};

}  // namespace nora::identify
