// What is known about products and what to advise: data/products/*.toml and data/advice/*.toml. Used by flow, portal gate, desk, `nora product`.
// Immutable after load, any thread. A product that is missing means "unknown", never "supported". Files of data/products that hold something
// else (support_end.toml: read here too; marks.toml: marks.h) are named in knowledge.cc.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "expose/malware.h"
#include "registry/types.h"

namespace nora::expose {

struct Product {
  std::string id;             // "aterm-wg1200hp4"
  std::string vendor, product, type;
  std::vector<std::string> aliases;
  std::string support_end;    // date "2024-03-31", "ended" (date unknown), or empty = unknown
  std::string source;         // URL or document for support_end; required when it is set
  bool verified = false;      // somebody read the source
  bool demo = false;          // invented for the demo
};

// One line of data/products/support_end.toml: what a maker or an authority said about the end of a product. Missing = unknown.
struct SupportEnd {
  std::string vendor, product;
  std::string revision;          // hardware revision that alone is meant; a survey cannot see it, so such a line never decides by itself
  std::string last_firmware;     // the last that the maker gives, or empty
  std::string end_of_sale, end_of_support;  // date, "ended" (date not told), or empty
  std::string source;            // URL and title
  std::string read;              // the day on which the source was read
  bool verified = false;         // the source itself was read
};

struct Advice {
  std::string id;             // texts: advice.<id>.step1 .. step<steps>
  std::string vendor, product;         // empty = any
  std::vector<std::string> types;      // kinds of device, any of them; empty = any
  std::vector<std::string> exposures;  // rule ids; empty = any
  std::string persistence;    // only for an infection of this class: "memory", "disk", "firmware"; empty = whatever it is
  bool support_ended = false; // only when the maker's support is known to be over
  bool also_infected = false; // steps of a maker or kind (no exposure named) that fit an infected device as well
  bool first = false;         // before everything else: other steps could do harm (equipment that must not be unplugged)
  int steps = 1;              // one first step and at most two more
  std::string source;
  bool verified = false;
};

// What is advised about: one finding on one device.
struct Situation {
  const registry::Identity& identity;
  std::string_view rule, rule_default;
  Persistence persistence = Persistence::unknown;  // of the malware, when the finding is an infection and its family is known
  bool support_ended = false;                      // Knowledge::support_ended(identity, now)
};

class Knowledge {
 public:
  static Result<Knowledge> load(const std::filesystem::path& products, const std::filesystem::path& advice);
  const std::vector<Product>& products() const { return products_; }
  const std::vector<Advice>& advice() const { return advice_; }
  const Product* product_by_id(std::string_view id) const;
  // The entry for an identified device; nullptr when none covers it.
  const Product* product_of(const registry::Identity& identity) const;
  const Advice* advice_by_id(std::string_view id) const;
  const std::vector<SupportEnd>& support_ends() const { return support_ends_; }
  // The entry that says when support of this device ends; nullptr = unknown. Of several the one that names the product more closely.
  const SupportEnd* support_end_of(const registry::Identity& identity) const;
  // Support is known to be over: a read source (or the demo's invention) says so, and the day is past. Unverified facts tell nobody to buy.
  bool support_ended(const registry::Identity& identity, Instant now) const;
  // Ended support and a persistent infection come first, because every other step would be in vain; then the most specific advice: product and exposure, product line, vendor, type x exposure, exposure, the rule's own default, then "general".
  // What is said of a maker or a kind in general does not answer an infection unless it says so (also_infected).
  // A product or vendor that is not strong evidence (product_known()) is not used: wrong steps are worse than general ones.
  std::string resolve_advice(const Situation& situation) const;
  std::string resolve_advice(const registry::Identity& identity, std::string_view rule, std::string_view rule_default = {}) const {
    return resolve_advice(Situation{identity, rule, rule_default, Persistence::unknown, false});
  }
  static std::string step_id(std::string_view advice, int step);  // "advice.<id>.step1"

 private:
  std::vector<Product> products_;
  std::vector<Advice> advice_;
  std::vector<SupportEnd> support_ends_;
};

// "Broadband Router" -> "broadband-router"; message id "type.<slug>"; "device" when unknown.
std::string type_slug(std::string_view type);

}  // namespace nora::expose
