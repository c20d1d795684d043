// domain: isp
// Kea hook logs and lease journals. Cutting the bytes in two must not change what is read; intervals must be intervals.
#include <cstdlib>

#include "isp/index.h"
#include "isp/kea.h"
#include "isp/sessions.h"

using namespace nora;
using namespace nora::isp;

namespace {

template <class Parse>
std::vector<LeaseRecord> run(std::string_view text, std::size_t cut, const Parse& parse) {
  std::vector<LeaseRecord> out;
  ImportCounts counts;
  auto sink = [&](LeaseRecord&& r) { out.push_back(std::move(r)); };
  std::string buffer(text.substr(0, cut));
  auto used = parse(std::string_view(buffer), false, std::uint64_t{0}, RecordSink(sink), counts);
  if (used > buffer.size()) std::abort();
  buffer = buffer.substr(used) + std::string(text.substr(cut));
  parse(std::string_view(buffer), true, std::uint64_t{used}, RecordSink(sink), counts);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto hook = [](std::string_view d, bool end, std::uint64_t offset, const RecordSink& sink, ImportCounts& c) { return parse_kea_hook(d, end, "f", offset, sink, c); };
  auto header = text.substr(0, text.find('\n'));
  auto rows = [&](std::string_view d, bool end, std::uint64_t offset, const RecordSink& sink, ImportCounts& c) { return parse_kea_rows(d, end, header, "f", offset, sink, c); };
  auto records = run(text, 0, hook);
  if (size < max_raw_record_bytes && run(text, size / 2, hook) != records) std::abort();
  if (is_kea_header(header)) {
    auto more = run(text, 0, rows);
    if (size < max_raw_record_bytes && run(text, size / 2, rows) != more) std::abort();
    records.insert(records.end(), more.begin(), more.end());
  }
  for (const auto& i : build_intervals(records, {}))
    if (i.end <= i.start || i.sure_end > i.end || i.record >= records.size()) std::abort();
  return 0;
}
