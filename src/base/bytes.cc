#include "base/bytes.h"

#include <sodium.h>

#include <algorithm>

#include "base/text.h"

namespace nora {

std::string to_hex(ByteView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (auto b : bytes) {
    out.push_back(digits[b >> 4]);
    out.push_back(digits[b & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
      continue;
    }
    if (i + 1 >= text.size()) return fail(Code::bad_input, "odd number of hex digits");
    const int hi = hex_digit(text[i]), lo = hex_digit(text[i + 1]);
    if (hi < 0 || lo < 0) return fail(Code::bad_input, "not a hex digit at position " + std::to_string(i));
    out.push_back(static_cast<std::uint8_t>(hi << 4 | lo));
    i += 2;
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the terminating zero
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  // libsodium 1.0.18 reads some bytes above 0x7f as the digit without the high bit: two spellings of one value.
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return fail(Code::bad_input, "not base64 (RFC 4648, padded)");
  Bytes out(text.size() / 4 * 3 + 3);
  std::size_t used = 0;
  const char* end = nullptr;
  if (sodium_base642bin(out.data(), out.size(), text.data(), text.size(), " \t\r\n", &used, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
      end != text.data() + text.size()) {
    return fail(Code::bad_input, "not base64 (RFC 4648, padded)");
  }
  out.resize(used);
  return out;
}

Result<Hash> hash_from_hex(std::string_view text) {
  NORA_TRY(const Bytes bytes, from_hex(text));
  if (bytes.size() != 32 || text.size() != 64) return fail(Code::bad_input, "a SHA-256 has 64 hex digits");
  Hash hash;
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

}  // namespace nora
