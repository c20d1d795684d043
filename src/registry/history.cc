#include "registry/history.h"

namespace nora::registry {
namespace {

// The hashes of a part: from its first 12 bits up to those of the next.
Bytes bound(int part) {
  if (part >= history_parts) return Bytes(33, 0xff);
  return {static_cast<std::uint8_t>(part >> 4), static_cast<std::uint8_t>((part & 0xf) << 4)};
}

}  // namespace

Result<std::string> history_state(store::Db& db, std::string_view name) {
  NORA_TRY(const auto value, db.one("SELECT value FROM history_state WHERE name = ?", {name}));
  return value.str();
}

Status set_history_state(store::Db& db, std::string_view name, std::string_view value) {
  if (value.empty()) return db.write("DELETE FROM history_state WHERE name = ?", {name});
  return db.write("INSERT INTO history_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", {name, value});
}

Status scan_history_part(store::Db& db, int part, std::string_view before, std::string_view now, const std::function<Status(const KeptReply&)>& use) {
  NORA_TRY(const auto rows, db.query("SELECT r.hash, r.match_keys, a.statements, b.statements FROM reply r "
                                     "LEFT JOIN identification a ON a.reply_hash = r.hash AND a.rules_version = ? "
                                     "LEFT JOIN identification b ON b.reply_hash = r.hash AND b.rules_version = ? WHERE r.hash >= ? AND r.hash < ?",
                                     {before, now, bound(part), bound(part + 1)}));
  for (const auto& r : rows) {
    KeptReply reply{r[0].hash(), PackedKeys(r[1].blob()), {}, {}};
    if (!r[2].is_null()) reply.before = r[2].str();
    if (!r[3].is_null()) reply.now = r[3].str();
    NORA_CHECK(use(reply));
  }
  return {};
}

Status forget_identifications(store::Db& db, int part, std::string_view but) {
  return db.write("DELETE FROM identification WHERE reply_hash >= ? AND reply_hash < ? AND rules_version <> ?", {bound(part), bound(part + 1), but});
}

Status queue_address(store::Db& db, Ip ip) { return db.write("INSERT INTO address_again (ip) VALUES (?) ON CONFLICT DO NOTHING", {ip}); }

Status queue_addresses_of(store::Db& db, const Hash& reply) {
  return db.write("INSERT INTO address_again (ip) SELECT DISTINCT ip FROM observation WHERE reply_hash = ? ON CONFLICT DO NOTHING", {reply});
}

Result<Id> queue_device_addresses(store::Db& db, Id after, std::size_t limit) {
  NORA_TRY(const auto last, db.one("SELECT max(id) FROM (SELECT id FROM device_endpoint WHERE id > ? ORDER BY id LIMIT ?) AS page", {after, static_cast<std::int64_t>(limit)}));
  if (last.is_null()) return Id{0};
  NORA_CHECK(db.write("INSERT INTO address_again (ip) SELECT DISTINCT ip FROM device_endpoint WHERE id > ? AND id <= ? ON CONFLICT DO NOTHING", {after, last.integer()}));
  return last.integer();
}

Result<std::vector<Ip>> queued_addresses(store::Db& db, std::size_t limit) {
  NORA_TRY(const auto rows, db.query("SELECT ip FROM address_again ORDER BY ip LIMIT ?", {static_cast<std::int64_t>(limit)}));
  std::vector<Ip> out;
  for (const auto& r : rows) out.push_back(r[0].ip());
  return out;
}

Result<std::int64_t> queued_count(store::Db& db) {
  NORA_TRY(const auto count, db.one("SELECT count(*) FROM address_again"));
  return count.integer();
}

Result<bool> take_address(store::Db& db, Ip ip) {
  NORA_TRY(const auto taken, db.exec("DELETE FROM address_again WHERE ip = ?", {ip}));
  return taken > 0;
}

}  // namespace nora::registry
