// domain: http
// A whole HTTP request as bytes. What comes through is clean: a path that starts with "/" without dot segments and controls, no header with CR or LF.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/server.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  static const http::ServerOptions options;
  const auto request = http::read_request(as_text(ByteView(data, size)), options);
  if (!request) return 0;
  const auto& path = request->path;
  if (path.empty() || path[0] != '/' || path.find("/../") != std::string::npos || path.ends_with("/..")) std::abort();
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  for (const auto& [name, value] : request->headers)
    if (name.find_first_of("\r\n") != std::string::npos || value.find_first_of("\r\n") != std::string::npos) std::abort();
  if (request->body.size() > options.body_bytes_max) std::abort();
  if (request->peer != Ip()) std::abort();  // nothing in the bytes can name the peer
  return 0;
}
