// Which device stands at an address: same key or certificate, else the same endpoint within one lease, else the same answers on both address
// families of one line. Ambiguity fails closed: a device too many is an annoyance, a wrong join is a wrong notice.
#include <fmt/format.h>

#include <algorithm>

#include "flow/pipeline_parts.h"
#include "flow/samples.h"
#include "identify/words.h"

namespace nora::flow {
namespace {

// Keys that one unit has for itself. Certificates and host keys may be maker-wide; that is seen when two addresses show them at once.
constexpr std::pair<std::string_view, std::string_view> key_names[] = {
    {"x509.key_sha256", "x509-key"}, {"x509.sha256", "x509"}, {"ssh.hostkey_sha256", "ssh"}, {"snmpv3.engine_id", "snmp"}, {"upnp.serial", "upnp"}, {"upnp.udn", "upnp-udn"}};

bool same_family(Ip a, Ip b) { return a.is_v4() == b.is_v4(); }

// Neither names another product than the other.
bool may_be_same(const registry::Identity& a, const registry::Identity& b) {
  if (!a.product_known() || !b.product_known()) return true;
  return identify::compatible(a.product.value, b.product.value) && identify::compatible(a.vendor.value, b.vendor.value);
}

std::set<std::pair<Service, Hash>> answers(const std::vector<Current>& current) {
  std::set<std::pair<Service, Hash>> out;
  for (const auto& c : current) out.insert({{c.seen.where.port, c.seen.where.proto}, c.seen.reply_hash});
  return out;
}

}  // namespace

std::vector<std::string> unit_keys(const std::vector<Current>& current) {
  std::vector<std::string> out;
  for (const auto& [key, prefix] : key_names) {
    std::set<std::string> values;
    for (const auto& c : current)
      for (const auto& kv : c.reply->keys)
        if (kv.key == key && kv.value.size() >= 4) values.insert(kv.value);
    if (values.size() == 1) out.push_back(std::string(prefix) + ":" + to_hex(ByteView(sha256(as_bytes(*values.begin()))).first(16)));
  }
  return out;
}

// The same key elsewhere. A key that another address of the same family shows at the same time belongs to the maker, not to a unit: it is
// taken out of `keys`.
Result<std::vector<registry::Device>> Pipeline::Parts::by_keys(const AddressView& v, const identify::FusedDevice& f, std::vector<std::string>& keys, Instant seen) {
  std::map<Id, registry::Device> found;
  std::vector<std::string> own;
  for (const auto& key : keys) {
    NORA_TRY(const auto same, registry.devices_by_key(key));
    bool makers = false;
    for (const auto& s : same) {
      NORA_TRY(const auto ends, registry.endpoints(s.id));
      for (const auto& e : ends)
        if (e.ip != v.ip && same_family(e.ip, v.ip) && e.to >= seen - Span::hours(1)) makers = true;
    }
    if (makers) continue;
    own.push_back(key);
    for (const auto& s : same)
      if (!placed_here.contains(s.id)) found.emplace(s.id, s);
  }
  keys = std::move(own);
  std::erase_if(found, [&](const auto& s) { return !may_be_same(s.second.identity, f.identity); });
  std::vector<registry::Device> out;
  for (auto& [id, device] : found) out.push_back(std::move(device));
  return out;
}

// The same endpoint within one lease, and only one device that it can be.
Result<std::optional<registry::Device>> Pipeline::Parts::by_endpoint(const AddressView& v, const identify::FusedDevice& f, const std::vector<std::string>& keys, bool alone) {
  NORA_TRY(const auto ends, registry.endpoints_at(v.ip));
  std::set<Id> candidates;
  for (const auto& e : ends) {
    if (placed_here.contains(e.device) || v.newest - e.to > v.window) continue;
    if (std::find(f.services.begin(), f.services.end(), Service{e.port, e.proto}) != f.services.end()) candidates.insert(e.device);
  }
  // A device alone on its line may show new ports only; a shared address proves nothing.
  if (candidates.empty() && alone && !(v.route && v.route->shared))
    for (const auto& e : ends)
      if (!placed_here.contains(e.device) && v.newest - e.to <= v.window) candidates.insert(e.device);
  // Several stood there: the one that can be this one; the same work again must not make it anew.
  std::vector<registry::Device> possible;
  for (const Id id : candidates) {
    NORA_TRY(auto d, registry.device(id));
    if (d && may_be_same(d->identity, f.identity)) possible.push_back(std::move(*d));
  }
  if (possible.size() > 1)
    std::erase_if(possible, [&](const auto& d) { return !d.identity.product_known() || identify::normal(d.identity.product.value) != identify::normal(f.identity.product.value); });
  if (possible.size() != 1) return std::optional<registry::Device>{};
  std::optional<registry::Device> device = std::move(possible[0]);
  NORA_TRY(const auto old_keys, registry.device_keys(device->id));
  // Another key of the same kind: another unit stands there now.
  const auto kind = [](const std::string& key) { return key.substr(0, key.find(':')); };
  for (const auto& key : keys)
    for (const auto& old : old_keys)
      if (kind(key) == kind(old) && key != old && std::find(old_keys.begin(), old_keys.end(), key) == old_keys.end()) return std::optional<registry::Device>{};
  return device;
}

// A device that only other rules had seen: every reply that made it speaks for a device placed here now. It becomes that one.
Status Pipeline::Parts::take_in_unfounded(const AddressView& v, const std::vector<PlacedDevice>& placed) {
  NORA_TRY(const auto ends, registry.endpoints_at(v.ip));
  std::set<Id> gone;
  for (const auto& e : ends) if (!placed_here.contains(e.device)) gone.insert(e.device);
  for (const Id id : gone) {
    NORA_TRY(const auto all, registry.endpoints(id));
    std::set<Id> into;
    const bool covered = std::all_of(all.begin(), all.end(), [&](const auto& e) {
      if (e.ip != v.ip) return false;
      for (const auto& p : placed)
        for (const auto& c : p.current)
          if (c.seen.where.port == e.port && c.seen.where.proto == e.proto && c.seen.reply_hash == e.reply_hash) { into.insert(p.device.id); return true; }
      return false;
    });
    if (covered && into.size() == 1) NORA_CHECK(unite(id, *into.begin()));
  }
  return {};
}

// Two families of one line: every answer equal, at least two services, and nobody else in the world answers like that. 1 x 1 or nothing.
Result<std::optional<registry::Device>> Pipeline::Parts::by_equal_answers(const AddressView& v, const identify::FusedDevice& f, const std::vector<Current>& current) {
  const std::optional<registry::Device> none;
  if (f.services.size() < 2 || !f.identity.product_known() || !v.route) return none;
  const auto mine = answers(current);
  std::set<Ip> others;
  for (const auto& [service, hash] : mine) {
    NORA_TRY(const auto seen, registry.observations_of_reply(hash, 100));
    for (const auto& o : seen)
      if (o.where.ip != v.ip) others.insert(o.where.ip);
  }
  if (others.size() != 1 || same_family(*others.begin(), v.ip)) return none;
  const auto route = routes.route(*others.begin(), v.newest);
  NORA_TRY(const auto there, registry.devices_at(*others.begin()));
  NORA_TRY(const auto their, view(*others.begin()));
  if (!route || route->isp != v.route->isp || there.size() != 1 || placed_here.contains(there[0].id) || answers(their.current) != mine ||
      !may_be_same(there[0].identity, f.identity))
    return none;
  return std::optional<registry::Device>(there[0]);
}

// Two devices turn out to be one (a key was seen later, the second family answered in full): findings and cases become one as well.
Status Pipeline::Parts::unite(Id from, Id into) {
  const auto now = env.clock.now();
  auto because = why(fmt::format("devices {} and {} are one", from, into));
  because.actor = cases::Actor::rule_change;
  NORA_TRY(const auto kept, book.join_devices(from, into, because, now));
  if (kept) touched_cases.insert(kept);
  NORA_TRY(auto findings, registry.findings_of_device(from));
  for (auto& s : findings) {
    auto moved = s;
    moved.finding.device = into;
    NORA_TRY(const auto twin, registry.finding_by_key(registry::finding_key(moved)));
    if (twin) s.finding.state = "gone";
    else s = moved;
    NORA_CHECK(registry.put_finding(s));
    NORA_CHECK(registry.add_finding_event({0, s.finding.id, now, "moved", "flow", rules_version(), because.evidence, s.segment}));
  }
  return registry.merge_devices(from, into);
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

  std::vector<PlacedDevice> out;
  placed_here.clear();
  for (const auto& f : fused) {
    PlacedDevice placed;
    for (const auto& c : v.current)
      if (std::find(f.services.begin(), f.services.end(), Service{c.seen.where.port, c.seen.where.proto}) != f.services.end()) placed.current.push_back(c);
    if (placed.current.empty()) continue;
    auto& d = placed.device;

    // 2. Which device is it: by what only it has, else by equal answers on both families, else by the place.
    auto keys = unit_keys(placed.current);
    NORA_TRY(auto matches, by_keys(v, f, keys, placed.current.front().seen.where.at));
    if (matches.empty() && keys.empty()) {
      NORA_TRY(const auto twin, by_equal_answers(v, f, placed.current));
      if (twin) matches.push_back(*twin);
    }
    NORA_TRY(const auto here, by_endpoint(v, f, keys, fused.size() == 1));
    if (here) matches.push_back(*here);
    // Several: pieces of one unit that were seen apart until now. The oldest stays.
    std::sort(matches.begin(), matches.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    std::optional<registry::Device> match;
    for (const auto& m : matches) {
      if (!match) match = m;
      if (m.id == match->id) continue;
      NORA_CHECK(unite(m.id, match->id));
      match->first_seen = std::min(match->first_seen, m.first_seen);
      match->last_seen = std::max(match->last_seen, m.last_seen);
      if (!match->identity.product_known()) match->identity = m.identity;
    }

    // 3. Write it down.
    d = match.value_or(registry::Device{});
    placed.fresh = !match;
    const bool better = placed.fresh || rules_changed || f.identity.product.confidence >= d.identity.product.confidence || !d.identity.product_known();
    if (better) d.identity = f.identity;
    if (d.identity.product_known()) d.cluster.clear();
    Instant first = placed.current.front().seen.where.at, last = first;
    for (const auto& c : placed.current) {
      first = std::min(first, c.seen.where.at);
      last = std::max(last, c.seen.where.at);
    }
    d.first_seen = placed.fresh ? first : std::min(d.first_seen, first);
    d.last_seen = placed.fresh ? last : std::max(d.last_seen, last);
    NORA_TRY(d.id, registry.put_device(d, keys.empty() ? "" : keys[0], knowledge->version));
    NORA_CHECK(registry.put_device_keys(d.id, keys));
    placed_here.insert(d.id);
    NORA_TRY(const auto ends_here, registry.endpoints_at(v.ip));
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
    // 4. Without a name: by what it shows at all of its places.
    if (!d.identity.product_known()) {
      std::string key;
      NORA_CHECK(read_samples(registry, {&d.id, 1}, [&](const identify::Sample& sample) -> Status {
        key = identify::cluster_key(sample);
        return {};
      }));
      if (key != d.cluster) NORA_CHECK(registry.set_cluster(d.id, key));
      d.cluster = std::move(key);
    }
    out.push_back(std::move(placed));
  }
  if (rules_changed) NORA_CHECK(take_in_unfounded(v, out));
  return out;
}

}  // namespace nora::flow
