// Sightings, devices, endpoints, findings.
#include <algorithm>

#include "base/escape.h"
#include "registry/codec.h"
#include "registry/registry.h"

namespace nora::registry {
namespace {

Sighting sighting_from(const store::Row& r, Error* error) {
  Sighting s;
  s.id = r[0].integer();
  s.ip = r[1].ip();
  s.first = r[2].instant();
  s.last = r[3].instant();
  s.sensor = r[4].str();
  s.kind = r[5].str();
  s.verdict = r[6].str();
  s.packets = r[7].integer();
  s.destinations = r[8].integer();
  if (auto ports = ports_from(r[9].str())) s.ports = std::move(*ports); else *error = ports.error();
  if (auto samples = samples_from(r[10].str())) s.samples = std::move(*samples); else *error = samples.error();
  return s;
}

Result<std::vector<Sighting>> read_sightings(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT id, ip, first_at, last_at, sensor, kind, verdict, packets, destinations, ports, samples FROM sighting " +
                                   std::string(tail), params));
  std::vector<Sighting> out;
  Error error;
  for (const auto& r : rows) out.push_back(sighting_from(r, &error));
  if (!error.what.empty()) return pass(error);
  return out;
}

Result<std::vector<SightingJoin>> read_joins(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT sighting, result, device, confidence, because, window_s, at FROM sighting_join " + std::string(tail), params));
  std::vector<SightingJoin> out;
  for (const auto& r : rows)
    out.push_back({r[0].integer(), r[1].str(), r[2].integer(), r[3].real(), r[4].str(), r[5].integer(), r[6].instant()});
  return out;
}

Result<std::vector<Device>> read_devices(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT d.id, d.identity, d.cluster, d.first_seen, d.last_seen FROM device d " + std::string(tail), params));
  std::vector<Device> out;
  for (const auto& r : rows) {
    Device d;
    d.id = r[0].integer();
    NORA_TRY(d.identity, identity_from(r[1].str()));
    d.cluster = r[2].str();
    d.first_seen = r[3].instant();
    d.last_seen = r[4].instant();
    out.push_back(std::move(d));
  }
  return out;
}

Result<std::vector<DeviceEndpoint>> read_endpoints(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT device, ip, port, proto, from_at, to_at, reply_hash, observation FROM device_endpoint " + std::string(tail), params));
  std::vector<DeviceEndpoint> out;
  for (const auto& r : rows)
    out.push_back({r[0].integer(), r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())}, static_cast<Proto>(r[3].integer()), r[4].instant(),
                   r[5].instant(), r[6].hash(), r[7].integer()});
  return out;
}

}  // namespace

// ---- sightings ----

Result<PutCounts> Registry::put_sightings(const std::vector<Sighting>& batch) {
  if (batch.size() > max_batch_rows) return fail(Code::usage, "a batch of sightings has more than 10,000 rows");
  PutCounts counts;
  NORA_CHECK(db_->transaction([&]() -> Status {
    for (const auto& s : batch) {
      NORA_TRY(auto fresh,
               db_->exec("INSERT INTO sighting (ip, first_at, last_at, sensor, kind, verdict, packets, destinations, ports, samples) "
                         "VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (ip, sensor, kind, first_at) DO NOTHING",
                         {s.ip, s.first, s.last, s.sensor, s.kind, s.verdict, s.packets, s.destinations, ports_json(s.ports), samples_json(s.samples)}));
      counts.rows_new += fresh;
      if (fresh) continue;
      // The same episode, watched longer. An older file imported late must not shrink it.
      NORA_CHECK(db_->exec("UPDATE sighting SET last_at = ?, verdict = ?, packets = ?, destinations = ?, ports = ?, samples = ? "
                           "WHERE ip = ? AND sensor = ? AND kind = ? AND first_at = ? AND (last_at < ? OR packets < ?)",
                           {s.last, s.verdict, s.packets, s.destinations, ports_json(s.ports), samples_json(s.samples), s.ip, s.sensor, s.kind,
                            s.first, s.last, s.packets}));
    }
    return {};
  }));
  return counts;
}

Result<std::vector<Sighting>> Registry::sightings(std::size_t limit) {
  return read_sightings(*db_, "ORDER BY last_at DESC, id DESC LIMIT ?", {static_cast<std::int64_t>(limit)});
}
Result<std::vector<Sighting>> Registry::sightings_of(Ip ip) {
  return read_sightings(*db_, "WHERE ip = ? ORDER BY last_at DESC, id DESC", {ip});
}
Result<std::optional<Sighting>> Registry::sighting(Id id) {
  NORA_TRY(auto found, read_sightings(*db_, "WHERE id = ?", {id}));
  if (found.empty()) return std::optional<Sighting>{};
  return std::optional<Sighting>(found[0]);
}

Status Registry::put_sighting_join(const SightingJoin& j) {
  NORA_CHECK(db_->exec("INSERT INTO sighting_join (sighting, result, device, confidence, because, window_s, at) VALUES (?,?,?,?,?,?,?) "
                       "ON CONFLICT (sighting) DO UPDATE SET result = excluded.result, device = excluded.device, confidence = excluded.confidence, "
                       "because = excluded.because, window_s = excluded.window_s, at = excluded.at",
                       {j.sighting, j.result, j.device, j.confidence, j.because, j.window_s, j.at}));
  return {};
}
Result<std::vector<SightingJoin>> Registry::sighting_joins() { return read_joins(*db_, "ORDER BY sighting", {}); }
Result<std::vector<SightingJoin>> Registry::sighting_joins_of(Id device) {
  return read_joins(*db_, "WHERE device = ? ORDER BY sighting", {device});
}

