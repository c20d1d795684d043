#include "registry/views.h"

#include <algorithm>
#include <map>

#include "base/escape.h"
#include "registry/codec.h"
#include "registry/finding_row.h"

namespace nora::registry {
namespace {

// Collects AND conditions with their values in order.
struct Where {
  std::string sql;
  store::Params params;
  void add(std::string_view condition, std::initializer_list<store::Value> values) {
    sql += sql.empty() ? "WHERE " : " AND ";
    sql += condition;
    for (const auto& v : values) params.push_back(v);
  }
  void equal(std::string_view column, const std::string& value) {
    if (!value.empty()) add(std::string(column) + " = ?", {value});
  }
};

std::int64_t bounded(std::size_t limit) { return static_cast<std::int64_t>(std::min(limit, max_page_rows)); }

// The keyset of a page and its order. `alias`: of the table with id and priority.
std::string page_order(Where& where, const Filter& f, std::string_view alias) {
  const std::string a(alias);
  if (!f.by_priority) {
    where.add(a + ".id > ?", {f.after});
    return " ORDER BY " + a + ".id LIMIT ?";
  }
  if (f.after > 0) where.add("(" + a + ".priority < ? OR (" + a + ".priority = ? AND " + a + ".id > ?))", {f.after_priority, f.after_priority, f.after});
  return " ORDER BY " + a + ".priority DESC, " + a + ".id LIMIT ?";
}

void device_conditions(Where& where, const Filter& f) {
  where.equal("d.vendor", f.vendor);
  where.equal("d.product", f.product);
  where.equal("d.type", f.type);
  where.equal("d.cluster", f.cluster);
  if (f.unknown_only) where.add("d.product = ''", {});
  if (!f.cve.empty()) where.add("d.id IN (SELECT device FROM device_vuln WHERE cve = ?)", {f.cve});
  if (!f.text.empty()) {
    const std::string like = "%" + to_sql_like(f.text) + "%";
    where.add("(d.vendor || ' ' || d.product || ' ' || d.firmware || ' ' || d.type) LIKE ? ESCAPE '\\'", {like});
  }
}

Result<std::vector<Count>> counts(store::Db& db, std::string_view sql, const store::Params& params = {}) {
  NORA_TRY(auto rows, db.query(sql, params));
  std::vector<Count> out;
  for (const auto& r : rows) out.push_back({r[0].str(), r[1].integer()});
  return out;
}

}  // namespace

Result<std::vector<FindingRow>> find_findings(Registry& registry, const Filter& f) {
  Where where;
  const auto order = page_order(where, f, "f");
  if (f.prefix) where.add("f.ip BETWEEN ? AND ?", {f.prefix->base(), f.prefix->last()});
  where.equal("f.rule", f.rule);
  where.equal("f.state", f.finding_state);
  if (f.pattern) where.add("f.pattern = ?", {std::string(1, static_cast<char>(*f.pattern))});
  if (f.min_severity) where.add("f.severity >= ?", {static_cast<int>(*f.min_severity)});
  where.equal("c.isp", f.isp);
  where.equal("c.state", f.case_state);
  device_conditions(where, f);
  where.params.emplace_back(bounded(f.limit));
  NORA_TRY(auto rows, registry.db().query(
      "SELECT " + finding_columns() + ", d.identity, d.cluster, c.isp, c.state FROM finding f LEFT JOIN device d ON d.id = f.device "
      "LEFT JOIN cases c ON c.id = f.case_id " + where.sql + order, where.params));
  std::vector<FindingRow> out;
  for (const auto& r : rows) {
    FindingRow row;
    NORA_TRY(row.stored, finding_from(r));
    const auto n = r.size();
    if (!r[n - 4].is_null()) { NORA_TRY(row.identity, identity_from(r[n - 4].str())); }
    row.cluster = r[n - 3].str();
    row.isp = r[n - 2].str();
    row.case_state = r[n - 1].str();
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::vector<DeviceRow>> find_devices(Registry& registry, const Filter& f) {
  Where where;
  const auto order = page_order(where, f, "d");
  where.add("d.merged_into = 0", {});
  device_conditions(where, f);
  if (f.prefix) where.add("d.id IN (SELECT device FROM device_endpoint WHERE ip BETWEEN ? AND ?)", {f.prefix->base(), f.prefix->last()});
  if (!f.rule.empty()) where.add("d.id IN (SELECT device FROM finding WHERE rule = ?)", {f.rule});
  if (f.pattern)
    where.add("d.id IN (SELECT device FROM finding WHERE pattern = ? AND state = 'open')", {std::string(1, static_cast<char>(*f.pattern))});
  if (!f.isp.empty())
    where.add("d.id IN (SELECT f.device FROM finding f JOIN cases c ON c.id = f.case_id WHERE c.isp = ?)", {f.isp});
  where.params.emplace_back(bounded(f.limit));
  NORA_TRY(auto rows, registry.db().query(
      "SELECT d.id, d.identity, d.cluster, d.first_seen, d.last_seen, "
      "(SELECT count(*) FROM finding f WHERE f.device = d.id AND f.state = 'open'), "
      "(SELECT min(c.isp) FROM finding f JOIN cases c ON c.id = f.case_id WHERE f.device = d.id), d.priority FROM device d " + where.sql + order,
      where.params));
  std::vector<DeviceRow> out;
  std::map<Id, std::size_t> place;
  for (const auto& r : rows) {
    DeviceRow row;
    row.device.id = r[0].integer();
    NORA_TRY(row.device.identity, identity_from(r[1].str()));
    row.device.cluster = r[2].str();
    row.device.first_seen = r[3].instant();
    row.device.last_seen = r[4].instant();
    row.open_findings = r[5].integer();
    row.isp = r[6].str();
    row.priority = r[7].integer();
    place[row.device.id] = out.size();
    out.push_back(std::move(row));
  }
  if (out.empty()) return out;
  store::Params ids;
  std::string in;
  for (const auto& row : out) {
    in += in.empty() ? "?" : ",?";
    ids.emplace_back(row.device.id);
  }
  NORA_TRY(auto ends, registry.db().query("SELECT device, ip, port, proto, from_at, to_at, reply_hash, observation FROM device_endpoint WHERE device IN (" +
                                              in + ") ORDER BY ip, port", ids));
  for (const auto& r : ends)
    out[place[r[0].integer()]].endpoints.push_back({r[0].integer(), r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())},
                                                    static_cast<Proto>(r[3].integer()), r[4].instant(), r[5].instant(), r[6].hash(), r[7].integer()});
  return out;
}

Result<std::vector<ObservationRow>> observation_rows(Registry& registry, Ip ip, std::size_t limit) {
  NORA_TRY(auto rows, registry.db().query(
      "SELECT o.id, o.ip, o.port, o.proto, o.at, o.at_error, o.reply_hash, o.probe, o.segment, o.request_bytes, o.reply_bytes, "
      "r.protocol, r.bytes, r.match_keys, s.reserved_leaf, s.committed_leaf FROM observation o JOIN reply r ON r.hash = o.reply_hash "
      "LEFT JOIN segment s ON s.id = o.segment WHERE o.ip = ? ORDER BY o.at DESC, o.id DESC LIMIT ?",
      {ip, bounded(limit)}));
  std::vector<ObservationRow> out;
  for (const auto& r : rows) {
    ObservationRow row;
    auto& o = row.seen;
    o.id = r[0].integer();
    o.where = {r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())}, static_cast<Proto>(r[3].integer()), r[4].instant()};
    o.at_error = {r[5].integer()};
    o.reply_hash = row.reply.hash = r[6].hash();
    o.probe = r[7].str();
    o.segment = r[8].str();
    o.request_bytes = r[9].integer();
    o.reply_bytes = r[10].integer();
    row.reply.protocol = r[11].str();
    row.reply.bytes = r[12].blob();
    NORA_TRY(row.reply.keys, unpack_keys(r[13].blob()));
    row.reserved_leaf = r[14].str();
    row.committed_leaf = r[15].str();
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::vector<PlacedReply>> replies_of(Registry& registry, const std::vector<Id>& devices, std::size_t limit) {
  if (devices.empty()) return std::vector<PlacedReply>{};
  std::string in;
  store::Params params;
  for (const auto id : devices) {
    in += in.empty() ? "?" : ",?";
    params.emplace_back(id);
  }
  params.emplace_back(bounded(limit));
  NORA_TRY(auto rows, registry.db().query("SELECT e.device, e.ip, e.port, e.proto, e.to_at, r.hash, r.protocol, r.bytes, r.match_keys FROM device_endpoint e "
                                          "JOIN reply r ON r.hash = e.reply_hash WHERE e.device IN (" + in + ") ORDER BY e.device, e.port, e.proto, e.to_at DESC LIMIT ?", params));
  std::vector<PlacedReply> out;
  for (const auto& r : rows) {
    PlacedReply p;
    p.device = r[0].integer();
    p.where = {r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())}, static_cast<Proto>(r[3].integer()), r[4].instant()};
    p.reply.hash = r[5].hash();
    p.reply.protocol = r[6].str();
    p.reply.bytes = r[7].blob();
    NORA_TRY(p.reply.keys, unpack_keys(r[8].blob()));
    out.push_back(std::move(p));
  }
  return out;
}

