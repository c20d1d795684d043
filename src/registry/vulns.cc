#include "registry/vulns.h"

#include <algorithm>

#include "base/crypto.h"
#include "registry/codec.h"

namespace nora::registry {
namespace {

constexpr std::size_t max_in_list = 400;

// Calls f with slices of at most max_in_list values.
template <class Set, class F>
Status in_slices(const Set& values, F f) {
  store::Params slice;
  for (auto it = values.begin(); it != values.end();) {
    slice.clear();
    for (; it != values.end() && slice.size() < max_in_list; ++it) slice.emplace_back(*it);
    NORA_CHECK(f(slice));
  }
  return {};
}

// The columns of select_device_vuln.
DeviceVuln device_vuln_from(const store::Row& r) {
  return {r[0].integer(), r[1].str(), static_cast<int>(r[2].integer()), r[3].str(), r[4].str(), r[5].str(), r[6].integer(), r[7].instant()};
}
constexpr std::string_view device_vuln_columns = "SELECT v.device, v.cve, v.verdict, v.source, t.words, w.words, v.priority, v.at";
constexpr std::string_view device_vuln_texts = " JOIN vuln_text t ON t.id = v.reason JOIN vuln_text w ON w.id = v.words ";
Result<std::vector<DeviceVuln>> device_vulns(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(const auto rows, db.query(std::string(device_vuln_columns) + " FROM device_vuln v" + std::string(device_vuln_texts) + std::string(tail), params));
  std::vector<DeviceVuln> out;
  for (const auto& r : rows) out.push_back(device_vuln_from(r));
  return out;
}

}  // namespace

Result<VulnCounts> Vulns::put(std::string_view source, const std::vector<VulnRecord>& records) {
  VulnCounts counts;
  NORA_CHECK(db_.transaction([&]() -> Status {
    if (db_.is_postgres()) NORA_CHECK(db_.write("LOCK TABLE vuln_record IN SHARE ROW EXCLUSIVE MODE"));
    // What is stored of these records, by record and CVE. The whole source is read when most of it is about to be compared anyway.
    struct Stored { Instant modified; std::map<std::string, std::string> docs; };
    std::map<std::string, Stored> stored;
    const auto take = [&](const store::Rows& rows) {
      for (const auto& r : rows) {
        auto& s = stored[r[0].str()];
        s.modified = r[2].instant();
        s.docs.emplace(r[1].str(), r[3].str());
      }
    };
    std::set<std::string> ids;
    for (const auto& r : records) ids.insert(r.record);
    NORA_CHECK(in_slices(ids, [&](store::Params& slice) -> Status {
      auto params = slice;
      params.insert(params.begin(), std::string(source));
      NORA_TRY(const auto rows, db_.query("SELECT record, cve, modified, doc FROM vuln_record WHERE source = ? AND record IN (" + store::places(slice.size()) + ")", params));
      take(rows);
      return {};
    }));
    store::Rows new_records, new_products;
    for (const auto& record : records) {
      ++counts.records;
      std::map<std::string, const VulnItem*> items;
      for (const auto& item : record.items) items[item.cve] = &item;  // the last word on a CVE counts
      const auto it = stored.find(record.record);
      if (it != stored.end()) {
        if (it->second.modified > record.modified) { ++counts.older; continue; }
        const auto& docs = it->second.docs;
        if (docs.size() == items.size() && std::equal(docs.begin(), docs.end(), items.begin(), [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second->doc; })) {
          if (it->second.modified < record.modified)
            NORA_CHECK(db_.write("UPDATE vuln_record SET modified = ? WHERE source = ? AND record = ?", {record.modified, source, record.record}));
          ++counts.same;
          continue;
        }
        NORA_CHECK(db_.write("DELETE FROM vuln_record WHERE source = ? AND record = ?", {source, record.record}));
        NORA_CHECK(db_.write("DELETE FROM vuln_product WHERE source = ? AND record = ?", {source, record.record}));
        ++counts.changed;
      } else if (items.empty()) {
        ++counts.same;  // an advisory without vulnerabilities leaves no row
        continue;
      } else {
        ++counts.added;
      }
      // Twice the same record in one file: the rows that wait are its older form.
      const auto is_record = [&](std::size_t column) { return [&, column](const store::Row& r) { return r[column].str() == record.record; }; };
      if (it != stored.end() && it->second.docs.empty()) {
        std::erase_if(new_records, is_record(1));
        std::erase_if(new_products, is_record(4));
      }
      for (const auto& [cve, item] : items) {
        new_records.push_back({std::string(source), record.record, cve, record.modified, item->doc});
        for (const auto& [vendor, product] : item->products) new_products.push_back({vendor, product, cve, std::string(source), record.record});
      }
      stored[record.record] = {record.modified, {}};
    }
    NORA_CHECK(db_.insert_many("vuln_record", {"source", "record", "cve", "modified", "doc"}, new_records));
    return db_.insert_many("vuln_product", {"vendor", "product", "cve", "source", "record"}, new_products, true);
  }));
  return counts;
}

Result<std::int64_t> Vulns::remove_others(std::string_view source, const std::set<std::string>& keep) {
  std::int64_t removed = 0;
  NORA_CHECK(db_.transaction([&]() -> Status {
    NORA_TRY(const auto rows, db_.query("SELECT DISTINCT record FROM vuln_record WHERE source = ?", {source}));
    for (const auto& r : rows) {
      if (keep.contains(r[0].str())) continue;
      NORA_CHECK(db_.write("DELETE FROM vuln_record WHERE source = ? AND record = ?", {source, r[0].str()}));
      NORA_CHECK(db_.write("DELETE FROM vuln_product WHERE source = ? AND record = ?", {source, r[0].str()}));
      ++removed;
    }
    return {};
  }));
  return removed;
}

Result<VulnCounts> Vulns::put_epss(const std::vector<EpssRow>& rows) {
  VulnCounts counts;
  NORA_CHECK(db_.transaction([&]() -> Status {
    std::map<std::string, EpssRow> stored;
    NORA_TRY(const auto old, db_.query("SELECT cve, score, percentile, day FROM vuln_epss"));
    for (const auto& r : old) stored[r[0].str()] = {r[0].str(), r[1].real(), r[2].real(), r[3].instant()};
    store::Rows fresh;
    for (const auto& r : rows) {
      ++counts.records;
      const auto it = stored.find(r.cve);
      if (it == stored.end()) {
        ++counts.added;
        stored[r.cve] = r;
        fresh.push_back({r.cve, r.score, r.percentile, r.day});
      } else if (it->second.day > r.day) {
        ++counts.older;
      } else if (it->second.score == r.score && it->second.percentile == r.percentile) {
        ++counts.same;
      } else {
        ++counts.changed;
        NORA_CHECK(db_.write("UPDATE vuln_epss SET score = ?, percentile = ?, day = ? WHERE cve = ?", {r.score, r.percentile, r.day, r.cve}));
      }
    }
    return db_.insert_many("vuln_epss", {"cve", "score", "percentile", "day"}, fresh, true);
  }));
  return counts;
}

Result<VulnCounts> Vulns::put_support(std::string_view product, const std::vector<SupportRow>& rows) {
  VulnCounts counts;
  NORA_CHECK(db_.transaction([&]() -> Status {
    NORA_TRY(const auto old, support_of(product));
    std::map<std::string, SupportRow> stored, wanted;
    for (const auto& r : old) stored[r.cycle] = r;
    for (const auto& r : rows) wanted[r.cycle] = r;
    counts.records = static_cast<std::int64_t>(wanted.size());
    for (const auto& [cycle, r] : wanted) {
      const auto it = stored.find(cycle);
      if (it != stored.end() && it->second == r) { ++counts.same; continue; }
      ++(it == stored.end() ? counts.added : counts.changed);
      NORA_CHECK(db_.write("INSERT INTO support_cycle (product, cycle, eol, support, latest) VALUES (?,?,?,?,?) ON CONFLICT (product, cycle) DO UPDATE SET eol = excluded.eol, "
                           "support = excluded.support, latest = excluded.latest", {product, r.cycle, r.eol, r.support, r.latest}));
    }
    for (const auto& [cycle, r] : stored) {
      if (wanted.contains(cycle)) continue;
      ++counts.removed;
      NORA_CHECK(db_.write("DELETE FROM support_cycle WHERE product = ? AND cycle = ?", {product, cycle}));
    }
    return {};
  }));
  return counts;
}

Status Vulns::note_import(const ImportNote& n) {
  return db_.write("INSERT INTO vuln_import (source, file, file_hash, data_at, records, changed, at) VALUES (?,?,?,?,?,?,?)",
                   {n.source, n.file, n.file_hash, n.data_at, n.records, n.changed, n.at});
}
Result<std::vector<ImportNote>> Vulns::imports(std::size_t limit) {
  NORA_TRY(const auto rows, db_.query("SELECT id, source, file, file_hash, data_at, records, changed, at FROM vuln_import ORDER BY id DESC LIMIT ?", {static_cast<std::int64_t>(limit)}));
  std::vector<ImportNote> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].str(), r[2].str(), r[3].hash(), r[4].instant(), r[5].integer(), r[6].integer(), r[7].instant()});
  return out;
}
Result<std::optional<Instant>> Vulns::data_at(std::string_view source) {
  NORA_TRY(const auto value, db_.one("SELECT max(data_at) FROM vuln_import WHERE source = ?", {source}));
  if (value.is_null()) return std::optional<Instant>{};
  return std::optional(value.instant());
}

