// How many devices have a type, a vendor, a product (with firmware), per match key and in total; and how right the names are, by devices that a
// person labelled. "Known" alone says nothing: a rate stands with its precision, or with the words that none is known.
// Used by `nora cluster rates`. Not thread safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace nora::flow {

struct Rate {
  std::int64_t devices = 0;                                 // denominator: devices that show the key; in total: all
  std::int64_t type = 0, vendor = 0, product = 0, firmware = 0;
};

// Of the labelled devices for which Nora states something: how often it is what the person said.
struct Precision {
  std::int64_t stated = 0, right = 0;
  double share() const { return stated == 0 ? 0 : static_cast<double>(right) / static_cast<double>(stated); }
  // Wilson's interval for a share, 95 %.
  std::pair<double, double> interval() const;
};

struct Rates {
  Rate total;
  std::map<std::string, Rate> by_key;
  Precision type, vendor, product;
  std::int64_t labelled = 0;
  std::int64_t clustered = 0, clusters = 0, largest = 0;    // devices in clusters without a name
};

struct Label { registry::Id device = 0; std::string vendor, product, type, who; Instant at; };
// What a person says that the device is, from its evidence or in front of it; empty: not said. The last word counts.
Status put_label(registry::Registry& registry, const Label& label);
Result<std::vector<Label>> labels(registry::Registry& registry);

}  // namespace nora::flow
