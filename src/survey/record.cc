#include "survey/record.h"

namespace nora::survey {
namespace {

void store_u64(std::uint8_t* p, std::uint64_t v) {
  for (int i = 0; i < 8; ++i) p[i] = static_cast<std::uint8_t>(v >> (56 - 8 * i));
}
std::uint64_t get_u64(const std::uint8_t* p) { return std::uint64_t{get_u32be(p)} << 32 | get_u32be(p + 4); }

}  // namespace

void put(Bytes& out, const Record& r) {
  std::uint8_t b[record_bytes];
  store_u64(b, static_cast<std::uint64_t>(r.at.us));
  store_u64(b + 8, r.dest);
  b[16] = static_cast<std::uint8_t>(r.port >> 8);
  b[17] = static_cast<std::uint8_t>(r.port);
  b[18] = static_cast<std::uint8_t>(r.probe >> 8);
  b[19] = static_cast<std::uint8_t>(r.probe);
  out.insert(out.end(), b, b + record_bytes);
}

Result<std::vector<Record>> read_records(ByteView file) {
  if (file.size() % record_bytes != 0) return fail(Code::bad_input, "a segment file of " + std::to_string(file.size()) + " bytes is cut");
  std::vector<Record> out;
  out.reserve(file.size() / record_bytes);
  for (std::size_t at = 0; at < file.size(); at += record_bytes)
    out.push_back(
        {{static_cast<std::int64_t>(get_u64(&file[at]))}, get_u64(&file[at + 8]), get_u16be(&file[at + 16]), get_u16be(&file[at + 18])});
  return out;
}

}  // namespace nora::survey