Result<std::set<std::string>> Vulns::cves_of(const std::vector<std::pair<std::string, std::string>>& names) {
  std::set<std::pair<std::string, std::string>> asked;
  for (const auto& [vendor, product] : names) {
    asked.insert({vendor, product});
    asked.insert({vendor, "*"});
    asked.insert({"*", product});
  }
  std::set<std::string> out;
  for (const auto& [vendor, product] : asked) {
    NORA_TRY(const auto rows, db_.query("SELECT DISTINCT cve FROM vuln_product WHERE vendor = ? AND product = ?", {vendor, product}));
    for (const auto& r : rows) out.insert(r[0].str());
  }
  return out;
}

Result<std::map<std::string, std::vector<std::string>>> Vulns::docs_of(const std::set<std::string>& cves) {
  std::map<std::string, std::vector<std::string>> out;
  NORA_CHECK(in_slices(cves, [&](store::Params& slice) -> Status {
    NORA_TRY(const auto rows, db_.query("SELECT cve, doc FROM vuln_record WHERE cve IN (" + store::places(slice.size()) + ") ORDER BY cve, source DESC, record", slice));
    for (const auto& r : rows) out[r[0].str()].push_back(r[1].str());
    return {};
  }));
  return out;
}

Result<std::map<std::string, EpssRow>> Vulns::epss_of(const std::set<std::string>& cves) {
  std::map<std::string, EpssRow> out;
  NORA_CHECK(in_slices(cves, [&](store::Params& slice) -> Status {
    NORA_TRY(const auto rows, db_.query("SELECT cve, score, percentile, day FROM vuln_epss WHERE cve IN (" + store::places(slice.size()) + ")", slice));
    for (const auto& r : rows) out[r[0].str()] = {r[0].str(), r[1].real(), r[2].real(), r[3].instant()};
    return {};
  }));
  return out;
}