Result<bool> set_apart(Registry& registry, Ip ip, Instant since) {
  const auto network = Prefix::of(ip, ip.is_v4() ? 24 : 48);
  NORA_TRY(auto rows, registry.db().query("SELECT o.ip, r.match_keys FROM observation o JOIN reply r ON r.hash = o.reply_hash WHERE o.ip IN (?, ?) AND o.port = 0 AND "
                                          "o.at >= ? AND r.protocol = ?",
                                          {ip, network.base(), since, middlebox_protocol}));
  for (const auto& r : rows) {
    if (r[0].ip() == ip) return true;
    NORA_TRY(auto keys, unpack_keys(r[1].blob()));
    for (const auto& k : keys)
      if (k.key == "middlebox.scope" && k.value == network.text()) return true;  // of the whole network, not of its first address
  }
  return false;
}

Result<std::vector<Outcome>> outcomes_at(Registry& registry, Ip ip, std::size_t limit) {
  NORA_TRY(auto rows, registry.db().query("SELECT ip, port, proto, probe, at, outcome, segment FROM probe_outcome WHERE ip = ? ORDER BY at DESC, id DESC LIMIT ?",
                                          {ip, bounded(limit)}));
  std::vector<Outcome> out;
  for (const auto& r : rows)
    out.push_back({r[0].ip(), {static_cast<std::uint16_t>(r[1].integer())}, static_cast<Proto>(r[2].integer()), r[3].str(), r[4].instant(), r[5].str(), r[6].str()});
  return out;
}

