// Replies, outcomes, progress, identification memo. Segments: registry_segments.cc. Devices and findings: registry_devices.cc.
#include "registry/registry.h"

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "registry/codec.h"
#include "registry/schema.h"

namespace nora::registry {
namespace {

constexpr std::size_t max_in_list = 500;  // SQLite's default limit is 32,766 places; short statements plan faster

// Writers of one table take turns, so that ids rise in commit order and a reader can keep its place by id.
// SQLite's write transaction is exclusive already.
Status take_turn(store::Db& db, std::string_view table) {
  if (!db.is_postgres()) return {};
  NORA_CHECK(db.exec("LOCK TABLE " + std::string(table) + " IN SHARE ROW EXCLUSIVE MODE"));
  return {};
}

Result<std::int64_t> top_id(store::Db& db, std::string_view table) {
  NORA_TRY(auto value, db.one("SELECT coalesce(max(id), 0) FROM " + std::string(table)));
  return value.integer();
}

Result<std::int64_t> rows_above(store::Db& db, std::string_view table, std::int64_t id) {
  NORA_TRY(auto value, db.one("SELECT count(*) FROM " + std::string(table) + " WHERE id > ?", {id}));
  return value.integer();
}

// What of a batch its writer may no longer put, and what of it is there already: see Fences.
struct Known {
  std::set<std::string> lost;                   // segments
  std::set<std::string> rows;                   // key(): (segment, ip, port, proto, probe, what was said)
  static std::string key(std::string_view segment, const Ip& ip, std::int64_t port, std::int64_t proto, std::string_view probe, std::string_view said) {
    std::string out(segment);
    out += '\0';
    out.append(reinterpret_cast<const char*>(ip.bytes().data()), 16);
    out += std::to_string(port) + "/" + std::to_string(proto) + "/";
    out += probe;
    out += '\0';
    out += said;
    return out;
  }
};

Result<Known> known_already(store::Db& db, const Fences& fences, const std::set<Ip>& addresses, std::string_view table, std::string_view said) {
  Known out;
  if (fences.empty()) return out;
  std::vector<std::string> segments;
  for (const auto& [id, fence] : fences) segments.push_back(id);
  for (std::size_t i = 0; i < segments.size(); i += max_in_list) {
    store::Params ids;
    for (std::size_t k = i; k < std::min(i + max_in_list, segments.size()); ++k) ids.emplace_back(segments[k]);
    std::string sql = "SELECT id, fence FROM segment WHERE id IN (" + store::places(ids.size()) + ")";
    if (db.is_postgres()) sql += " FOR SHARE";  // a lease that is being taken over waits until this batch is in
    NORA_TRY(auto rows, db.query(sql, ids));
    for (const auto& r : rows)
      if (auto held = fences.at(r[0].str()); held != 0 && held != r[1].integer()) out.lost.insert(r[0].str());
    std::vector<Ip> ips(addresses.begin(), addresses.end());
    for (std::size_t j = 0; j < ips.size(); j += max_in_list) {
      store::Params params = ids;
      std::size_t n = 0;
      for (std::size_t k = j; k < std::min(j + max_in_list, ips.size()); ++k, ++n) params.emplace_back(ips[k]);
      NORA_TRY(auto there, db.query("SELECT segment, ip, port, proto, probe, " + std::string(said) + " FROM " + std::string(table) +
                                        " WHERE segment IN (" + store::places(ids.size()) + ") AND ip IN (" + store::places(n) + ")",
                                    params));
      for (const auto& r : there) {
        const auto& text = r[5];
        auto what = std::holds_alternative<Bytes>(text.v()) ? std::string(as_text(text.blob())) : text.str();
        out.rows.insert(Known::key(r[0].str(), r[1].ip(), r[2].integer(), r[3].integer(), r[4].str(), what));
      }
    }
  }
  return out;
}

constexpr std::string_view observation_columns = "id, ip, port, proto, at, at_error, reply_hash, probe, segment, request_bytes, reply_bytes";

Observation observation_from(const store::Row& r) {
  Observation o;
  o.id = r[0].integer();
  o.where = {r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())}, static_cast<Proto>(r[3].integer()), r[4].instant()};
  o.at_error = {r[5].integer()};
  o.reply_hash = r[6].hash();
  o.probe = r[7].str();
  o.segment = r[8].str();
  o.request_bytes = r[9].integer();
  o.reply_bytes = r[10].integer();
  return o;
}

Result<std::vector<Observation>> observations(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT " + std::string(observation_columns) + " FROM observation " + std::string(tail), params));
  std::vector<Observation> out;
  for (const auto& r : rows) out.push_back(observation_from(r));
  return out;
}

