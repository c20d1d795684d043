// Which device stands at an address: same key or certificate, else the same endpoint within one lease, else the same answers on both address
// families of one line. Ambiguity fails closed: a device too many is an annoyance, a wrong join is a wrong notice.
#include <algorithm>

#include "flow/pipeline_parts.h"
#include "identify/words.h"

namespace nora::flow {
namespace {

// Keys that one unit has for itself. Certificates and host keys may be maker-wide; that is seen when two addresses show them at once.
constexpr std::pair<std::string_view, std::string_view> unit_keys[] = {
    {"x509.key_sha256", "x509-key"}, {"x509.sha256", "x509"}, {"ssh.hostkey_sha256", "ssh"}, {"snmpv3.engine_id", "snmp"}, {"upnp.serial", "upnp"}, {"upnp.udn", "upnp-udn"}};

bool same_family(Ip a, Ip b) { return a.is_v4() == b.is_v4(); }

// Neither names another product than the other.
bool may_be_same(const registry::Identity& a, const registry::Identity& b) {
  if (!a.product_known() || !b.product_known()) return true;
  return identify::compatible(a.product.value, b.product.value) && identify::compatible(a.vendor.value, b.vendor.value);
}

identify::Sample sample_of(Id id, const registry::Identity& identity, const std::vector<Current>& current) {
  identify::Sample s;
  s.device = id;
  s.identity = identity;
  for (const auto& c : current) s.replies.push_back({{c.seen.where.port, c.seen.where.proto}, c.reply->protocol, c.reply->keys});
  return s;
}

std::set<std::pair<Service, Hash>> answers(const std::vector<Current>& current) {
  std::set<std::pair<Service, Hash>> out;
  for (const auto& c : current) out.insert({{c.seen.where.port, c.seen.where.proto}, c.seen.reply_hash});
  return out;
}

}  // namespace

std::string stable_key(const std::vector<Current>& current) {
  for (const auto& [key, prefix] : unit_keys) {
    std::set<std::string> values;
    for (const auto& c : current)
      for (const auto& kv : c.reply->keys)
        if (kv.key == key && kv.value.size() >= 4) values.insert(kv.value);
    if (values.size() == 1) return std::string(prefix) + ":" + to_hex(ByteView(sha256(as_bytes(*values.begin()))).first(16));
    if (values.size() > 1) return "";  // two units behind one address
  }
  return "";
}

Result<std::vector<PlacedDevice>> Pipeline::Parts::place(const AddressView& v) {
  // 1. What the services say, joined. Behind a shared address each port may be another line: no joining over ports there.
  std::vector<std::vector<identify::Evidence>> groups;
  if (v.route && v.route->shared) {
    for (const auto& c : v.current) {
      const Service service{c.seen.where.port, c.seen.where.proto};
      auto it = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g[0].where == service; });
      if (it == groups.end()) it = groups.insert(groups.end(), std::vector<identify::Evidence>{});
      it->push_back({service, *c.statements});
    }
  } else {
    groups.emplace_back();
    for (const auto& c : v.current) groups[0].push_back({{c.seen.where.port, c.seen.where.proto}, *c.statements});
  }
  std::vector<identify::FusedDevice> fused;
  for (auto& group : groups)
    for (auto& d : identify::fuse(std::move(group))) fused.push_back(std::move(d));

  NORA_TRY(const auto ends_here, registry.endpoints_at(v.ip));
  std::vector<PlacedDevice> out;
  std::set<Id> taken;
  for (const auto& f : fused) {
    PlacedDevice placed;
    for (const auto& c : v.current)
      if (std::find(f.services.begin(), f.services.end(), Service{c.seen.where.port, c.seen.where.proto}) != f.services.end()) placed.current.push_back(c);
    if (placed.current.empty()) continue;
    auto& d = placed.device;
    auto key = stable_key(placed.current);

    // 2a. The same key elsewhere. If another address of the same family shows it at the same time, the key belongs to the maker, not to a unit.
    std::optional<registry::Device> match;
    if (!key.empty()) {
      NORA_TRY(auto same, registry.devices_by_key(key));
      std::erase_if(same, [&](const auto& s) { return taken.contains(s.id); });
      bool makers = false;
      for (const auto& s : same) {
        NORA_TRY(auto ends, registry.endpoints(s.id));
        for (const auto& e : ends)
          if (e.ip != v.ip && same_family(e.ip, v.ip) && e.to >= placed.current.front().seen.where.at - Span::hours(1)) makers = true;
      }
      if (makers) key.clear();
      else if (same.size() == 1 && may_be_same(same[0].identity, f.identity)) match = same[0];
    }
    // 2b. The same endpoint within one lease, and only one device that it can be.
    if (!match) {
      std::set<Id> candidates;
      for (const auto& e : ends_here) {
        if (taken.contains(e.device) || v.newest - e.to > v.window) continue;
        if (std::find(f.services.begin(), f.services.end(), Service{e.port, e.proto}) == f.services.end()) continue;
        candidates.insert(e.device);
      }
      // The whole device on a line of its own may show new ports only; a shared address proves nothing.
      if (candidates.empty() && !(v.route && v.route->shared) && fused.size() == 1)
        for (const auto& e : ends_here)
          if (!taken.contains(e.device) && v.newest - e.to <= v.window) candidates.insert(e.device);
      if (candidates.size() == 1) {
        NORA_TRY(auto c, registry.device(*candidates.begin()));
        NORA_TRY(auto old_key, registry.device_stable_key(*candidates.begin()));
        const bool other_unit = !key.empty() && !old_key.empty() && old_key != key;
        if (c && !other_unit && may_be_same(c->identity, f.identity)) match = c;
      }
    }
    // 2c. Two families of one line: every answer equal, at least two services, nobody else in the world answers like that. 1 x 1 or nothing.
    if (!match && key.empty() && f.services.size() >= 2 && f.identity.product_known() && v.route) {
      const auto mine = answers(placed.current);
      std::set<Ip> others;
      for (const auto& [service, hash] : mine) {
        NORA_TRY(auto seen, registry.observations_of_reply(hash, 100));
        for (const auto& o : seen) if (o.where.ip != v.ip) others.insert(o.where.ip);
      }
      if (others.size() == 1 && !same_family(*others.begin(), v.ip)) {
        const auto route = routes.route(*others.begin(), v.newest);
        NORA_TRY(auto there, registry.devices_at(*others.begin()));
        NORA_TRY(auto their, view(*others.begin()));
        if (route && route->isp == v.route->isp && there.size() == 1 && !taken.contains(there[0].id) && answers(their.current) == mine &&
            may_be_same(there[0].identity, f.identity))
          match = there[0];
      }
    }

    // 3. Write it down.
    d = match.value_or(registry::Device{});
    placed.fresh = !match;
    const bool better = placed.fresh || rules_changed || f.identity.product.confidence >= d.identity.product.confidence || !d.identity.product_known();
    if (better) d.identity = f.identity;
    d.cluster = identify::cluster_key(sample_of(d.id, d.identity, placed.current));
    Instant first = placed.current.front().seen.where.at, last = first;
    for (const auto& c : placed.current) {
      first = std::min(first, c.seen.where.at);
      last = std::max(last, c.seen.where.at);
    }
    d.first_seen = placed.fresh ? first : std::min(d.first_seen, first);
    d.last_seen = placed.fresh ? last : std::max(d.last_seen, last);
    if (key.empty() && !placed.fresh) { NORA_TRY(key, registry.device_stable_key(d.id)); }
    NORA_TRY(d.id, registry.put_device(d, key, knowledge->version));
    taken.insert(d.id);
    if (placed.fresh) ++counts.devices_new;
    std::map<Service, registry::DeviceEndpoint> ends;
    for (const auto& c : placed.current) {
      const auto& at = c.seen.where.at;
      auto [it, fresh] = ends.try_emplace({c.seen.where.port, c.seen.where.proto},
                                          registry::DeviceEndpoint{d.id, v.ip, c.seen.where.port, c.seen.where.proto, at, at, c.seen.reply_hash, c.seen.id});
      auto& e = it->second;
      if (!fresh && at > e.to) e.to = at, e.reply_hash = c.seen.reply_hash, e.observation = c.seen.id;
      if (!fresh && at < e.from) e.from = at;
    }
    for (auto& [service, e] : ends) {
      for (const auto& old : ends_here)
        if (old.device == d.id && old.port == e.port && old.proto == e.proto && e.to - old.to <= v.window && e.to >= old.from) { e.from = old.from; break; }
      NORA_CHECK(registry.put_endpoint(e));
    }
    out.push_back(std::move(placed));
  }
  return out;
}

}  // namespace nora::flow
