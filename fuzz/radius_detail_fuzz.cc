// domain: isp
// FreeRADIUS detail files. The same bytes in two pieces must give the same records; whatever comes out must survive the index codec and make
// intervals that are intervals.
#include <algorithm>
#include <cstdlib>

#include "isp/index.h"
#include "isp/radius_detail.h"
#include "isp/sessions.h"

using namespace nora;
using namespace nora::isp;

namespace {

std::vector<LeaseRecord> parse(std::string_view text, std::size_t cut) {
  std::vector<LeaseRecord> out;
  ImportCounts counts;
  auto sink = [&](LeaseRecord&& r) { out.push_back(std::move(r)); };
  std::string buffer(text.substr(0, cut));
  auto used = parse_radius_detail(buffer, false, "f", 0, sink, counts);
  if (used > buffer.size()) std::abort();
  buffer = buffer.substr(used) + std::string(text.substr(cut));
  parse_radius_detail(buffer, true, "f", used, sink, counts);
  if (counts.records != static_cast<std::int64_t>(out.size())) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto whole = parse(text, 0);
  if (size > 0 && size < max_raw_record_bytes && parse(text, size / 2) != whole) std::abort();
  for (const auto& r : whole) {
    Bytes bytes;
    put_record(bytes, r);
    std::size_t pos = 0;
    auto back = get_record(bytes, pos);
    if (!back || *back != r || pos != bytes.size()) std::abort();
  }
  for (const auto& i : build_intervals(whole, estimate_clocks(whole)))
    if (i.end <= i.start || i.sure_end > i.end || i.sure_start < i.start || i.record >= whole.size()) std::abort();
  return 0;
}