Result<std::vector<Count>> count_by_pattern(Registry& registry) {
  NORA_TRY(auto some, counts(registry.db(), "SELECT pattern, count(*) FROM finding WHERE state = 'open' GROUP BY pattern ORDER BY pattern"));
  std::vector<Count> out;
  for (const char* pattern : {"A", "B", "C", "D"}) {
    Count c{pattern, 0};
    for (const auto& s : some) if (s.label == pattern) c.count = s.count;
    out.push_back(c);
  }
  return out;
}
Result<std::vector<Count>> count_by_rule(Registry& registry) {
  return counts(registry.db(), "SELECT rule, count(*) AS n FROM finding WHERE state = 'open' GROUP BY rule ORDER BY n DESC, rule");
}
Result<std::vector<Count>> count_by_product(Registry& registry, std::size_t limit) {
  return counts(registry.db(),
                "SELECT CASE WHEN product = '' THEN '' ELSE vendor || ' ' || product END AS label, count(*) AS n FROM device WHERE merged_into = 0 "
                "GROUP BY CASE WHEN product = '' THEN '' ELSE vendor || ' ' || product END ORDER BY n DESC, label LIMIT ?", {bounded(limit)});
}
Result<std::vector<Count>> count_by_type(Registry& registry) {
  return counts(registry.db(), "SELECT type, count(*) AS n FROM device WHERE merged_into = 0 GROUP BY type ORDER BY n DESC, type");
}
Result<std::vector<Count>> count_by_isp(Registry& registry) {
  return counts(registry.db(), "SELECT isp, count(*) AS n FROM cases WHERE merged_into = 0 GROUP BY isp ORDER BY n DESC, isp");
}
Result<std::vector<Count>> count_clusters(Registry& registry) {
  return counts(registry.db(), "SELECT cluster, count(*) AS n FROM device WHERE merged_into = 0 AND cluster <> '' GROUP BY cluster ORDER BY n DESC, cluster");
}

Result<Totals> totals(Registry& registry) {
  NORA_TRY(auto rows, registry.db().query(
      "SELECT (SELECT count(DISTINCT ip) FROM observation), (SELECT count(*) FROM observation), (SELECT count(*) FROM reply), "
      "(SELECT count(*) FROM device WHERE merged_into = 0), (SELECT count(*) FROM device WHERE merged_into = 0 AND product <> ''), "
      "(SELECT count(*) FROM finding WHERE state = 'open'), (SELECT count(*) FROM finding WHERE state = 'fixed'), "
      "(SELECT count(*) FROM sighting), (SELECT count(*) FROM segment WHERE state <> ?)", {static_cast<int>(SegmentState::committed)}));
  const auto& r = rows.at(0);
  Totals t;
  t.addresses = r[0].integer();
  t.observations = r[1].integer();
  t.replies = r[2].integer();
  t.devices = r[3].integer();
  t.devices_known = r[4].integer();
  t.findings_open = r[5].integer();
  t.findings_fixed = r[6].integer();
  t.sightings = r[7].integer();
  t.segments_open = r[8].integer();
  return t;
}

}  // namespace nora::registry
