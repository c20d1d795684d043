// From single statements to devices: what each reply of one address says, joined into vendor, product, firmware and type.
// Used by flow (statements are memoised by reply hash and rules version; fuse runs per address) and by the command line.
// Pure functions; the result does not depend on the order of the input. Limits: max_statements per address.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "identify/matcher.h"
#include "registry/types.h"

namespace nora::identify {

inline constexpr std::size_t max_statements = 4096;
inline constexpr std::size_t max_cpes = 16;        // names of a device, and names of its components
inline constexpr std::size_t max_cpe_bytes = 256;  // longer ones are left out
inline constexpr double strong = 0.6;  // same bound as Identity::product_known()

// One rule spoke about one value of one reply.
struct Statement {
  std::string key, rule;
  std::string vendor, product, firmware, type;  // empty = not said
  std::string software;        // "lighttpd 1.4.69": a component, never the device by itself
  std::string serial, mac;     // leaked identifiers, if any
  std::vector<std::string> cpes;        // CPE names of the device: its hardware, its maker's own operating system
  std::vector<std::string> components;  // CPE names of what runs on it: somebody else's system, the service, a library
  double certainty = 0;
  bool verified = false;       // the rule was checked against a captured reply
  bool operator==(const Statement&) const = default;
};

// Everything that the rules say about one reply. Depends on (keys, rules) only.
std::vector<Statement> statements_of(Matcher& matcher, std::span<const registry::KeyValue> keys);
json::Array to_json(const std::vector<Statement>& statements);
Result<std::vector<Statement>> statements_from_json(const json::Array& array);

struct Service { Port port; Proto proto = Proto::tcp; auto operator<=>(const Service&) const = default; };
struct Evidence {
  Service where;
  std::vector<Statement> statements;
};

struct FusedDevice {
  registry::Identity identity;
  std::vector<Service> services;     // ascending
  std::vector<std::string> software; // components seen, with version
  std::vector<std::string> conflicts;// contradictions kept for the analyst
};

// One device usually; several when different ports name different products with strong evidence (port forwarding behind one address).
// No evidence at all: one device with an empty identity. No services: none.
std::vector<FusedDevice> fuse(std::vector<Evidence> evidence);

}  // namespace nora::identify
