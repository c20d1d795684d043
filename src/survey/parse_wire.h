// The bytes between the engine and nora-parse: length-prefixed items one way, length-prefixed results the other. Used by both ends.
// The engine treats results as hostile (a parser may have been taken over): every length is checked. Pure; fuzzed
// (fuzz/parse_wire_fuzz.cc).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "survey/probes/parsed.h"

namespace nora::survey {

inline constexpr std::size_t max_frame_body = max_item_bytes * 2 + max_keys * (max_value_bytes + 512) + 4096;

struct WireItem {
  std::uint64_t id = 0;
  Item item;
};
struct WireResult {
  std::uint64_t id = 0;
  Parsed parsed;
};

Bytes encode(const WireItem& item);  // with the 4-byte length in front
Bytes encode(const WireResult& result);
std::optional<WireItem> decode_item(ByteView body);  // body: without the length; nothing when malformed
std::optional<WireResult> decode_result(ByteView body);

// Walks over the whole frames at the front of a buffer, which must stay; what used() counts may be cut off afterwards.
class FrameReader {
 public:
  explicit FrameReader(ByteView buffer) : buffer_(buffer) {}
  std::optional<ByteView> next();               // the body of the next whole frame; nothing: incomplete, or malformed
  std::size_t used() const { return used_; }
  bool malformed() const { return malformed_; }  // a length is beyond max_frame_body

 private:
  ByteView buffer_;
  std::size_t used_ = 0;
  bool malformed_ = false;
};

}  // namespace nora::survey
