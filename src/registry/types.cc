#include "registry/types.h"

namespace nora::registry {

std::string Identity::display() const {
  if (!product.value.empty()) {
    // Many product names already begin with the maker's name.
    if (vendor.value.empty() || product.value.starts_with(vendor.value)) return product.value;
    return vendor.value + " " + product.value;
  }
  if (!vendor.value.empty() && !type.value.empty()) return vendor.value + " " + type.value;
  return vendor.value.empty() ? type.value : vendor.value;
}

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::low: return "low";
    case Severity::medium: return "medium";
    case Severity::high: return "high";
    case Severity::critical: return "critical";
  }
  return "medium";
}

Result<Severity> parse_severity(std::string_view text) {
  for (auto s : {Severity::info, Severity::low, Severity::medium, Severity::high, Severity::critical})
    if (name(s) == text) return s;
  return fail(Code::bad_input, "\"" + std::string(text) + "\" is no severity", "Use info, low, medium, high or critical");
}

}  // namespace nora::registry