Result<std::vector<SupportRow>> Vulns::support_of(std::string_view product) {
  NORA_TRY(const auto rows, db_.query("SELECT product, cycle, eol, support, latest FROM support_cycle WHERE product = ? ORDER BY cycle", {product}));
  std::vector<SupportRow> out;
  for (const auto& r : rows) out.push_back({r[0].str(), r[1].str(), r[2].str(), r[3].str(), r[4].str()});
  return out;
}

Result<std::map<std::string, std::int64_t>> Vulns::record_counts() {
  NORA_TRY(const auto rows, db_.query("SELECT source, count(*) FROM vuln_record GROUP BY source ORDER BY source"));
  std::map<std::string, std::int64_t> out;
  for (const auto& r : rows) out[r[0].str()] = r[1].integer();
  return out;
}

// ---- devices ----

Result<std::vector<DeviceName>> Vulns::devices(Id after, std::size_t limit) {
  NORA_TRY(const auto rows, db_.query("SELECT id, vendor, product, firmware, cpes, product_confidence, priority FROM device WHERE id > ? AND merged_into = 0 ORDER BY id LIMIT ?",
                                      {after, static_cast<std::int64_t>(limit)}));
  std::vector<DeviceName> out;
  out.reserve(rows.size());
  for (const auto& r : rows) {
    Identity known;
    known.product = {r[2].str(), r[5].real(), {}};
    out.push_back({r[0].integer(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), known.product_known(), r[6].integer()});
  }
  return out;
}
Status Vulns::names_in(const DeviceName& d, std::vector<std::string>& cpes, std::vector<std::string>& components) { return cpes_from(d.cpes, cpes, components); }

