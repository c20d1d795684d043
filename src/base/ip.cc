#include "base/ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nora {
namespace {

bool bit(const std::array<std::uint8_t, 16>& b, int i) { return (b[i / 8] >> (7 - i % 8)) & 1; }

// Length counted in the 128-bit form: an IPv4 /24 is a v4-mapped /120.
int length128(const Ip& base, int length) { return base.is_v4() ? length + 96 : length; }

std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> b, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int keep = std::clamp(bits - 8 * i, 0, 8);
    b[i] &= static_cast<std::uint8_t>(0xff00 >> keep);
  }
  return b;
}

template <class T>
bool parse_decimal(std::string_view text, T& out) {
  if (text.empty() || text.size() > 10 || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 10);
  return error == std::errc{} && end == text.data() + text.size() && text[0] != '-' && text[0] != '+';
}

}  // namespace

Result<Ip> Ip::parse(std::string_view text) {
  const auto bad = [&] { return fail(Code::bad_input, fmt::format("\"{}\" is not an IP address", std::string(text.substr(0, 60)))); };
  if (text.find(':') == std::string_view::npos) {
    std::uint32_t value = 0;
    int parts = 0;
    while (true) {
      const auto dot = text.find('.');
      unsigned part = 0;
      if (!parse_decimal(text.substr(0, dot), part) || part > 255) return bad();
      value = value << 8 | part;
      if (++parts > 4) return bad();
      if (dot == std::string_view::npos) break;
      text.remove_prefix(dot + 1);
    }
    if (parts != 4) return bad();
    return Ip::v4(value);
  }
  if (text.size() > 45) return bad();
  char copy[46];
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  if (std::memchr(copy, 0, text.size()) != nullptr) return bad();
  std::array<std::uint8_t, 16> bytes;
  if (inet_pton(AF_INET6, copy, bytes.data()) != 1) return bad();
  return Ip::v6(bytes);
}

Result<Ip> Ip::from_bytes(ByteView bytes) {
  if (bytes.size() == 4) return Ip::v4(get_u32be(bytes.data()));
  if (bytes.size() != 16) return fail(Code::bad_input, "an address has 4 or 16 bytes");
  std::array<std::uint8_t, 16> b;
  std::memcpy(b.data(), bytes.data(), 16);
  return Ip::v6(b);
}

std::string Ip::text() const {
  if (is_v4()) return fmt::format("{}.{}.{}.{}", b_[12], b_[13], b_[14], b_[15]);
  char out[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, b_.data(), out, sizeof out);
  return out;
}

Ip Ip::plus(std::uint64_t n) const {
  Ip out = *this;
  for (int i = 15; i >= 0 && n != 0; --i) {
    n += out.b_[i];
    out.b_[i] = static_cast<std::uint8_t>(n & 0xff);
    n >>= 8;
  }
  return out;
}

Prefix Prefix::of(Ip ip, int length) {
  Prefix p;
  p.base_ = Ip::v6(masked(ip.bytes(), length128(ip, length)));
  p.length_ = length;
  return p;
}

Result<Prefix> Prefix::make(Ip base, int length) {
  if (length < 0 || length > (base.is_v4() ? 32 : 128)) return fail(Code::bad_input, fmt::format("/{} is no prefix length for {}", length, base.text()));
  const Prefix p = of(base, length);
  if (p.base_ != base) {
    return fail(Code::bad_input, fmt::format("{}/{} has host bits set", base.text(), length), fmt::format("write {}", p.text()));
  }
  return p;
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  NORA_TRY(const Ip base, Ip::parse(text.substr(0, slash)));
  int length = base.is_v4() ? 32 : 128;
  if (slash != std::string_view::npos && !parse_decimal(text.substr(slash + 1), length)) {
    return fail(Code::bad_input, fmt::format("\"{}\" is not a prefix", std::string(text.substr(0, 60))));
  }
  return make(base, length);
}

bool Prefix::contains(Ip ip) const {
  if (ip.is_v4() != base_.is_v4()) return false;
  const int bits = length128(base_, length_);
  const auto& a = ip.bytes();
  const auto& b = base_.bytes();
  const int whole = bits / 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
  for (int i = whole * 8; i < bits; ++i) if (bit(a, i) != bit(b, i)) return false;
  return true;
}

bool Prefix::contains(const Prefix& other) const { return other.length_ >= length_ && contains(other.base_); }

Ip Prefix::last() const {
  auto b = base_.bytes();
  const int bits = length128(base_, length_);
  for (int i = 0; i < 16; ++i) b[i] |= static_cast<std::uint8_t>(0xff >> std::clamp(bits - 8 * i, 0, 8));
  return Ip::v6(b);
}

std::uint64_t Prefix::size() const {
  const int host_bits = (is_v4() ? 32 : 128) - length_;
  return host_bits >= 64 ? ~std::uint64_t{0} : std::uint64_t{1} << host_bits;
}

std::string Prefix::text() const { return fmt::format("{}/{}", base_.text(), length_); }

Result<Port> parse_port(std::string_view text) {
  unsigned value = 0;
  if (!parse_decimal(text, value) || value == 0 || value > 65535) {
    return fail(Code::bad_input, fmt::format("\"{}\" is not a port", std::string(text.substr(0, 20))), "give a number from 1 to 65535");
  }
  return Port{static_cast<std::uint16_t>(value)};
}

std::string_view name(Proto proto) { return proto == Proto::tcp ? "tcp" : "udp"; }

Result<Proto> parse_proto(std::string_view text) {
  if (text == "tcp") return Proto::tcp;
  if (text == "udp") return Proto::udp;
  return fail(Code::bad_input, fmt::format("\"{}\" is not a protocol", std::string(text.substr(0, 20))), "use tcp or udp");
}

std::string text(const Endpoint& e) {
  return fmt::format(fmt::runtime(e.ip.is_v4() ? "{}:{}/{} at {}" : "[{}]:{}/{} at {}"), e.ip.text(), e.port.value, name(e.proto), e.at.text());
}

}  // namespace nora