// ---- devices ----

Result<Id> Registry::put_device(const Device& d, std::string_view main_key, std::string_view rules_version) {
  // Claims come from banners: columns hold clean text, the raw bytes stay in the reply.
  const auto& i = d.identity;
  const auto vendor = to_clean_utf8(i.vendor.value), product = to_clean_utf8(i.product.value), firmware = to_clean_utf8(i.firmware.value),
             type = to_clean_utf8(i.type.value);
  if (d.id == 0) {
    NORA_TRY(auto rows,
             db_->query("INSERT INTO device (stable_key, vendor, product, firmware, type, product_confidence, identity, cpes, cluster, rules_version, "
                        "first_seen, last_seen) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id",
                        {main_key, vendor, product, firmware, type, i.product.confidence, identity_json(i), cpes_json(i),
                         d.cluster, rules_version, d.first_seen, d.last_seen}));
    return rows.at(0)[0].integer();
  }
  NORA_CHECK(db_->exec("UPDATE device SET stable_key = ?, vendor = ?, product = ?, firmware = ?, type = ?, product_confidence = ?, identity = ?, "
                       "cpes = ?, cluster = ?, rules_version = ?, first_seen = ?, last_seen = ? WHERE id = ?",
                       {main_key, vendor, product, firmware, type, i.product.confidence, identity_json(i), cpes_json(i),
                        d.cluster, rules_version, d.first_seen, d.last_seen, d.id}));
  return d.id;
}

Result<std::optional<Device>> Registry::device(Id id) {
  NORA_TRY(auto found, read_devices(*db_, "WHERE d.id = ?", {id}));
  if (found.empty()) return std::optional<Device>{};
  return std::optional<Device>(found[0]);
}
Status Registry::set_cluster(Id device, std::string_view cluster) { return db_->write("UPDATE device SET cluster = ? WHERE id = ?", {cluster, device}); }
Result<std::vector<Device>> Registry::devices(std::span<const Id> ids) {
  return read_devices(*db_, "WHERE d.id IN (" + store::places(ids.size()) + ") ORDER BY d.id", store::Params(ids.begin(), ids.end()));
}
Status Registry::put_device_keys(Id device, const std::vector<std::string>& unit_keys) {
  store::Rows rows;
  for (const auto& key : unit_keys) rows.push_back({key, device});
  return db_->insert_many("device_key", {"unit_key", "device"}, rows, true);
}
Result<std::vector<std::string>> Registry::device_keys(Id device) {
  NORA_TRY(auto rows, db_->query("SELECT unit_key FROM device_key WHERE device = ? ORDER BY unit_key", {device}));
  std::vector<std::string> out;
  for (const auto& r : rows) out.push_back(r[0].str());
  return out;
}
Status Registry::merge_devices(Id from, Id into) {
  return db_->transaction([&]() -> Status {
    NORA_TRY(const auto ends, endpoints(from));
    for (auto e : ends) {
      e.device = into;
      NORA_CHECK(put_endpoint(e));
    }
    NORA_CHECK(db_->write("DELETE FROM device_endpoint WHERE device = ?", {from}));
    NORA_TRY(const auto keys, device_keys(from));
    NORA_CHECK(put_device_keys(into, keys));
    NORA_CHECK(db_->write("DELETE FROM device_key WHERE device = ?", {from}));
    NORA_CHECK(db_->write("UPDATE sighting_join SET device = ? WHERE device = ?", {into, from}));
    return db_->write("UPDATE device SET merged_into = ? WHERE id = ?", {into, from});
  });
}
Result<std::vector<Device>> Registry::devices_by_key(std::string_view unit_key) {
  return read_devices(*db_, "JOIN device_key k ON k.device = d.id WHERE k.unit_key = ? AND d.merged_into = 0 ORDER BY d.id", {unit_key});
}
Result<std::vector<Device>> Registry::devices_by_cluster(std::string_view cluster) {
  return read_devices(*db_, "WHERE d.cluster = ? AND d.merged_into = 0 ORDER BY d.id", {cluster});
}
Result<std::vector<Device>> Registry::devices_at(Ip ip) {
  return read_devices(*db_, "WHERE d.id IN (SELECT device FROM device_endpoint WHERE ip = ?) ORDER BY d.id", {ip});
}
Result<std::vector<Device>> Registry::all_devices(Id after, std::size_t limit) {
  return read_devices(*db_, "WHERE d.id > ? AND d.merged_into = 0 ORDER BY d.id LIMIT ?", {after, static_cast<std::int64_t>(limit)});
}

Status Registry::put_endpoint(const DeviceEndpoint& e) {
  NORA_CHECK(db_->exec("INSERT INTO device_endpoint (device, ip, port, proto, from_at, to_at, reply_hash, observation) VALUES (?,?,?,?,?,?,?,?) "
                       "ON CONFLICT (device, ip, port, proto, from_at) DO UPDATE SET to_at = excluded.to_at, reply_hash = excluded.reply_hash, "
                       "observation = excluded.observation WHERE device_endpoint.to_at <= excluded.to_at",
                       {e.device, e.ip, e.port.value, static_cast<int>(e.proto), e.from, e.to, e.reply_hash, e.observation}));
  return {};
}
Result<std::vector<DeviceEndpoint>> Registry::endpoints(Id device) {
  return read_endpoints(*db_, "WHERE device = ? ORDER BY to_at DESC, ip, port", {device});
}
Result<std::vector<DeviceEndpoint>> Registry::endpoints_at(Ip ip) {
  return read_endpoints(*db_, "WHERE ip = ? ORDER BY to_at DESC, port", {ip});
}

}  // namespace nora::registry
