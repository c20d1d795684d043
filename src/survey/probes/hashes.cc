#include "survey/probes/hashes.h"

#include <openssl/evp.h>

#include <bit>

namespace nora::survey {

std::string md5_hex(ByteView bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &n, EVP_md5(), nullptr) != 1) return {};
  return to_hex(ByteView(digest, n));
}

std::uint32_t murmur3(ByteView bytes, std::uint32_t seed) {
  constexpr std::uint32_t c1 = 0xcc9e2d51, c2 = 0x1b873593;
  std::uint32_t h = seed;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t k = std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 | std::uint32_t{bytes[at + 3]} << 24;
    h ^= std::rotl(k * c1, 15) * c2;
    h = std::rotl(h, 13) * 5 + 0xe6546b64;
  }
  std::uint32_t k = 0;
  for (std::size_t i = bytes.size(); i > at; --i) k = k << 8 | bytes[i - 1];
  if (at < bytes.size()) h ^= std::rotl(k * c1, 15) * c2;
  h ^= static_cast<std::uint32_t>(bytes.size());
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

std::string icon_number(ByteView icon) {
  constexpr std::size_t line_chars = 76;
  const auto text = to_base64(icon);
  std::string lines;
  for (std::size_t at = 0; at < text.size(); at += line_chars) lines += text.substr(at, line_chars) + "\n";
  return std::to_string(static_cast<std::int32_t>(murmur3(as_bytes(lines), 0)));
}

}  // namespace nora::survey
