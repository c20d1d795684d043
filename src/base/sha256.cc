// SHA-256 (base/crypto.h). libcrypto's plain functions: an EVP context costs 200 ns a piece, which is more than hashing a leaf or a record.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/crypto.h"

namespace nora {
namespace {

SHA256_CTX* context(std::array<std::uint8_t, 128>& state) { return reinterpret_cast<SHA256_CTX*>(state.data()); }

}  // namespace

Sha256::Sha256() {
  static_assert(sizeof(SHA256_CTX) <= sizeof state_);
  SHA256_Init(context(state_));
}

void Sha256::update(ByteView data) { SHA256_Update(context(state_), data.data(), data.size()); }

Hash Sha256::finish() {
  Hash hash;
  SHA256_Final(hash.data(), context(state_));
  SHA256_Init(context(state_));
  return hash;
}

Hash sha256(ByteView data) { return sha256({data}); }

Hash sha256(std::initializer_list<ByteView> parts) {
  Sha256 state;
  for (auto part : parts) state.update(part);
  return state.finish();
}

}  // namespace nora
