// What is known about products and what to advise: data/products/*.toml and data/advice/*.toml. Used by flow, portal gate, desk, `nora product`.
// Immutable after load, any thread. A product that is missing means "unknown", never "supported".
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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

struct Advice {
  std::string id;             // texts: advice.<id>.step1 .. step<steps>
  std::string vendor, product, type;   // empty = any
  std::vector<std::string> exposures;  // rule ids; empty = any
  int steps = 1;              // one first step and at most two more
  std::string source;
  bool verified = false;
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
  // The most specific advice: product and exposure, product line, vendor, type x exposure, exposure, the rule's own default, then "general".
  // A product or vendor that is not strong evidence (product_known()) is not used: wrong steps are worse than general ones.
  std::string resolve_advice(const registry::Identity& identity, std::string_view rule, std::string_view rule_default = {}) const;
  static std::string step_id(std::string_view advice, int step);  // "advice.<id>.step1"

 private:
  std::vector<Product> products_;
  std::vector<Advice> advice_;
};

// "Broadband Router" -> "broadband-router"; message id "type.<slug>"; "device" when unknown.
std::string type_slug(std::string_view type);

}  // namespace nora::expose
