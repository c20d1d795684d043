// gzip (RFC 1952) for whole text bodies, over Beast's deflate. Used by the server only; streamed bodies are never compressed (each line must leave
// at once). Tokens in pages carry a nonce, so compression reveals nothing about them (BREACH).
#pragma once

#include <string>
#include <string_view>

namespace nora::http {

inline constexpr std::size_t gzip_from_bytes = 1024;

std::string gzip(std::string_view body);
bool accepts_gzip(std::string_view accept_encoding);  // "gzip" or "*" named without q=0

}  // namespace nora::http