std::int64_t bounded(std::size_t limit) { return static_cast<std::int64_t>(std::min<std::size_t>(limit, 100'000)); }

}  // namespace

Hash reply_hash(std::string_view protocol, ByteView bytes) {
  static constexpr std::uint8_t zero[1] = {0};
  return sha256({as_bytes(protocol), ByteView(zero), bytes});
}

Result<Registry> Registry::open(std::string_view url) {
  NORA_TRY(auto db, store::Db::open(url));
  Registry registry(*db);
  registry.owned_ = std::move(db);
  NORA_CHECK(registry.migrate());
  return registry;
}

Status Registry::migrate() { return db_->migrate("center", migrations()); }

Result<PutCounts> Registry::put_replies(const std::vector<ReplyRecord>& batch, const Fences& fences) {
  if (batch.size() > max_batch_rows) return fail(Code::usage, "a batch of replies has more than 10,000 rows");
  PutCounts counts;
  std::map<Hash, const ReplyRecord*> distinct;
  for (const auto& record : batch) {
    if (record.reply.bytes.size() > max_reply_bytes) return fail(Code::bad_input, "a reply is longer than 64 KiB");
    if (record.reply.hash != reply_hash(record.reply.protocol, record.reply.bytes))
      return fail(Code::bad_input, "a reply's hash does not fit its bytes");
    auto [it, fresh] = distinct.emplace(record.reply.hash, &record);
    if (!fresh && record.seen.where.at < it->second->seen.where.at) it->second = &record;
  }
  NORA_CHECK(db_->transaction([&]() -> Status {
    NORA_CHECK(take_turn(*db_, "observation"));
    std::set<Ip> addresses;
    for (const auto& record : batch) addresses.insert(record.seen.where.ip);
    NORA_TRY(auto there, known_already(*db_, fences, addresses, "observation", "reply_hash"));
    std::vector<const ReplyRecord*> wanted;
    std::set<Hash> wanted_hashes;
    for (const auto& record : batch) {
      const auto& o = record.seen;
      if (there.lost.contains(o.segment)) {
        ++counts.late;
        continue;
      }
      if (fences.contains(o.segment) &&
          !there.rows.insert(Known::key(o.segment, o.where.ip, o.where.port.value, static_cast<int>(o.where.proto), o.probe, as_text(ByteView(record.reply.hash)))).second)
        continue;
      wanted.push_back(&record);
      wanted_hashes.insert(record.reply.hash);
    }
    std::vector<Hash> hashes(wanted_hashes.begin(), wanted_hashes.end());
    std::set<Hash> known;
    for (std::size_t i = 0; i < hashes.size(); i += max_in_list) {
      store::Params params;
      for (std::size_t k = i; k < std::min(i + max_in_list, hashes.size()); ++k) params.emplace_back(hashes[k]);
      NORA_TRY(auto rows, db_->query("SELECT hash, length(bytes) FROM reply WHERE hash IN (" + store::places(params.size()) + ")", params));
      for (const auto& row : rows) {
        known.insert(row[0].hash());
        // Its bytes were deleted after their time (retention.h), and it is seen again.
        if (const auto& bytes = distinct.at(row[0].hash())->reply.bytes; row[1].integer() == 0 && !bytes.empty())
          NORA_CHECK(db_->exec("UPDATE reply SET bytes = ? WHERE hash = ?", {bytes, row[0].hash()}));
      }
    }
    store::Rows reply_rows;
    for (const auto& [hash, record] : distinct) {
      if (known.contains(hash) || !wanted_hashes.contains(hash)) continue;
      reply_rows.push_back({hash, record->reply.protocol, record->reply.bytes, pack_keys(record->reply.keys), record->seen.where.at});
    }
    counts.replies_new = static_cast<std::int64_t>(reply_rows.size());
    NORA_CHECK(db_->insert_many("reply", {"hash", "protocol", "bytes", "match_keys", "first_seen"}, reply_rows, true));
    NORA_TRY(auto before, top_id(*db_, "observation"));
    store::Rows rows;
    for (const auto* record : wanted) {
      const auto& o = record->seen;
      rows.push_back({o.where.ip, o.where.port.value, static_cast<int>(o.where.proto), o.where.at, o.at_error.us, record->reply.hash, o.probe,
                      o.segment, o.request_bytes, o.reply_bytes});
    }
    NORA_CHECK(db_->insert_many("observation",
                                {"ip", "port", "proto", "at", "at_error", "reply_hash", "probe", "segment", "request_bytes", "reply_bytes"},
                                rows, true));
    NORA_TRY(counts.rows_new, rows_above(*db_, "observation", before));
    return {};
  }));
  return counts;
}

Result<PutCounts> Registry::put_outcomes(const std::vector<Outcome>& batch, const Fences& fences) {
  if (batch.size() > max_batch_rows) return fail(Code::usage, "a batch of outcomes has more than 10,000 rows");
  PutCounts counts;
  NORA_CHECK(db_->transaction([&]() -> Status {
    NORA_CHECK(take_turn(*db_, "probe_outcome"));
    std::set<Ip> addresses;
    for (const auto& o : batch) addresses.insert(o.ip);
    NORA_TRY(auto there, known_already(*db_, fences, addresses, "probe_outcome", "outcome"));
    NORA_TRY(auto before, top_id(*db_, "probe_outcome"));
    store::Rows rows;
    for (const auto& o : batch) {
      if (there.lost.contains(o.segment)) {
        ++counts.late;
        continue;
      }
      if (fences.contains(o.segment) &&
          !there.rows.insert(Known::key(o.segment, o.ip, o.port.value, static_cast<int>(o.proto), o.probe, o.outcome)).second)
        continue;
      rows.push_back({o.ip, o.port.value, static_cast<int>(o.proto), o.probe, o.at, o.outcome, o.segment});
    }
    NORA_CHECK(db_->insert_many("probe_outcome", {"ip", "port", "proto", "probe", "at", "outcome", "segment"}, rows, true));
    NORA_TRY(counts.rows_new, rows_above(*db_, "probe_outcome", before));
    return {};
  }));
  return counts;
}

Result<std::optional<Reply>> Registry::reply(const Hash& hash) {
  NORA_TRY(auto rows, db_->query("SELECT hash, protocol, bytes, match_keys FROM reply WHERE hash = ?", {hash}));
  if (rows.empty()) return std::optional<Reply>{};
  Reply reply;
  reply.hash = rows[0][0].hash();
  reply.protocol = rows[0][1].str();
  reply.bytes = rows[0][2].blob();
  NORA_TRY(reply.keys, unpack_keys(rows[0][3].blob()));
  return std::optional<Reply>(std::move(reply));
}

Result<std::vector<Observation>> Registry::observations_after(Id after, std::size_t limit) {
  return observations(*db_, "WHERE id > ? ORDER BY id LIMIT ?", {after, bounded(limit)});
}

Result<std::vector<Observation>> Registry::observations_of(Ip ip, std::size_t limit) {
  return observations(*db_, "WHERE ip = ? ORDER BY at DESC, id DESC LIMIT ?", {ip, bounded(limit)});
}

Result<std::vector<Observation>> Registry::observations_of_reply(const Hash& hash, std::size_t limit) {
  return observations(*db_, "WHERE reply_hash = ? ORDER BY at DESC, id DESC LIMIT ?", {hash, bounded(limit)});
}

Result<std::vector<Hash>> Registry::reply_hashes(const Hash& after, std::size_t limit) {
  NORA_TRY(auto rows, db_->query("SELECT hash FROM reply WHERE hash > ? ORDER BY hash LIMIT ?", {after, bounded(limit)}));
  std::vector<Hash> out;
  for (const auto& r : rows) out.push_back(r[0].hash());
  return out;
}

Result<std::vector<Outcome>> Registry::outcomes_after(Id after, std::size_t limit, Id* last) {
  NORA_TRY(auto rows, db_->query("SELECT id, ip, port, proto, probe, at, outcome, segment FROM probe_outcome WHERE id > ? ORDER BY id LIMIT ?",
                                 {after, bounded(limit)}));
  std::vector<Outcome> out;
  if (last) *last = after;
  for (const auto& r : rows) {
    out.push_back({r[1].ip(), {static_cast<std::uint16_t>(r[2].integer())}, static_cast<Proto>(r[3].integer()), r[4].str(), r[5].instant(),
                   r[6].str(), r[7].str()});
    if (last) *last = r[0].integer();
  }
  return out;
}

Result<std::int64_t> Registry::progress(std::string_view name) {
  NORA_TRY(auto value, db_->one("SELECT value FROM progress WHERE name = ?", {name}));
  return value.integer();
}

Status Registry::set_progress(std::string_view name, std::int64_t value) {
  NORA_CHECK(db_->exec("INSERT INTO progress (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", {name, value}));
  return {};
}

Result<std::optional<std::string>> Registry::identification(const Hash& reply, std::string_view rules_version) {
  NORA_TRY(auto rows, db_->query("SELECT statements FROM identification WHERE reply_hash = ? AND rules_version = coalesce((SELECT label FROM rules_label WHERE version = ?), ?)",
                                 {reply, rules_version, rules_version}));
  if (rows.empty()) return std::optional<std::string>{};
  return std::optional<std::string>(rows[0][0].str());
}

Status Registry::put_identification(const Hash& reply, std::string_view rules_version, std::string_view statements) {
  NORA_CHECK(db_->exec("INSERT INTO identification (reply_hash, rules_version, statements) VALUES (?, coalesce((SELECT label FROM rules_label WHERE version = ?), ?), ?) "
                       "ON CONFLICT (reply_hash, rules_version) DO UPDATE SET statements = excluded.statements",
                       {reply, rules_version, rules_version, statements}));
  return {};
}

}  // namespace nora::registry
