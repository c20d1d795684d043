// Secret: bytes that cannot be printed. No formatter, no stream operator, no copy; wiped when it dies.
// Used for private keys, HMAC keys and survey keys. reveal() is the one way in and is easy to search for.
#pragma once

#include "base/bytes.h"

namespace nora {

class Secret {
 public:
  Secret() = default;
  explicit Secret(Bytes bytes) : bytes_(std::move(bytes)) {}
  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();
  ByteView reveal() const { return bytes_; }
  Secret duplicate() const { return Secret(bytes_); }
  bool empty() const { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

}  // namespace nora
