// Test support: a few random changes to a reply, as the parser tests feed it. Used by probes_test and datagrams_test only.
#pragma once

#include <random>

#include "base/bytes.h"

namespace nora::survey {

// Up to five times: a byte set, a byte put in, a byte taken out, or the rest cut off.
inline Bytes mutated(Bytes bytes, std::mt19937& random) {
  for (int k = static_cast<int>(random() % 6); k > 0 && !bytes.empty(); --k) {
    auto at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 1:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
        break;
      case 2:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

}  // namespace nora::survey
