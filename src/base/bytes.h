// Bytes, hex and base64: raw data that stays raw. Used by every folder. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nora {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using Hash = std::array<std::uint8_t, 32>;  // SHA-256

inline ByteView as_bytes(std::string_view s) { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }
inline std::string_view as_text(ByteView b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
inline Bytes to_bytes(std::string_view s) { return {s.begin(), s.end()}; }
inline std::string to_string(ByteView b) { return {b.begin(), b.end()}; }

std::string to_hex(ByteView bytes);                       // lower case
Result<Bytes> from_hex(std::string_view text);            // even length, [0-9a-fA-F], blanks allowed between bytes
std::string to_base64(ByteView bytes);                    // RFC 4648 section 4, padded
Result<Bytes> from_base64(std::string_view text);         // white space ignored; padding required
Result<Hash> hash_from_hex(std::string_view text);        // exactly 64 digits

inline void put_u16be(Bytes& out, std::uint16_t v) { out.push_back(v >> 8); out.push_back(v & 0xff); }
inline void put_u32be(Bytes& out, std::uint32_t v) { put_u16be(out, v >> 16); put_u16be(out, v & 0xffff); }
inline std::uint16_t get_u16be(const std::uint8_t* p) { return static_cast<std::uint16_t>(p[0] << 8 | p[1]); }
inline std::uint32_t get_u32be(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

}  // namespace nora