Result<std::vector<DeviceExposure>> Vulns::exposures(Id from, Id to) {
  NORA_TRY(const auto rows, db_.query("SELECT device, id, pattern, rule, priority, priority_why FROM finding WHERE device BETWEEN ? AND ? AND state = 'open' ORDER BY device, pattern, rule, id",
                                      {from, to}));
  std::vector<DeviceExposure> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].integer(), r[2].str().empty() ? 'D' : r[2].str()[0], r[3].str(), r[4].integer(), r[5].integer()});
  return out;
}

Status Vulns::put_urgency(Id from, Id to, const std::map<Id, std::int64_t>& devices, const std::map<Id, Urgency>& findings) {
  return db_.transaction([&]() -> Status {
    for (const auto& [id, priority] : devices) NORA_CHECK(db_.write("UPDATE device SET priority = ? WHERE id = ?", {priority, id}));
    for (const auto& [id, u] : findings) NORA_CHECK(db_.write("UPDATE finding SET priority = ?, priority_why = ? WHERE id = ?", {u.priority, u.why, id}));
    NORA_CHECK(db_.exec("UPDATE finding SET priority = 0, priority_why = 0 WHERE device BETWEEN ? AND ? AND state <> 'open' AND priority <> 0", {from, to}));
    return {};
  });
}

std::int64_t Vulns::text_key(std::string_view text) {
  const auto hash = sha256(as_bytes(text));
  std::uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out = out << 8 | hash[static_cast<std::size_t>(i)];
  return static_cast<std::int64_t>(out >> 1);
}

Status Vulns::put_texts(const std::map<std::int64_t, std::string>& texts) {
  store::Rows rows;
  for (const auto& [key, text] : texts) rows.push_back({key, text});
  return db_.insert_many("vuln_text", {"id", "words"}, rows, true);
}

