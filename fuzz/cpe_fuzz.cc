// domain: expose
// CPE names and version texts come from feeds and banners. Properties: what parses prints back to the same name in both bindings; the order of two
// versions is antisymmetric.
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "expose/cpe.h"
#include "expose/version_order.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  const std::string_view text = as_text({data, size});
  if (const auto cpe = expose::Cpe::parse(text)) {
    const auto formatted = expose::Cpe::parse(cpe->formatted());
    const auto uri = expose::Cpe::parse(cpe->uri());
    NORA_ASSERT((formatted && *formatted == *cpe) || cpe->formatted().size() > expose::max_cpe_bytes, "the formatted string reads back");
    NORA_ASSERT((uri && *uri == *cpe) || cpe->uri().size() > expose::max_cpe_bytes, "the URI reads back");
    const auto self = expose::compare(*cpe, *cpe);
    NORA_ASSERT(self == expose::CpeRelation::equal || self == expose::CpeRelation::undefined, "a name is equal to itself");
  }
  (void)expose::parse_recog_cpe(text);
  const auto cut = text.find('\n');
  const auto a = text.substr(0, cut), b = cut == std::string_view::npos ? std::string_view("1.0") : text.substr(cut + 1);
  for (const std::string_view vendor : {"", "NETGEAR", "Yamaha", "OpenSSL"}) {
    const auto ab = expose::compare_versions(vendor, a, b), ba = expose::compare_versions(vendor, b, a);
    NORA_ASSERT(ab.has_value() == ba.has_value(), "both or neither");
    if (ab) NORA_ASSERT((*ab < 0) == (*ba > 0) && (*ab == 0) == (*ba == 0), "antisymmetric");
  }
  return 0;
}
