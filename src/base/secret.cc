#include "base/secret.h"

#include <sodium.h>

namespace nora {

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    sodium_memzero(bytes_.data(), bytes_.size());
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

Secret::~Secret() { sodium_memzero(bytes_.data(), bytes_.size()); }

}  // namespace nora
