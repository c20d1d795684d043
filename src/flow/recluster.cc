// Clusters of all devices without a name in one pass: the distinct replies first, part by part, then the devices, page by page. A step of it is a step
// of Pipeline::catch_up when the faces are others than the store's; `nora cluster rebuild` runs all steps.
#include "flow/recluster.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "flow/pipeline_parts.h"
#include "registry/history.h"
#include "registry/shown.h"

namespace nora::flow {
namespace {

constexpr int reply_parts = 256;
constexpr std::size_t devices_per_page = registry::max_shown_devices;
// One transaction each step; what is waited for is the disk. (Reading by two connections was measured: no faster, twice the CPU.)
constexpr int pages_per_step = 10;

std::array<std::uint8_t, 16> half_of(const Hash& hash) {
  std::array<std::uint8_t, 16> out;
  std::memcpy(out.data(), hash.data(), out.size());
  return out;
}

}  // namespace

Recluster::Entry Recluster::add(const registry::StoredKeys& reply) {
  auto name = std::find(protocols.begin(), protocols.end(), reply.protocol);
  if (name == protocols.end()) name = protocols.insert(protocols.end(), std::string(reply.protocol));
  clusterer.begin_reply();
  auto keys = reply.keys;
  for (std::string_view key, value; keys.next(key, value);) clusterer.feature(key, value);
  return {half_of(reply.hash), clusterer.end_reply(), static_cast<std::uint32_t>(name - protocols.begin())};
}

const Recluster::Entry* Recluster::find(const Hash& hash) const {
  if (const auto it = late.find(hash); it != late.end()) return &it->second;
  const auto half = half_of(hash);
  const auto it = std::lower_bound(replies.begin(), replies.end(), half, [](const Entry& e, const auto& key) { return e.half < key; });
  return it == replies.end() || it->half != half ? nullptr : &*it;
}

// `rows`: id and key of devices, ascending by id.
Status Pipeline::Parts::cluster_page(const store::Rows& rows, ClusterCounts& found) {
  auto& db = registry.db();
  auto& r = *recluster;
  std::vector<Id> ids;
  for (const auto& row : rows) ids.push_back(row[0].integer());
  NORA_TRY(auto shown, registry::shown(db, ids));
  std::vector<Hash> missing;
  for (const auto& d : shown) for (const auto& reply : d.replies) if (r.find(reply.hash) == nullptr) missing.push_back(reply.hash);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  NORA_CHECK(registry::read_replies(db, missing, [&](const registry::StoredKeys& reply) -> Status {
    r.late.emplace(reply.hash, r.add(reply));
    return {};
  }));
  auto at = shown.begin();
  for (const auto& row : rows) {
    const Id id = row[0].integer();
    std::string key;
    if (at != shown.end() && at->device == id) {
      registry::keep_newest(at->replies, [&](const Hash& hash) -> std::string_view {
        const auto* entry = r.find(hash);
        return entry == nullptr ? std::string_view{} : r.protocols[entry->protocol];
      });
      const auto order = [&](const registry::ShownReply& reply) { return std::tuple<Port, Proto, std::string_view>(reply.port, reply.proto, r.protocols[r.find(reply.hash)->protocol]); };
      std::stable_sort(at->replies.begin(), at->replies.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
      for (const auto& reply : at->replies) r.clusterer.observed(id, r.find(reply.hash)->number);
      if (!at->replies.empty()) key = r.clusterer.key_of_device();
      ++at;
    }
    ++found.devices;
    found.faceless += key.empty() ? 1 : 0;
    if (key == row[1].str()) continue;
    ++found.moved;
    NORA_CHECK(registry.set_cluster(id, key));
  }
  return {};
}

Result<bool> Pipeline::Parts::clusters_step(ClusterCounts& found) {
  auto& db = registry.db();
  if (!recluster) recluster = std::make_unique<Recluster>();
  auto& r = *recluster;
  if (r.part < reply_parts) {
    NORA_CHECK(registry::scan_replies(db, r.part, reply_parts, [&](const registry::StoredKeys& reply) -> Status {
      r.replies.push_back(r.add(reply));
      return {};
    }));
    if (++r.part == reply_parts) {
      std::sort(r.replies.begin(), r.replies.end(), [](const auto& a, const auto& b) { return a.half < b.half; });
      found.replies = static_cast<std::int64_t>(r.replies.size());
    }
    return true;
  }
  bool done = false;
  NORA_CHECK(in_turn([&]() -> Status {
    NORA_TRY(const auto next, registry::history_state(db, "faces.next"));
    if (next != identify::face_version()) { done = true; return {}; }  // another program brings them to its own
    for (int page = 0; page < pages_per_step && !done; ++page) {
      NORA_TRY(const auto after, registry.progress(cluster_mark));
      NORA_TRY(const auto rows, db.query("SELECT id, cluster FROM device WHERE id > ? AND merged_into = 0 AND NOT (product <> '' AND product_confidence >= ?) ORDER BY id LIMIT ?",
                                         {after, identify::strong, static_cast<std::int64_t>(devices_per_page)}));
      if (rows.empty()) {
        done = true;
        NORA_CHECK(registry::set_history_state(db, "faces", next));
        NORA_CHECK(registry::set_history_state(db, "faces.next", ""));
        break;
      }
      NORA_CHECK(cluster_page(rows, found));
      NORA_CHECK(registry.set_progress(cluster_mark, rows.back()[0].integer()));
    }
    return tell_progress("devices without a name are clustered again", false);
  }));
  found.clusters = static_cast<std::int64_t>(r.clusterer.group_count());
  if (done) recluster.reset();
  return !done;
}

Result<ClusterCounts> Pipeline::rebuild_clusters() {
  auto& p = *parts_;
  NORA_CHECK(p.in_turn([&]() -> Status {
    NORA_CHECK(registry::set_history_state(p.registry.db(), "faces.next", identify::face_version()));
    return p.registry.set_progress(cluster_mark, 0);
  }));
  p.recluster.reset();
  ClusterCounts out;
  for (bool more = true; more;) {
    NORA_TRY(more, p.clusters_step(out));
  }
  return out;
}

}  // namespace nora::flow
