#include "survey/record.h"

namespace nora::survey {
namespace {

void put_u64(Bytes& out, std::uint64_t v) {
  put_u32be(out, static_cast<std::uint32_t>(v >> 32));
  put_u32be(out, static_cast<std::uint32_t>(v));
}
std::uint64_t get_u64(const std::uint8_t* p) { return std::uint64_t{get_u32be(p)} << 32 | get_u32be(p + 4); }

}  // namespace

void put(Bytes& out, const Record& r) {
  put_u64(out, static_cast<std::uint64_t>(r.at.us));
  put_u64(out, r.dest);
  put_u16be(out, r.port);
  put_u16be(out, r.probe);
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
