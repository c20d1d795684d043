// What a reply parser gets and gives. Used by the parsers, by nora-parse (which runs them in the jail) and by the engine (which only
// decodes). Parsers are pure functions on bytes: no clock, no file, no allocation beyond a small multiple of the input (max_item_bytes).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "registry/types.h"

namespace nora::survey {

inline constexpr std::size_t max_item_bytes = 64 * 1024;  // all parts of one item together; the grabber stops reading there
inline constexpr std::size_t max_value_bytes = 4 * 1024;  // of one key's value
inline constexpr std::size_t max_keys = 128;

// One conversation, or all datagrams that answered one UDP probe.
struct Item {
  std::string probe;  // id in the catalogue
  std::string ip;     // of the device, as text: decides what "the same host" is
  std::uint16_t port = 0;
  std::vector<Bytes> parts;  // bytes of the device, in order; what a part is depends on the probe (see the probe's header)
};

struct Parsed {
  std::string protocol;  // what answered
  Bytes bytes;           // the transcript without what varies per connection
  std::vector<registry::KeyValue> keys;
  std::string redirect;  // path on the same host and port that the page sends us to
  std::string location_path;
  std::uint16_t location_port = 0;
  bool proxy_suspect = false;  // the answer of proxy software: worth the relay proof
  bool printer_suspect = false;
  std::string control_path;          // of an internet gateway's WAN connection service on the same host and port
  std::uint8_t control_service = 0;  // 1 + its place in wan_services (words.h); 0: none

  void add(std::string_view key, std::string_view value) {
    if (keys.size() >= max_keys) return;
    keys.push_back({std::string(key), std::string(value.substr(0, max_value_bytes))});
  }
  // The reply is what was learnt: the answer itself holds clocks and counters, or more than may be kept.
  void keep_keys_only() {
    std::string text;
    for (const auto& k : keys) text += k.key + ": " + k.value + "\n";
    bytes = to_bytes(text);
  }
  const std::string* find(std::string_view key) const {
    for (const auto& k : keys)
      if (k.key == key) return &k.value;
    return nullptr;
  }
};

}  // namespace nora::survey
