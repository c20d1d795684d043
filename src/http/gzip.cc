#include "http/gzip.h"

#include <array>
#include <boost/beast/zlib/deflate_stream.hpp>
#include <cstdint>

namespace nora::http {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    t[i] = c;
  }
  return t;
}();

void put_u32le(std::string& out, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(v >> (8 * i));
}

}  // namespace

std::string gzip(std::string_view body) {
  namespace z = boost::beast::zlib;
  z::deflate_stream stream;
  stream.reset(6, 15, 8, z::Strategy::normal);
  std::string out("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
  const auto head = out.size();
  out.resize(head + stream.upper_bound(body.size()) + 64);
  z::z_params p{};
  p.next_in = body.data();
  p.avail_in = body.size();
  p.next_out = out.data() + head;
  p.avail_out = out.size() - head;
  boost::system::error_code error;
  stream.write(p, z::Flush::finish, error);
  out.resize(head + p.total_out);
  std::uint32_t crc = 0xffffffffu;
  for (const char c : body) crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  put_u32le(out, crc ^ 0xffffffffu);
  put_u32le(out, static_cast<std::uint32_t>(body.size()));
  return out;
}

bool accepts_gzip(std::string_view accept) {
  while (!accept.empty()) {
    const auto end = accept.find(',');
    auto item = accept.substr(0, end);
    accept = end == std::string_view::npos ? std::string_view{} : accept.substr(end + 1);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    const auto name = item.substr(0, item.find_first_of("; "));
    if (name != "gzip" && name != "*") continue;
    const auto q = item.find("q=0");
    return q == std::string_view::npos || (q + 3 < item.size() && item[q + 3] == '.' && item.find_first_of("123456789", q + 4) != std::string_view::npos);
  }
  return false;
}

}  // namespace nora::http
