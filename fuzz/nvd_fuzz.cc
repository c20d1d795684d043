// domain: expose
// JSON and CSV feeds: NVD, KEV, endoflife.date, EPSS. The first byte chooses. Property as in csaf_fuzz.cc.
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "expose/cpe_names.h"
#include "expose/vuln_import.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  if (size == 0 || size > 256 * 1024) return 0;
  const auto text = as_text({data + 1, size - 1});
  std::vector<expose::Vulnerability> records;
  switch (data[0]) {
    case 'k': if (auto kev = expose::parse_kev(text)) records = std::move(kev->records); break;
    case 'e':
      if (const auto cycles = expose::parse_eol(text, "p")) (void)expose::cycle_of(*cycles, "v7.1.2");
      break;
    case 's':
      if (const auto scores = expose::parse_epss(text))
        for (const auto& r : scores->rows) NORA_ASSERT(r.score >= 0 && r.score <= 1, "a probability");
      break;
    default: if (auto nvd = expose::parse_nvd(text)) records = std::move(*nvd); break;
  }
  const expose::CpeNames names;
  const auto facts = names.facts("Kinmirai Denki", "CTL-100", "");
  for (const auto& v : records) {
    const auto stored = expose::vulnerability_from(json::parse_object(json::text(expose::to_json(v))).value());
    NORA_ASSERT(stored.has_value(), "the stored form reads back");
    NORA_ASSERT(expose::judge(v, facts).verdict != expose::Verdict::affected_by_version, "no version, no such verdict");
  }
  return 0;
}
