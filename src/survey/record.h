// The segment file: one record of 20 bytes per probe sent, in order; its SHA-256 stands in the leaf. Used by the sender (writes), `nora
// scan status` and auditors (read). Big endian: t (8, microseconds UTC), destination (8, Space::record_address), port (2), probe (2, place
// in the catalogue).
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"

namespace nora::survey {

inline constexpr std::size_t record_bytes = 20;

struct Record {
  Instant at;
  std::uint64_t dest = 0;
  std::uint16_t port = 0, probe = 0;
  bool operator==(const Record&) const = default;
};
void put(Bytes& out, const Record& record);
Result<std::vector<Record>> read_records(ByteView file);  // Errors: bad_input (length is not a multiple of 20)

}  // namespace nora::survey
