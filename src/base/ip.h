// Ip, Prefix, Port, Proto, Asn, Endpoint: the vocabulary of addresses. Used by every folder.
// Plain values without hidden state; parsing is strict (no octal, no short forms, no zone, no blanks) and returns Result.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/result.h"

namespace nora {

// One address, IPv4 or IPv6, kept as 16 bytes; IPv4 as v4-mapped (RFC 4291 section 2.5.5.2), so that both order and hash alike.
class Ip {
 public:
  constexpr Ip() = default;
  static constexpr Ip v4(std::uint32_t host_order) {
    Ip ip;
    ip.b_[10] = ip.b_[11] = 0xff;
    for (int i = 0; i < 4; ++i) ip.b_[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    return ip;
  }
  static constexpr Ip v6(const std::array<std::uint8_t, 16>& bytes) { Ip ip; ip.b_ = bytes; return ip; }
  // "203.0.113.7" or RFC 4291 text; a v4-mapped IPv6 text becomes the IPv4 address. Errors: bad_input.
  static Result<Ip> parse(std::string_view text);
  static Result<Ip> from_bytes(ByteView bytes);  // 4 or 16 bytes

  constexpr bool is_v4() const {
    // Two words instead of twelve bytes: the send path asks several times a probe.
    const auto word = std::bit_cast<std::array<std::uint64_t, 2>>(b_);
    constexpr auto mapped = std::bit_cast<std::array<std::uint64_t, 2>>(std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
    constexpr auto mask = std::bit_cast<std::array<std::uint64_t, 2>>(
        std::array<std::uint8_t, 16>{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
    return word[0] == 0 && (word[1] & mask[1]) == mapped[1];
  }
  constexpr std::uint32_t v4_value() const {  // host order; only for is_v4()
    return std::uint32_t{b_[12]} << 24 | std::uint32_t{b_[13]} << 16 | std::uint32_t{b_[14]} << 8 | b_[15];
  }
  constexpr const std::array<std::uint8_t, 16>& bytes() const { return b_; }
  std::string text() const;  // RFC 5952
  Ip plus(std::uint64_t n) const;  // n addresses further, wraps at the end of the 128-bit space
  auto operator<=>(const Ip&) const = default;

 private:
  std::array<std::uint8_t, 16> b_{};
};

// A CIDR block. The host bits are zero by construction.
class Prefix {
 public:
  constexpr Prefix() = default;
  static Result<Prefix> make(Ip base, int length);  // length within the family: 0-32 or 0-128; host bits must be zero
  static Result<Prefix> parse(std::string_view text);  // "203.0.113.0/24", or an address alone (= /32, /128)
  static Prefix of(Ip ip, int length);  // the block of this length that holds ip
  bool contains(Ip ip) const;
  bool contains(const Prefix& other) const;
  bool is_v4() const { return base_.is_v4(); }
  Ip base() const { return base_; }
  Ip last() const;
  int length() const { return length_; }  // in its own family
  std::uint64_t size() const;  // number of addresses; saturates at 2^64-1
  std::string text() const;
  auto operator<=>(const Prefix&) const = default;

 private:
  Ip base_;
  int length_ = 0;
};

struct Port {
  std::uint16_t value = 0;
  auto operator<=>(const Port&) const = default;
};
Result<Port> parse_port(std::string_view text);  // 1-65535, decimal

enum class Proto : std::uint8_t { tcp = 6, udp = 17 };
std::string_view name(Proto proto);
Result<Proto> parse_proto(std::string_view text);

struct Asn {
  std::uint32_t value = 0;
  auto operator<=>(const Asn&) const = default;
};

// Where and when: an address without an instant cannot be looked up at an ISP (idea 5 of ARCHITECTURE.md).
struct Endpoint {
  Ip ip;
  Port port;
  Proto proto = Proto::tcp;
  Instant at;
  auto operator<=>(const Endpoint&) const = default;
};
std::string text(const Endpoint& endpoint);  // "203.0.113.7:80/tcp at 2026-…Z"; v6 in brackets

}  // namespace nora

template <>
struct std::hash<nora::Ip> {
  std::size_t operator()(const nora::Ip& ip) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(ip.bytes().data()), 16});
  }
};
