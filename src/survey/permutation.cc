#include "survey/permutation.h"

#include <bit>
#include <cstring>

#include "base/result.h"

namespace nora::survey {

std::uint64_t siphash(const Key& key, const std::uint8_t* data, std::size_t n) {
  auto load = [](const std::uint8_t* p) {
    std::uint64_t v;
    std::memcpy(&v, p, 8);  // little endian, as the algorithm wants (x86-64, aarch64)
    return v;
  };
  std::uint64_t k0 = load(key.data()), k1 = load(key.data() + 8);
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d, v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
  auto round = [&] {
    v0 += v1;
    v1 = std::rotl(v1, 13);
    v1 ^= v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = std::rotl(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = std::rotl(v1, 17);
    v1 ^= v2;
    v2 = std::rotl(v2, 32);
  };
  std::size_t whole = n / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    auto m = load(data + i);
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }
  std::uint64_t last = std::uint64_t{n & 0xff} << 56;
  for (std::size_t i = whole; i < n; ++i) last |= std::uint64_t{data[i]} << (8 * (i - whole));
  v3 ^= last;
  round();
  round();
  v0 ^= last;
  v2 ^= 0xff;
  round();
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

Permutation::Permutation(std::uint64_t n, const Key& key) : n_(n) {
  NORA_ASSERT(n > 0 && n <= (std::uint64_t{1} << 62), "a survey has between 1 and 2^62 probes");
  // The smallest even number of bits that holds n: fewer than four steps of cycle walking on average.
  int bits = std::max(2, static_cast<int>(std::bit_width(n - 1)));
  half_bits_ = (bits + 1) / 2;
  mask_ = (std::uint64_t{1} << half_bits_) - 1;
  for (int i = 0; i < rounds; ++i) {
    std::uint8_t label[2] = {'p', static_cast<std::uint8_t>(i)};
    round_keys_[static_cast<std::size_t>(i)] = siphash(key, label, 2);
  }
}

// A mixing function is enough: the order need not be secret, only scattered and different per survey (splitmix64's finaliser).
std::uint64_t Permutation::mix(std::uint64_t half, std::uint64_t round_key) const {
  std::uint64_t z = half + round_key;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) & mask_;
}

std::uint64_t Permutation::encrypt(std::uint64_t x) const {
  std::uint64_t left = x >> half_bits_, right = x & mask_;
  for (auto k : round_keys_) {
    auto next = left ^ mix(right, k);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::decrypt(std::uint64_t x) const {
  std::uint64_t left = x >> half_bits_, right = x & mask_;
  for (auto k = round_keys_.rbegin(); k != round_keys_.rend(); ++k) {
    auto before = right ^ mix(left, *k);
    right = left;
    left = before;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::at(std::uint64_t i) const {
  std::uint64_t x = i;
  do x = encrypt(x);
  while (x >= n_);
  return x;
}

std::uint64_t Permutation::place(std::uint64_t x) const {
  do x = decrypt(x);
  while (x >= n_);
  return x;
}

}  // namespace nora::survey
