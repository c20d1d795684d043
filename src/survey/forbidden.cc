#include "survey/forbidden.h"

#include <algorithm>

namespace nora::survey {
namespace {

enum class At { start, anywhere };

struct Text {
  std::string_view word;  // lower case; compared without case
  std::string_view why;
};
// In whatever protocol: none of these words stands in a harmless question.
constexpr Text texts[] = {{"user ", "a login"},
                          {"pass ", "a login"},
                          {"auth ", "a login"},
                          {"login ", "a login"},
                          {"authorization:", "a login"},
                          {"authenticate", "a login"},
                          {"password", "a password"},
                          {"passwd", "a password"},
                          {"anonymous", "a login name"},
                          {"addportmapping", "a port mapping"},
                          {"addanyportmapping", "a port mapping"},
                          {"deleteportmapping", "a port mapping"},
                          {"forcetermination", "a state change"},
                          {"subscribe", "a subscription"},
                          {"setup ", "a stream set-up"},
                          {"play ", "a stream"},
                          {"record ", "a stream"},
                          {"invite ", "a call"},
                          {"register ", "a registration"},
                          {"announce_peer", "a write into the DHT"},
                          {"flush_all", "a write"},
                          {"shutdown", "a state change"},
                          {"put ", "a write"},
                          {"post ", "a write"},
                          {"delete ", "a write"},
                          {"set ", "a write"},
                          {"stats", "a bulk answer"},
                          {"ssdp:all", "a bulk answer"},
                          {"\x1b%-12345x", "a print job"}};

struct Binary {
  std::uint16_t port;  // 0: any
  At at;
  Bytes bytes;
  std::string_view why;
};

const std::vector<Binary>& binaries() {
  const auto hex = [](std::string_view text) { return *from_hex(text); };
  static const std::vector<Binary> all = {
      {0, At::anywhere, hex("000000f8"), "the Lantronix query whose answer holds the password"},
      // UDS-10 user guide, table 19: 03 resets, FA and FD set the configuration, FC the address
      {30718, At::start, hex("00000003"), "a reset"},
      {30718, At::start, hex("000000fa"), "a write"},
      {30718, At::start, hex("000000fc"), "a write"},
      {30718, At::start, hex("000000fd"), "a write"},
      {30718, At::anywhere, hex("49502d5345545550"), "a write"},
      {53, At::anywhere, hex("0000ff0001"), "a DNS question for ANY, a bulk answer (RFC 8482)"},
      {69, At::start, hex("0002"), "a TFTP write (RFC 1350)"},
      {5351, At::start, hex("0001"), "a port mapping (RFC 6886)"},
      {5351, At::start, hex("0002"), "a port mapping (RFC 6886)"},
      {5351, At::start, hex("0201"), "a port mapping (RFC 6887)"},
      {2404, At::anywhere, hex("680407"), "STARTDT (IEC 60870-5-104)"},
  };
  return all;
}

char lower(std::uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); }

bool holds(ByteView bytes, std::string_view word) {
  return std::search(bytes.begin(), bytes.end(), word.begin(), word.end(), [](std::uint8_t a, char b) { return lower(a) == b; }) !=
         bytes.end();
}

}  // namespace

std::optional<std::string_view> forbidden(ByteView bytes, std::span<const std::uint16_t> ports) {
  for (const auto& t : texts)
    if (holds(bytes, t.word)) return t.why;
  for (const auto& b : binaries()) {
    if (b.port != 0 && std::find(ports.begin(), ports.end(), b.port) == ports.end()) continue;
    const auto found = std::search(bytes.begin(), bytes.end(), b.bytes.begin(), b.bytes.end());
    if (found != bytes.end() && (b.at == At::anywhere || found == bytes.begin())) return b.why;
  }
  return std::nullopt;
}

bool holds_credential_word(ByteView bytes) {
  return holds(bytes, "public") || holds(bytes, "private") || holds(bytes, "community") || holds(bytes, "admin");
}

}  // namespace nora::survey
