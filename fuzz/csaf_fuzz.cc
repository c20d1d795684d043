// domain: expose
// CSAF advisories come from anybody. Property: what is accepted survives the store, and a device without a version is never "affected by version".
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "expose/cpe_names.h"
#include "expose/csaf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  if (size > 256 * 1024) return 0;
  const auto document = expose::parse_csaf(as_text({data, size}), "fuzz.json");
  if (!document) return 0;
  const expose::CpeNames names;
  const auto facts = names.facts("Kinmirai Denki", "CTL-100", "");
  for (const auto& v : document->records) {
    const auto stored = expose::vulnerability_from(json::parse_object(json::text(expose::to_json(v))).value());
    NORA_ASSERT(stored.has_value(), "the stored form reads back");
    NORA_ASSERT(expose::judge(v, facts).verdict != expose::Verdict::affected_by_version, "no version, no such verdict");
    (void)expose::index_keys(v);
  }
  return 0;
}