Result<DeviceVulnCounts> Vulns::put_device_vulns(Id from, Id to, const std::map<Id, std::vector<DeviceVulnRow>>& wanted, Instant now) {
  DeviceVulnCounts counts;
  NORA_CHECK(db_.transaction([&]() -> Status {
    if (db_.is_postgres()) NORA_CHECK(db_.write("LOCK TABLE device_vuln IN SHARE ROW EXCLUSIVE MODE"));
    NORA_TRY(const auto rows, db_.query("SELECT device, cve, verdict, source, reason, words, priority FROM device_vuln WHERE device BETWEEN ? AND ? ORDER BY device, cve", {from, to}));
    std::map<Id, std::map<std::string, DeviceVulnRow>> stored;
    for (const auto& r : rows) stored[r[0].integer()].emplace(r[1].str(), DeviceVulnRow{r[1].str(), static_cast<int>(r[2].integer()), r[3].str(), r[4].integer(), r[5].integer(), r[6].integer()});
    store::Rows fresh;
    static const std::map<std::string, DeviceVulnRow> nothing;
    for (const auto& [device, list] : wanted) {
      const auto it = stored.find(device);
      const auto& have = it == stored.end() ? nothing : it->second;
      bool changed = false;
      std::set<std::string_view> keep;
      for (const auto& row : list) {
        keep.insert(row.cve);
        const auto old = have.find(row.cve);
        if (old != have.end() && old->second == row) continue;
        if (old != have.end()) {
          NORA_CHECK(db_.write("DELETE FROM device_vuln WHERE device = ? AND cve = ?", {device, row.cve}));
          ++counts.rows_removed;
        }
        fresh.push_back({device, row.cve, row.verdict, row.source, row.reason, row.why, row.priority, now});
        changed = true;
      }
      for (const auto& [cve, row] : have) {
        if (keep.contains(cve)) continue;
        NORA_CHECK(db_.write("DELETE FROM device_vuln WHERE device = ? AND cve = ?", {device, cve}));
        ++counts.rows_removed;
        changed = true;
      }
      counts.devices_changed += changed;
    }
    // Devices that are gone, were merged, or of which nothing is true any more.
    for (const auto& [device, have] : stored) {
      if (wanted.contains(device)) continue;
      NORA_TRY(const auto gone, db_.exec("DELETE FROM device_vuln WHERE device = ?", {device}));
      counts.rows_removed += gone;
      ++counts.devices_changed;
    }
    counts.rows_added = static_cast<std::int64_t>(fresh.size());
    return db_.insert_many("device_vuln", {"device", "cve", "verdict", "source", "reason", "words", "priority", "at"}, fresh);
  }));
  return counts;
}

Result<std::vector<DeviceVuln>> Vulns::of_device(Id device) { return device_vulns(db_, "WHERE v.device = ? ORDER BY v.priority DESC, v.cve", {device}); }
Result<std::vector<DeviceVuln>> Vulns::of_cve(std::string_view cve, Id after, std::size_t limit) {
  return device_vulns(db_, "WHERE v.cve = ? AND v.device > ? ORDER BY v.device LIMIT ?", {cve, after, static_cast<std::int64_t>(limit)});
}
Result<std::vector<DeviceVuln>> Vulns::exploited(Id device, std::size_t limit) {
  return device_vulns(db_, "WHERE v.device = ? AND EXISTS (SELECT 1 FROM vuln_record k WHERE k.cve = v.cve AND k.source = 'kev') ORDER BY v.verdict DESC, v.priority DESC, v.cve LIMIT ?",
                      {device, static_cast<std::int64_t>(limit)});
}

Result<std::vector<DeviceVulnDocs>> Vulns::with_docs(const std::vector<Id>& devices, std::size_t limit) {
  std::vector<DeviceVulnDocs> out;
  if (devices.empty()) return out;
  store::Params params;
  for (const auto id : devices) params.emplace_back(id);
  params.emplace_back(static_cast<std::int64_t>(limit));
  NORA_TRY(const auto rows, db_.query(std::string(device_vuln_columns) + ", r.doc FROM (SELECT device, cve, verdict, source, reason, words, priority, at FROM device_vuln WHERE device IN (" +
                                          store::places(devices.size()) + ") ORDER BY priority DESC, cve, device LIMIT ?) v" + std::string(device_vuln_texts) +
                                          "LEFT JOIN vuln_record r ON r.cve = v.cve ORDER BY v.priority DESC, v.cve, v.device, r.source DESC, r.record", params));
  for (const auto& r : rows) {
    auto row = device_vuln_from(r);
    if (out.empty() || out.back().row.device != row.device || out.back().row.cve != row.cve) out.push_back({std::move(row), {}});
    if (!r[8].is_null()) out.back().docs.push_back(r[8].str());
  }
  return out;
}

}  // namespace nora::registry
