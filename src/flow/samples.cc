#include "flow/samples.h"

#include <algorithm>

#include "registry/reply_scan.h"
#include "registry/shown.h"

namespace nora::flow {

namespace {

constexpr std::size_t devices_at_once = registry::max_shown_devices;

struct Shown { std::string protocol; std::vector<registry::KeyValue> keys; };

Status read_page(registry::Registry& registry, std::span<const registry::Id> ids, const UseSample& use) {
  NORA_TRY(const auto devices, registry.devices(ids));
  NORA_TRY(auto shown, registry::shown(registry.db(), ids));
  std::vector<Hash> hashes;
  for (const auto& d : shown) for (const auto& r : d.replies) hashes.push_back(r.hash);
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  std::map<Hash, Shown> replies;
  NORA_CHECK(registry::read_replies(registry.db(), hashes, [&](const registry::StoredKeys& r) -> Status {
    auto& reply = replies[r.hash];
    reply.protocol = r.protocol;
    auto keys = r.keys;
    reply.keys = keys.rest();
    return {};
  }));
  auto device = devices.begin();
  for (auto& d : shown) {
    device = std::find_if(device, devices.end(), [&](const auto& known) { return known.id >= d.device; });
    if (device == devices.end() || device->id != d.device) continue;
    registry::keep_newest(d.replies, [&](const Hash& hash) -> std::string_view {
      const auto it = replies.find(hash);
      return it == replies.end() ? std::string_view{} : it->second.protocol;
    });
    identify::Sample sample{d.device, device->identity, {}};
    for (const auto& r : d.replies) {
      const auto& reply = replies.at(r.hash);
      sample.replies.push_back({{r.port, r.proto}, reply.protocol, reply.keys});
    }
    NORA_CHECK(use(sample));
  }
  return {};
}

}  // namespace

Status read_samples(registry::Registry& registry, std::span<const registry::Id> devices, const UseSample& use) {
  for (std::size_t from = 0; from < devices.size(); from += devices_at_once)
    NORA_CHECK(read_page(registry, devices.subspan(from, std::min(devices_at_once, devices.size() - from)), use));
  return {};
}

Status read_members(registry::Registry& registry, std::string_view cluster, const UseSample& use) {
  for (registry::Id after = 0;;) {
    NORA_TRY(const auto rows, registry.db().query("SELECT id FROM device WHERE cluster = ? AND merged_into = 0 AND id > ? ORDER BY id LIMIT ?",
                                                  {cluster, after, static_cast<std::int64_t>(devices_at_once)}));
    if (rows.empty()) return {};
    std::vector<registry::Id> page;
    for (const auto& r : rows) page.push_back(r[0].integer());
    after = page.back();
    NORA_CHECK(read_page(registry, page, use));
  }
}

}  // namespace nora::flow
