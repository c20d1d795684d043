// The bridge from Nora's names ("NEC Platforms", "Aterm WG1200HP4") to CPE names ("nec", "aterm_wg1200hp4"): an explicit table,
// data/products/cpe_aliases.toml, and the same name written the CPE way. No guess beyond that. Used by flow/vulns and `nora vuln`.
// Immutable after load, any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expose/vuln.h"

namespace nora::expose {

struct CpeAlias {
  std::string vendor, product;              // Nora's; product empty: every product of this vendor
  std::vector<std::string> cpe_vendors, cpe_products;
  std::string source;
  bool verified = false;
};
// A product of endoflife.date and what Nora calls it.
struct SupportAlias { std::string id, vendor, product; };

class CpeNames {
 public:
  static Result<CpeNames> load(const std::filesystem::path& file);
  static Result<CpeNames> parse(std::string_view toml, std::string_view file_name);
  // What is known of a device in CPE terms: firmware ("o", with and without "_firmware"), application and hardware under each spelling, then the
  // CPE names that a fingerprint gave (recog's form) of the device and of its components. firmware empty: unknown. A component without a version is no
  // fact: every vulnerability that its project ever had would be "possible".
  std::vector<DeviceFact> facts(std::string_view vendor, std::string_view product, std::string_view firmware, const std::vector<std::string>& cpes = {},
                                const std::vector<std::string>& components = {}) const;
  const SupportAlias* support_alias(std::string_view vendor, std::string_view product) const;
  const std::vector<CpeAlias>& all() const { return aliases_; }

 private:
  std::vector<CpeAlias> aliases_;
  std::vector<SupportAlias> support_;
};

// The name written the CPE way: lower case, blanks as "_", company suffixes left out: "NEC Platforms, Ltd." -> "nec_platforms".
std::string cpe_normal(std::string_view name);

}  // namespace nora::expose
