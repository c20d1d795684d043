// DER elements in datagrams (SNMP, LDAP): tag, definite length, value (X.690 section 8.1). Used by the parsers of this folder. Inline, total.
#pragma once

#include <optional>

#include "survey/probes/reader.h"

namespace nora::survey {

inline std::int64_t der_length(Reader& r) {
  auto first = r.u8();
  if (first < 0x80) return first;
  int n = first & 0x7f;
  if (n == 0 || n > 4) return -1;
  std::int64_t length = 0;
  while (n-- > 0) length = length << 8 | r.u8();
  return length;
}
// Enters the value of one element with this tag; nothing when it is another or cut.
inline std::optional<ByteView> der(Reader& r, std::uint8_t tag) {
  if (r.u8() != tag) return std::nullopt;
  auto length = der_length(r);
  if (length < 0) return std::nullopt;
  auto value = r.take(static_cast<std::size_t>(length));
  if (r.bad()) return std::nullopt;
  return value;
}

}  // namespace nora::survey
