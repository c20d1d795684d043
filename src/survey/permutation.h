// Permutation: a keyed bijection of [0, n) for any n: balanced Feistel network with cycle walking. Used by the sender (walks) and the
// engine. Immutable; any thread. The state of a walk is one 64-bit index (survey.md section 8): resume needs nothing else.
#pragma once

#include <array>
#include <cstdint>

namespace nora::survey {

using Key = std::array<std::uint8_t, 16>;

// SipHash-2-4 (Aumasson, Bernstein 2012) of up to 32 bytes; also used for the stateless tokens.
std::uint64_t siphash(const Key& key, const std::uint8_t* data, std::size_t n);

class Permutation {
 public:
  Permutation(std::uint64_t n, const Key& key);
  std::uint64_t size() const { return n_; }
  std::uint64_t at(std::uint64_t i) const;     // i < size()
  std::uint64_t place(std::uint64_t x) const;  // at(place(x)) == x: which segment a probe belongs to

 private:
  static constexpr int rounds = 6;
  std::uint64_t encrypt(std::uint64_t x) const;
  std::uint64_t decrypt(std::uint64_t x) const;
  std::uint64_t mix(std::uint64_t half, std::uint64_t round_key) const;
  std::uint64_t n_;
  int half_bits_;
  std::uint64_t mask_;
  std::array<std::uint64_t, rounds> round_keys_{};
};

}  // namespace nora::survey
