// domain: survey
// Files that a survey reads back: plan, catalogue, segment file, spool lines.
#include <cstdlib>
#include <string_view>

#include "survey/plan.h"
#include "survey/record.h"
#include "survey/sink.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::survey;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto plan = Plan::parse(text)) {
    auto back = Plan::parse(plan->text());
    if (!back || back->text() != plan->text()) std::abort();
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(plan->space.size(), 64); ++i) (void)plan->space.at(i);
  }
  if (auto catalogue = Catalogue::parse(text))
    for (const auto& r : catalogue->all()) {
      auto bytes = r.render({}, Ip::v4(1), Ip::v4(2));
      if (!r.echoes(bytes, {})) std::abort();  // what was sent carries its own token
    }
  if (auto records = read_records(ByteView(data, size))) {
    Bytes out;
    for (const auto& r : *records) put(out, r);
    if (out.size() != size || !std::equal(out.begin(), out.end(), data)) std::abort();
  }
  if (auto o = json::parse_object(text)) {
    (void)reply_from_json(*o);
    (void)outcome_from_json(*o);
  }
  return 0;
}
