// The hashes by which icons are known elsewhere: MD5 (recog's favicon.md5) and MurmurHash3 over base64 lines (the favicon hash of public
// lists). Used by web.cc. Neither is for security. Pure; runs in the jail.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace nora::survey {

std::string md5_hex(ByteView bytes);
std::uint32_t murmur3(ByteView bytes, std::uint32_t seed);  // x86, 32 bit
// The signed decimal of murmur3, seed 0, over the base64 text with a line feed after every 76 characters and at its end.
std::string icon_number(ByteView icon);

}  // namespace nora::survey
