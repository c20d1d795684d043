// Devices that no rule names, grouped by the face they share, and the naming of a group: one label becomes one rule file (name_plan.h).
// Used by flow and the cluster commands and pages. clusters() is pure; write_name() writes only below the operator's rules directory.
// Limits: max_feature_bytes of a value are looked at, max_rule_examples members become examples.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/instant.h"
#include "identify/fuse.h"

namespace nora::identify {

inline constexpr std::size_t max_feature_bytes = 4096;
inline constexpr std::size_t max_rule_examples = 20;
inline constexpr std::size_t max_naming_rules = 3;  // rules made from one name, one per match key

// One device as the registry knows it: what each of its services said.
struct Sample {
  registry::Id device = 0;
  registry::Identity identity;
  struct Reply { Service where; std::string protocol; std::vector<registry::KeyValue> keys; };
  std::vector<Reply> replies;   // of one service and protocol the first speaks before the others: newest first
};

// Text with all that differs between copies of a product masked: numbers, long hex strings; case and blanks made equal.
std::string masked(std::string_view text);

// Stable name of the face, "c-" and 10 hex digits; the same for every copy, whatever else is known. Empty when the product is known or when
// there is nothing to hold on to (open port that says nothing).
std::string cluster_key(const Sample& sample);
// Which faces there are, and how a face becomes a key. A registry whose devices were clustered by another one is clustered again.
inline constexpr int masking_version = 1;   // raise it when masked() or face_text() gives other texts
const std::string& face_version();          // masking_version and a digest of the faces

// Is this text a key that cluster_key() could have made?
bool is_cluster_key(std::string_view key);

struct Cluster {
  std::string key;
  std::vector<registry::Id> members;                        // ascending
  std::map<std::string, std::string> shared;                // feature -> the one (unmasked) example value
  std::map<std::string, std::vector<std::string>> differs;  // feature -> values; "" stands for "not shown"
  std::vector<Service> ports;                               // open on every member
};
// Groups of at least min_members, largest first, then by key.
std::vector<Cluster> clusters(std::span<const Sample> samples, std::size_t min_members = 2);

struct Naming {
  std::string cluster;             // key
  std::string vendor, product, type;
  std::string proposed_by, accepted_by;  // two different persons; checked by the caller's audit as well
  Instant at;
};
struct NamedRule {
  std::string key, pattern, rule_id;
  std::string file;                // file name below the rules directory
  std::string xml;
  std::vector<registry::Id> also;  // devices outside the cluster without a name that this rule would name too
  std::size_t matches = 0;         // members that it matches: all of them
  std::size_t decoys = 0;          // texts that it left alone: distinct replies with such a value, examples and nora:not of rules of the key
  std::int64_t cost_ns = 0;        // per value, measured by whoever has a clock; 0: not measured
};
// Writes the files of the rules that a NamePlan made. Afterwards load the rules again and identify everything again.
Status write_name(const std::vector<NamedRule>& rules, const std::filesystem::path& operator_rules);
// Undo: removes the files that write_name() wrote for this cluster. Returns how many.
Result<int> unname_cluster(std::string_view cluster, const std::filesystem::path& operator_rules);

}  // namespace nora::identify
